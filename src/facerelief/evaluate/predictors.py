"""What can be scored: networks, the mean map, MediaPipe's FaceMesh, and files made elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache as cached
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from facerelief.data import facemesh, yaleb
from facerelief.evaluate import mediapipe_facemesh
from facerelief.evaluate.predictions import EvaluationError
from facerelief.geometry.normals import normalise
from facerelief.runtime import load
from facerelief.types import Estimate

MEAN_MAP = "mean-map"
MEDIAPIPE = "mediapipe"
SHAPE_FROM_SHADING = "shape-from-shading"


@dataclass(frozen=True)
class Predictor:
    """A system under test: something that predicts, or a folder of predictions it has made."""

    label: str  # its name in tables and of its folder
    # (N, 256, 256, 3) uint8 RGB crops to normals in their frame; zero where there is no answer.
    predict: Callable[[NDArray[np.uint8]], Estimate] | None
    folder: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)  # goes into the results


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
    }
    return Predictor(entry.name, estimator.estimate_crops, about=about)


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


def mean_map(mean: NDArray[np.float32]) -> Predictor:
    """A mean normal map, the same for every photo: the floor of a protocol."""

    def predict(crops: NDArray[np.uint8]) -> Estimate:
        return _estimate(np.broadcast_to(mean, (len(crops), *mean.shape)))

    return Predictor(MEAN_MAP, predict)


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
    """The smooth normals of MediaPipe's FaceMesh, its points joined as they are for training.

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
        return _estimate(normals)

    return Predictor(MEDIAPIPE, predict)


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


def _estimate(normals: NDArray[np.float32]) -> Estimate:
    return Estimate(normals, np.asarray(normals.any(axis=-1)))
