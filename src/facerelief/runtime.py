"""Photos to faces: the ONNX sessions, batching, and each crop's way back into its photo."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerelief import catalogue, foreign
from facerelief.calibration import Calibration
from facerelief.catalogue import Entry, WeightsError, plain, reason_of
from facerelief.decoders import CROP_SIZE, DECODERS, kind_of
from facerelief.finding import find
from facerelief.giving_up import next_step
from facerelief.images import Source, open_photo
from facerelief.inference import giving_back, import_onnxruntime
from facerelief.memory import give_back_freed_memory
from facerelief.photo_files import Picture
from facerelief.sessions import CPU, open_session, session_of
from facerelief.types import Estimate, Face, Place

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Crops that one pass of the network takes at most: bounds the memory of a crowd.
BATCH = 8

#: Of a crop: what may be looked at again round it. Shapes reach beyond, and so do larger crops.
_ROUND = 2.0


def load(
    name: str | Path = "default",
    threads: int | None = None,
    providers: Sequence[str] | None = None,
) -> Estimator:
    """The estimator called `name`, or that of an ONNX file.

    `name` is one of `facerelief.systems()`, "default", or the path of a file that
    `facerelief export` wrote. `threads` are those of one inference; None leaves the choice to ONNX
    Runtime. `providers` are ONNX Runtime execution providers in order of preference; None is the
    CPU.

    Raises UnknownSystemError for a name that is not in the catalogue and WeightsError for a file
    that is missing, altered or not a network of ours.
    """
    if isinstance(name, Path) or name.endswith(".onnx"):
        path = Path(name)
        content = catalogue.read_weights(path)
        foreign.check(path, content)
        session = open_session(path, content, threads, providers)
        metadata = session.get_modelmeta().custom_metadata_map
        kind = metadata.get("kind") or kind_of(_names(session.get_outputs())) or "unknown"
        entry = catalogue.describe(path, content, kind, metadata)
    else:
        entry = catalogue.find(name)
        session = session_of(entry, threads, providers)
    _check(entry, session)
    return Estimator(entry, session, threads, providers)


def trial() -> None:
    """The process that `foreign.check` starts: prints, as JSON, what is wrong with one network.

    The network is on stdin, its path the argument.
    """
    path, content = Path(sys.argv[1]), sys.stdin.buffer.read()
    foreign.bound(len(content))
    crops = np.random.default_rng(0).integers(0, 256, (1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    reason = None
    try:
        session = open_session(path, content, 1, None)
        if _reads_crops(session):  # else it is refused for that
            _run(path, session, _names(session.get_outputs()), crops)
    except WeightsError as error:
        reason = str(error)
    sys.stdout.write(json.dumps(reason))


class Estimator:
    """Finds the faces of a photo and says what its network sees. Made by `load`; thread-safe.

    It can be pickled, for processes on this machine or on others, and costs some hundred bytes: its
    network is not in them, but is read again where it is first needed. That is the same file here,
    or of the same name in the catalogue there; WeightsError where there is none, or another.
    """

    def __init__(
        self,
        entry: Entry,
        session: InferenceSession | None = None,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        self.entry = entry
        self._threads, self._providers = threads, providers
        self._decoder = DECODERS[entry.kind]
        self._calibration = _calibration(entry)
        # By process: in a forked one the first has no threads, and its end would wait for them.
        self._sessions = {} if session is None else {os.getpid(): session}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<facerelief.Estimator {self.name!r}, {self.entry.kind}, {self.entry.path}>"

    def __copy__(self) -> Estimator:
        return self  # nothing of it ever changes

    def __deepcopy__(self, _: dict[int, Any]) -> Estimator:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        entry = replace(self.entry, path=Path(os.path.abspath(self.entry.path)))
        return _elsewhere, (entry, self._threads, self._providers)

    @property
    def _session(self) -> InferenceSession:
        """The network in memory, as this process has made it."""
        process = os.getpid()
        with self._lock:
            if process not in self._sessions:
                path, threads, providers = self.entry.path, self._threads, self._providers
                content = catalogue.read_weights(path)
                if hashlib.sha256(content).hexdigest() != self.entry.sha256:
                    raise WeightsError(f"{path}: the file is not the one that was loaded at first")
                self._sessions[process] = open_session(path, content, threads, providers)
            return self._sessions[process]

    @property
    def _outputs(self) -> list[str]:
        return [name for name in _names(self._session.get_outputs()) if name in self._decoder.rests]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def threads(self) -> int | None:
        """Those of one inference; None leaves the choice to ONNX Runtime."""
        return self._threads

    @property
    def providers(self) -> list[str]:
        """The ONNX Runtime execution providers in use, the preferred one first."""
        names: list[str] = self._session.get_providers()
        return names

    @property
    def makes_shapes(self) -> bool:
        """Whether its faces have a mesh, landmarks and a pose."""
        return self._decoder.makes_shapes

    def __call__(
        self,
        photo: Source,
        max_faces: int | None = None,
        smallest: float | None = None,
        whole: bool = False,
        order: str = "size",
        crop_scale: float = 1.0,
    ) -> list[Face]:
        """The faces of a photo, the largest `max_faces` at most. No face gives an empty list.

        Args:
            photo: what `load_photo` takes.
            smallest, whole: those of `facerelief.find`.
            order: "size", the largest first, or "left", from the picture's left to its right (see
                `facerelief.find`).
            crop_scale: side of the crops over the usual one. With 1.3 they show the forehead.

        Raises PhotoError for a photo that cannot be read, ValueError for another order or scale.
        """
        image = open_photo(photo)
        places = find(image, max_faces, self._threads, smallest=smallest, whole=whole, order=order)
        if crop_scale != 1:
            places = [place.enlarged(crop_scale) for place in places]
        return self.estimate(image, places)

    def estimate(self, photo: Source, places: Sequence[Place]) -> list[Face]:
        """The faces at `places` of a photo, as `facerelief.find` gives them: several systems can
        answer for the same ones. Raises PhotoError for a photo that cannot be read.
        """
        image = open_photo(photo)
        crops = np.empty((len(places), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        # The largest first: small faces need a photo's full pixels, for which others make room.
        for index in sorted(range(len(places)), key=lambda index: -places[index].crop.side):
            crops[index] = places[index].crop.extract(image)
        if isinstance(image, Picture):
            image.keep(place.enlarged(_ROUND).crop.window(place.photo_size) for place in places)
        estimate = self.estimate_crops(crops, release=isinstance(image, Picture))
        return [
            estimate.face(index, place, picture, self.name)
            for index, (place, picture) in enumerate(zip(places, crops, strict=True))
        ]

    def estimate_crops(
        self, crops: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], release: bool = False
    ) -> Estimate:
        """What the network says of `crops` (N, 256, 256, 3), RGB uint8, each in its crop's frame.

        With `release` the memory that the network took is given back; the next run is slower.

        Raises ValueError for any other shape or type, and WeightsError where the network fails.
        Crops of other sizes are for `estimate`, by `Place.of_crop`.
        """
        crops = np.asarray(crops)
        shape = (CROP_SIZE, CROP_SIZE, 3)
        if crops.ndim != 4 or crops.shape[1:] != shape or (crops.dtype != np.uint8 and len(crops)):
            raise ValueError(f"crops must be (N, *{shape}) uint8, not {crops.shape} {crops.dtype}")
        if not len(crops):
            return self._decoder.nothing(self._outputs)
        estimate = self.decode(self.answers(crops, release))
        if self._calibration is None or estimate.expected_error is None:
            return estimate
        expected = self._calibration.applied(estimate.expected_error, crops, estimate.mask)
        return replace(estimate, expected_error=expected)

    def decode(self, answers: Mapping[str, NDArray[np.float32]]) -> Estimate:
        """What its own `answers` mean; expected errors are not calibrated."""
        return self._decoder.decode(answers)

    def answers(
        self, crops: NDArray[np.uint8], release: bool = False
    ) -> dict[str, NDArray[np.float32]]:
        """The network's own arrays (N, ...) for `crops`, at least one, as in `estimate_crops`; its
        expected error is not calibrated.

        Raises WeightsError where it fails, or gives something else than finite numbers.
        """
        names = self._outputs
        starts = range(0, len(crops), BATCH)
        batches = [self._run(crops[start : start + BATCH], names, release) for start in starts]
        if release:
            give_back_freed_memory()
        parts = zip(names, zip(*batches, strict=True), strict=True)
        return {name: rows[0] if len(rows) == 1 else np.concatenate(rows) for name, rows in parts}

    def _run(
        self, crops: NDArray[np.uint8], names: list[str], release: bool
    ) -> list[NDArray[np.float32]]:
        next_step()
        path = self.entry.path
        arrays = _run(path, self._session, names, crops, release)
        for name, array in zip(names, arrays, strict=True):
            if array.shape != (len(crops), *self._decoder.rests[name]):
                raise WeightsError(f"{path}: its {name} of {len(crops)} crops is {array.shape}")
            with np.errstate(all="ignore"):
                if not np.isfinite(array.sum()):  # in a fifth of the time of asking each number
                    raise WeightsError(f"{path}: its {name} holds numbers that are not finite")
        return arrays


def _elsewhere(entry: Entry, threads: int | None, providers: Sequence[str] | None) -> Estimator:
    """An estimator that was pickled: by its file, or where that is not, by its name."""
    if not entry.path.is_file() and entry.name in catalogue.systems():
        entry = replace(entry, path=catalogue.find(entry.name).path)
    return Estimator(entry, None, threads, providers)


def _calibration(entry: Entry) -> Calibration | None:
    """Raises WeightsError for one that is none."""
    if entry.calibration is None:
        return None
    try:
        return Calibration.read(entry.calibration)
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{entry.path}: its calibration: {reason_of(error)}") from error


def find_providers(name: str) -> list[str]:
    """The provider that `name` (cuda, coreml, ...) means, then the CPU to fall back on.

    Raises ValueError for one that this ONNX Runtime lacks; the message lists what it has.
    """
    onnxruntime = import_onnxruntime()
    available = {
        provider.removesuffix("ExecutionProvider").lower(): provider
        for provider in onnxruntime.get_available_providers()
    }
    if name.lower() not in available:
        raise ValueError(f"no provider is called {name!r}; there are: {', '.join(available)}")
    return list(dict.fromkeys([available[name.lower()], CPU]))


def _run(
    path: Path,
    session: InferenceSession,
    outputs: list[str],
    crops: NDArray[np.uint8],
    release: bool = False,
) -> list[NDArray[np.float32]]:
    options = giving_back() if release else None
    try:
        arrays: list[NDArray[np.float32]] = session.run(outputs, {"crops": crops}, options)
    except Exception as error:  # ONNX Runtime's own, of no common class
        raise WeightsError(f"{path}: the network failed: {reason_of(error)}") from error
    return arrays


def _check(entry: Entry, session: InferenceSession) -> None:
    """Raises WeightsError for a network that does not do what its kind is to do."""
    decoder = DECODERS.get(entry.kind)
    given = _names(session.get_outputs())
    if decoder is None or _names(session.get_inputs()) != ["crops"]:
        raise WeightsError(
            f"{entry.path}: an ONNX network, but not one that estimates "
            f"{' or '.join(DECODERS)} of crops (its kind is {entry.kind!r})"
        )
    if not _reads_crops(session):
        raise WeightsError(
            f"{entry.path}: reads {_said(session.get_inputs()[0])}, not any number of uint8 crops"
        )
    if missing := set(decoder.outputs) - set(given):
        raise WeightsError(
            f"{entry.path}: a network of {entry.kind} without {', '.join(sorted(missing))}"
        )
    for output in session.get_outputs():
        rest = decoder.rests.get(output.name)
        if rest and (output.type != "tensor(float)" or not _fits(output, rest)):
            raise WeightsError(
                f"{entry.path}: its {output.name} is {_said(output)}, not float32 (N, *{rest})"
            )


def _reads_crops(session: InferenceSession) -> bool:
    """Whether any number of crops (N, 256, 256, 3) uint8 is all that a network reads."""
    first, *more = session.get_inputs()
    return (
        first.name == "crops"
        and not more
        and first.type == "tensor(uint8)"
        and _fits(first, (CROP_SIZE, CROP_SIZE, 3))
        and not isinstance(first.shape[0], int)
    )


def _fits(value: Any, rest: tuple[int, ...]) -> bool:
    """Whether an input or output may be (N, *rest): sides that have a name are known when run."""
    return len(value.shape) == 1 + len(rest) and all(
        side == wanted or not isinstance(side, int)
        for side, wanted in zip(value.shape[1:], rest, strict=True)
    )


def _said(value: Any) -> str:
    return plain(f"{value.type} {value.shape}", 100)


def _names(values: Sequence[Any]) -> list[str]:
    return [value.name for value in values]
