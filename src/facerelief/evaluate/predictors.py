"""Who can be scored: networks, MediaPipe's FaceMesh, shape from shading, and files made elsewhere.

And what is asked of them: normals of crops, or shapes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache as cached
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from facerelief import catalogue
from facerelief.cache import cache_folder
from facerelief.data import facemesh, yaleb
from facerelief.data.folders import data_root
from facerelief.decoders import DECODERS
from facerelief.detail import available, kind_of
from facerelief.evaluate import mediapipe_facemesh
from facerelief.evaluate.predictions import Arrays, EvaluationError
from facerelief.geometry.normals import normalise
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.runtime import load
from facerelief.types import Estimate, Shape

MEAN_MAP = "mean-map"
MEDIAPIPE = "mediapipe"
SHAPE_FROM_SHADING = "shape-from-shading"
ALL = "all"

_BATCH = 16  # crops that a system is given at once


@dataclass(frozen=True)
class Predictor:
    """A system under test: something that predicts, or a folder of predictions it has made."""

    label: str  # its name in tables and of its folder
    # (N, 256, 256, 3) uint8 RGB crops to normals in their frame; zero where there is no answer.
    predict: Callable[[NDArray[np.uint8]], Estimate] | None
    folder: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)  # goes into the results
    #: Of those whose estimates hold no shapes, and that have some: crops to a shape each.
    shapes: Callable[[NDArray[np.uint8]], Iterable[Arrays]] | None = None


def entrants(
    systems: Sequence[str],
    peer_python: Path | None = None,
    threads: int | None = None,
    reserved: Sequence[str] = (),
) -> list[Predictor]:
    """The systems to be scored, in order, without repetition; ``mean-map`` is left out.

    Arguments and errors are those of `protocol.Protocol.run`; `reserved` are the labels that a
    protocol itself gives to its floors.
    """
    names = [*systems, *([MEDIAPIPE] if peer_python else [])]
    found = [
        _entrant(name, peer_python, threads)
        for name in dict.fromkeys(names)
        if name not in reserved
    ]
    labels = [*reserved, *(entrant.label for entrant in found)]
    if len(set(labels)) < len(labels):
        raise EvaluationError(f"two systems have the same name: {', '.join(sorted(labels))}")
    return found


def _entrant(name: str, peer_python: Path | None, threads: int | None) -> Predictor:
    if name == MEDIAPIPE:
        return mediapipe(data_root(), peer_python)
    if name == SHAPE_FROM_SHADING:
        return shading(yale_mean())
    system, _, kind = name.rpartition("+")
    if system and kind_of(kind) is not None and not Path(name).exists():
        return detailed(system, kind, threads)
    return files(Path(name)) if Path(name).is_dir() else network(name, threads)


def expanded(systems: Sequence[str], everything: Callable[[], list[str]]) -> list[str]:
    """The names, ``all`` replaced by what it stands for and ``default`` by its name."""
    names: list[str] = []
    for name in systems:
        default = catalogue.default() if name == "default" else name
        names += everything() if name == ALL else [default]
    return list(dict.fromkeys(names))


def normal_systems() -> list[str]:
    """What there is without a peer: every system of the catalogue, and shape from shading."""
    return [*catalogue.systems(), SHAPE_FROM_SHADING]


def shape_systems() -> list[str]:
    """The systems of the catalogue that make shapes."""
    return [one.name for one in catalogue.entries() if DECODERS[one.kind].makes_shapes]


def detailed_systems() -> list[str]:
    """Systems that make shapes, each alone and with every kind of relief that there is."""
    kinds = ("", *(f"+{kind}" for kind in available()))
    return [name + kind for name in shape_systems() for kind in kinds]


def normals(
    crops: Sequence[NDArray[np.uint8]], predictor: Predictor, masked: bool = False
) -> Iterator[Arrays]:
    """``normals`` (256, 256, 3) and, if any, ``expected_error`` (256, 256) of crops (256, 256, 3).

    With `masked`, zero where the system sees no face. Raises EvaluationError where the predictor
    only has files.
    """
    for estimate in _estimates(crops, predictor):
        for index, found in enumerate(estimate.normals):
            shown = np.where(estimate.mask[index, ..., None], found, 0) if masked else found
            expected = estimate.expected_error
            more = {} if expected is None else {"expected_error": expected[index]}
            yield {"normals": shown, **more}


def shapes(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Arrays]:
    """``vertices``, ``triangles`` of the face and ``landmarks`` of crops (256, 256, 3), pixels.

    Raises EvaluationError where the predictor makes none.
    """
    if predictor.shapes is not None:
        for batch in _batches(crops):
            yield from predictor.shapes(batch)
        return
    mesh = skin_mesh()
    triangles = mesh.triangles[mesh.face_triangles]
    for skin in (shape.skin for shape in shapes_of(crops, predictor)):
        yield {"vertices": skin.shape, "triangles": triangles,
               "landmarks": skin.shape[mesh.landmarks]}  # fmt: skip


def landmarks(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Arrays]:
    """The 68 landmarks of crops (256, 256, 3), pixels. Raises as `shapes`."""
    if predictor.shapes is not None:
        yield from ({"landmarks": one["landmarks"]} for one in shapes(crops, predictor))
        return
    marks = skin_mesh().landmarks
    for shape in shapes_of(crops, predictor):
        yield {"landmarks": shape.skin.points[marks]}


def shapes_of(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Shape]:
    """What a system says of crops (256, 256, 3). Raises EvaluationError where it has no shapes."""
    for estimate in _estimates(crops, predictor):
        if estimate.shapes is None:
            raise EvaluationError(f"{predictor.label} makes no position maps: it has no shapes")
        yield from estimate.shapes


def _estimates(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Estimate]:
    if predictor.predict is None:
        raise EvaluationError(f"{predictor.label} only has files; it cannot predict")
    yield from map(predictor.predict, _batches(crops))


def _batches(crops: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(crops), _BATCH):
        yield np.stack(crops[start : start + _BATCH])


def network(name: str, threads: int | None = None) -> Predictor:
    """A system of the catalogue, or an .onnx file. Raises as `facerelief.load` does."""
    estimator = load(name, threads=threads)
    entry = estimator.entry
    about = {
        "system": entry.system,
        "preset": entry.preset,
        "tier": entry.tier,
        "training_data": list(entry.training_data),
        "sha256": entry.sha256,
        "calibration": entry.calibration,
    }
    return Predictor(entry.name, estimator.estimate_crops, about=about)


def detailed(system: str, kind: str, threads: int | None = None) -> Predictor:
    """A system's meshes with relief: ``prnet+fused`` of a kind of `detail.DETAILS`.

    The kind may be a relief network's file, ``prnet+mine.onnx``. Raises as `facerelief.load` does,
    and EvaluationError for a system without meshes.
    """
    from facerelief.evaluate.detailed_meshes import DetailedMeshes

    estimator = load(system, threads=threads)
    if not estimator.makes_shapes:
        raise EvaluationError(f"{system} makes no meshes: it has nothing to put relief on")
    meshes = DetailedMeshes(estimator, kind, threads)
    about = {"system": estimator.entry.system, "detail": kind, "sha256": estimator.entry.sha256}
    label = f"{estimator.name}+{Path(kind).stem}"
    return Predictor(label, meshes.normals, about=about, shapes=meshes.shapes)


def files(folder: Path) -> Predictor:
    """Predictions that are already written: see `predictions`."""
    return Predictor(folder.resolve().name, None, folder)


@cached
def training_mean(root: Path, cache: Path) -> NDArray[np.float32]:
    """(256, 256, 3): the mean normal map of the training people of Extended Yale B.

    `root` is the data folder, `cache` where its truths are kept.
    """
    people = (yaleb.load_person(root, name) for name in yaleb.load_splits(root)["train"])
    return average(yaleb.crop_truth(yaleb.load_ground_truth(one, cache)) for one in people)


def yale_mean() -> NDArray[np.float32]:
    """`training_mean` of the data folder's people. Raises FileNotFoundError."""
    return training_mean(data_root(), cache_folder() / "yaleb")


def mean_map(count: int) -> list[Arrays]:
    """The floor of protocols: the mean normal map, the same for each of `count` photos."""
    return [{"normals": yale_mean()}] * count


def average(
    maps: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> NDArray[np.float32]:
    """Mean direction (H, W, 3) of normal maps; of the nearest known pixel where none is known."""
    mean = normalise(np.sum([n * mask[..., None] for n, mask in maps], axis=0))
    rows, columns = distance_transform_edt(
        ~mean.any(axis=-1), return_distances=False, return_indices=True
    )
    return mean[rows, columns].astype(np.float32)


def shading(mean: NDArray[np.float32]) -> Predictor:
    """Shape from shading about a mean normal map: what can be had without training."""
    from facerelief.evaluate import shape_from_shading

    return Predictor(SHAPE_FROM_SHADING, lambda crops: shape_from_shading.estimate(crops, mean))


def mediapipe(root: Path, python: Path | None = None) -> Predictor:
    """MediaPipe's FaceMesh: its smooth normals, its points joined as they are for training.

    `python` is an interpreter that has MediaPipe; None is this one. `root` is the data folder,
    whose FaceMesh points give the triangles. Raises EvaluationError where MediaPipe does not work.
    """
    python = python or Path(sys.executable)
    _run(python, "-c", "import mediapipe")
    _, teacher = facemesh.stored_points(root)
    triangles = facemesh.triangulate(facemesh.mean_face(teacher[::12]))  # some hundred give it

    def predict(crops: NDArray[np.uint8]) -> Estimate:
        normals = np.zeros(crops.shape, np.float32)
        for index, points in enumerate(facemesh_points(crops, python)):
            if np.isfinite(points).all():
                found, mask = facemesh.smooth_normals(points, triangles, crops.shape[1])
                normals[index] = np.where(mask[..., None], found, 0)
        return Estimate(normals, np.asarray(normals.any(axis=-1)))

    def shapes(crops: NDArray[np.uint8]) -> Iterator[Arrays]:
        for points in facemesh_points(crops, python) * np.array(
            [1, 1, -1], np.float32
        ):  # nearer: larger
            marks = points[list(facemesh.TO_68)]
            yield {"vertices": points, "triangles": triangles, "landmarks": marks}

    return Predictor(MEDIAPIPE, predict, shapes=shapes)


def facemesh_points(crops: NDArray[np.uint8], python: Path | None = None) -> NDArray[np.float32]:
    """MediaPipe's points (N, 478, 3) of crops (N, S, S, 3), crop pixels; NaN without a face.

    `python` and errors are those of `mediapipe`.
    """
    python = python or Path(sys.executable)
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "crops.npy", Path(folder) / "points.npy"
        np.save(source, crops)
        _run(python, mediapipe_facemesh.__file__, str(source), str(target))
        points: NDArray[np.float32] = np.load(target)
    return points


def _run(python: Path, *arguments: str) -> None:
    """Run an interpreter, isolated so that nothing of this environment leaks into it."""
    try:
        done = subprocess.run([str(python), "-I", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise EvaluationError(f"{python}: cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EvaluationError(f"{python}: MediaPipe cannot be used: {lines[-1]}")
