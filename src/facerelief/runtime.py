"""Photos to faces: the ONNX sessions, batching, and each crop's way back into its photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerelief import catalogue
from facerelief.catalogue import Entry, WeightsError
from facerelief.detect import Detector, crop_from_detection
from facerelief.images import load_photo
from facerelief.types import BoolArray, Crop, Estimate, Face

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Side of the crops that the networks read, pixels.
CROP_SIZE = 256

#: Crops that one pass of the network takes at most: bounds the memory of a crowd.
BATCH = 8

CPU = "CPUExecutionProvider"


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
        session = _session(path, content, threads, providers)
        entry = catalogue.describe(path, content, session.get_modelmeta().custom_metadata_map)
    else:
        entry = catalogue.find(name)
        session = _session(entry.path, entry.read(), threads, providers)
    return Estimator(entry, session, threads)


class Estimator:
    """Finds the faces of a photo and estimates their normals. Made by `load`; thread-safe."""

    def __init__(self, entry: Entry, session: InferenceSession, threads: int | None = None):
        self.entry = entry
        self._session = session
        self._threads = threads
        self._outputs = [output.name for output in session.get_outputs()]
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def providers(self) -> list[str]:
        """The ONNX Runtime execution providers in use, the preferred one first."""
        names: list[str] = self._session.get_providers()
        return names

    @cached_property
    def _detector(self) -> Detector:
        return Detector(threads=self._threads or 0)

    def __call__(self, photo: Any, max_faces: int | None = None) -> list[Face]:
        """The faces of a photo, largest first, at most `max_faces`.

        `photo` is a path, a PIL image or an RGB uint8 array (H, W, 3). No face gives an empty
        list. Raises PhotoError for a photo that cannot be read.
        """
        image = load_photo(photo)
        with self._lock:  # two threads must not both build the detector
            detector = self._detector
        detections = detector(image, max_faces=max_faces)
        crops = [crop_from_detection(detection) for detection in detections]
        pictures = [crop.extract(image) for crop in crops]
        estimate = self.estimate_crops(np.array(pictures).reshape(-1, CROP_SIZE, CROP_SIZE, 3))
        height, width = image.shape[:2]
        faces = [
            Face(
                crop=crop,
                box=detection.box,
                score=detection.score,
                points=detection.points,
                normals=estimate.normals[index],
                mask=estimate.mask[index] & inside_photo(crop, (height, width)),
                expected_error=(
                    None if estimate.expected_error is None else estimate.expected_error[index]
                ),
                photo_size=(height, width),
                model=self.name,
            )
            for index, (detection, crop) in enumerate(zip(detections, crops, strict=True))
        ]
        if estimate.position is None or estimate.skins is None:
            return faces
        from facerelief.reconstruction import doubts_of_picture, with_shape

        shapes = zip(faces, pictures, estimate.position, estimate.skins, strict=True)
        return [
            with_shape(
                replace(face, warnings=tuple(doubts_of_picture(picture, face.crop))), found, skin
            )
            for face, picture, found, skin in shapes
        ]

    def estimate_crops(self, crops: NDArray[np.uint8]) -> Estimate:
        """The normals of `crops` (N, 256, 256, 3), RGB uint8, each in its crop's frame.

        Raises ValueError for any other shape or type.
        """
        shape = (CROP_SIZE, CROP_SIZE, 3)
        if crops.ndim != 4 or crops.shape[1:] != shape or (crops.dtype != np.uint8 and len(crops)):
            raise ValueError(f"crops must be (N, *{shape}) uint8, not {crops.shape} {crops.dtype}")
        if not len(crops):
            empty, flat = np.zeros((0, *shape), np.float32), np.zeros((0, *shape[:2]), np.float32)
            return Estimate(
                empty,
                flat > 0,
                flat if "expected_error" in self._outputs else None,
                empty if self.makes_shapes else None,
                () if self.makes_shapes else None,
            )
        batches = [
            self._session.run(self._outputs, {"crops": crops[start : start + BATCH]})
            for start in range(0, len(crops), BATCH)
        ]
        joined = {
            name: parts[0] if len(parts) == 1 else np.concatenate(parts)
            for name, parts in zip(self._outputs, zip(*batches, strict=True), strict=True)
        }
        if "position" in joined:
            from facerelief.reconstruction import from_positions

            return from_positions(joined["position"], joined.get("seen"))
        return Estimate(joined["normals"], joined["mask"] > 0.5, joined.get("expected_error"))

    @property
    def makes_shapes(self) -> bool:
        """Whether its faces have a mesh, landmarks and a pose."""
        return "position" in self._outputs


def find_providers(name: str) -> list[str]:
    """The provider that `name` (cuda, coreml, ...) means, then the CPU to fall back on.

    Raises ValueError for one that this ONNX Runtime lacks; the message lists what it has.
    """
    import onnxruntime

    available = {
        provider.removesuffix("ExecutionProvider").lower(): provider
        for provider in onnxruntime.get_available_providers()
    }
    if name.lower() not in available:
        raise ValueError(f"no provider is called {name!r}; there are: {', '.join(available)}")
    return list(dict.fromkeys([available[name.lower()], CPU]))


def inside_photo(crop: Crop, photo_size: tuple[int, int]) -> BoolArray:
    """(size, size): which pixel centres of `crop` lie in a photo of (height, width)."""
    height, width = photo_size
    corners = crop.corners
    if corners.min() >= 0 and corners[:, 0].max() <= width and corners[:, 1].max() <= height:
        return np.ones((crop.size, crop.size), np.bool_)
    centres = np.arange(crop.size) + 0.5
    points = crop.to_photo(np.stack(np.meshgrid(centres, centres), axis=-1))
    x, y = points[..., 0], points[..., 1]
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)


def _session(
    path: Path, content: bytes, threads: int | None, providers: Sequence[str] | None
) -> InferenceSession:
    """An ONNX Runtime session over the bytes of `path`. Raises WeightsError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or 0
    # Waiting threads that spin win little on idle cores and lose half the speed on busy ones.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers or [CPU])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes for a bad file
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: not an ONNX network that can be run here: {reason}") from error
    inputs = [value.name for value in session.get_inputs()]
    outputs = {value.name for value in session.get_outputs()}
    if inputs != ["crops"] or not ({"normals", "mask"} <= outputs or "position" in outputs):
        raise WeightsError(
            f"{path}: an ONNX network, but not one that estimates normals or positions of crops"
        )
    return session
