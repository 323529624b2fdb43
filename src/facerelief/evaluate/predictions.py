"""Predictions on disk: one file an image, so that anything that can write one can be scored.

| File | What it holds |
| --- | --- |
| ``NAME.npz`` | ``normals`` (H, W, 3), camera space in the crop's frame, zero where there is no |
| | answer; optionally ``expected_error`` (H, W), degrees |
| ``NAME.npz`` | ``landmarks`` (68, 2 or 3), iBUG's scheme; NaN for a face that was not found |
| ``NAME.json`` | the same as ``landmarks`` or ``points``: `facerelief mesh` writes such |
| ``NAME.npz`` | ``vertices`` (V, 3), ``triangles`` (T, 3) of a face and optionally ``landmarks`` |
| ``NAME.npz`` | ``expression`` (52,) by ARKit's names and ``identity`` (80,), see `coefficients` |
| ``NAME.obj``, ``NAME.ply`` | the same without landmarks |

Points are pixels of the crop: x right, y down, and z, which is larger where it is nearer. Those of
the whole photo have ``pixels`` "photo" beside them. Our own files have normals in float16, which is
0.03 degrees at worst, where they stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.mesh_reading import read_mesh as read_mesh_file
from facerelief.types import Crop

Arrays = Mapping[str, NDArray[Any]]  # of an answer, by the names above
_PICTURES = ("normals", "expected_error")


class EvaluationError(ValueError):
    """An evaluation that cannot be done; the message is one clear line."""


@dataclass(frozen=True, eq=False)
class PredictedMesh:
    """A face: crop pixels x, y (down) and z, nearer is larger."""

    vertices: NDArray[np.float32]  # (V, 3)
    triangles: NDArray[np.int64]  # (T, 3)
    landmarks: NDArray[np.float32] | None  # (68, 3)


def write(folder: Path, name: str, answer: Arrays, half: bool = True) -> None:
    """Write the prediction of the image `name` into `folder`, both made if missing."""
    path = folder / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        key: array.astype(np.float16) if half and key in _PICTURES else array
        for key, array in answer.items()
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]


def read(
    folder: Path, name: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Normals (*shape, 3) and expected error (*shape) or None of the image `name`.

    Raises EvaluationError where the file is missing, damaged or of another shape.
    """
    path, arrays = _read(folder, name, ".npz")
    normals, expected = arrays.get("normals"), arrays.get("expected_error")
    if normals is None:
        raise EvaluationError(f"{path}: not a prediction: it has no normals")
    if normals.shape != (*shape, 3) or (expected is not None and expected.shape != shape):
        raise EvaluationError(f"{path}: normals must be {(*shape, 3)} and expected_error {shape}")
    return _floats(normals), None if expected is None else _floats(expected)


def read_arrays(
    folder: Path, name: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Arrays of the image `name` by their names and shapes.

    Raises EvaluationError where the file is missing, damaged, of other shapes or not finite.
    """
    path, arrays = _read(folder, name, ".npz")
    for key, shape in shapes.items():
        if key not in arrays or arrays[key].shape != shape or not np.isfinite(arrays[key]).all():
            raise EvaluationError(f"{path}: {key} must be {shape}")
    return {key: _floats(arrays[key]) for key in shapes}


def read_landmarks(folder: Path, name: str, crop: Crop) -> NDArray[np.float32] | None:
    """68 landmarks (68, 2) of the image `name`, pixels of `crop`; None where no face was found.

    Raises EvaluationError where the file is missing, damaged or of another shape.
    """
    path, arrays = _read(folder, name, ".npz", ".json")
    points = arrays.get("landmarks", arrays.get("points"))
    if points is None or points.ndim != 2 or len(points) != 68 or points.shape[1] not in (2, 3):
        raise EvaluationError(f"{path}: landmarks must be (68, 2) or (68, 3)")
    if not np.isfinite(points).all():
        return None
    return _in_crop(points, arrays, crop)[:, :2]


def read_mesh(folder: Path, name: str, crop: Crop) -> PredictedMesh | None:
    """The mesh of the image `name`, pixels of `crop`; None where no face was found.

    Raises EvaluationError where the file is missing, damaged or holds no mesh.
    """
    path, arrays = _read(folder, name, ".npz", ".obj", ".ply")
    vertices, triangles = arrays.get("vertices"), arrays.get("triangles")
    marks = arrays.get("landmarks")
    if (
        vertices is None or triangles is None
        or vertices.ndim != 2 or vertices.shape[1] != 3
        or triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu"
        or (marks is not None and marks.shape != (68, 3))
    ):  # fmt: skip
        raise EvaluationError(f"{path}: a mesh has vertices (V, 3), triangles (T, 3) of integers")
    if not len(vertices) or not np.isfinite(vertices).all():
        return None
    if not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
        raise EvaluationError(f"{path}: triangles name vertices that are not there")
    placed = _in_crop(vertices, arrays, crop)
    landmarks = None if marks is None else _in_crop(marks, arrays, crop)
    return PredictedMesh(placed, triangles.astype(np.int64), landmarks)


def _read(folder: Path, name: str, *endings: str) -> tuple[Path, dict[str, NDArray[Any]]]:
    """The first file of the image that there is, and its arrays. Raises EvaluationError."""
    paths = [folder / f"{name}{ending}" for ending in endings]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise EvaluationError(f"{paths[0]}: missing; every image needs a prediction")
    try:
        return path, _READERS[path.suffix](path)
    except Exception as error:  # every reader raises a handful of classes for a damaged file
        raise EvaluationError(f"{path}: not a prediction: {error}") from error


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as stored:
        return {key: stored[key] for key in stored.files}


def _read_json(path: Path) -> dict[str, NDArray[Any]]:
    return {
        key: np.asarray(value)
        for key, value in json.loads(path.read_text("utf-8")).items()
        if key in ("landmarks", "points", "pixels")
    }


def _read_mesh_file(path: Path) -> dict[str, NDArray[Any]]:
    mesh = read_mesh_file(path)
    return {"vertices": mesh.vertices, "triangles": mesh.triangles}


_READERS = {".npz": _read_npz, ".json": _read_json, ".obj": _read_mesh_file,
            ".ply": _read_mesh_file}  # fmt: skip


def _in_crop(points: NDArray[Any], arrays: Arrays, crop: Crop) -> NDArray[np.float32]:
    """Points (N, 2 or 3) in pixels of the crop, those of the photo moved there."""
    if str(arrays.get("pixels", "crop")) == "photo":
        points = np.column_stack([crop.to_crop(points[:, :2]), points[:, 2:] / crop.scale])
    return _floats(points)


def _floats(array: NDArray[Any]) -> NDArray[np.float32]:
    return array.astype(np.float32, copy=False)
