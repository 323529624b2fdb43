"""Predictions on disk: one ``.npz`` an image, so that anything that can write one can be scored.

``normals`` (H, W, 3), camera space in the crop's frame, zero where there is no answer; optionally
``expected_error`` (H, W), degrees. Ours are float16: 0.03 degrees at worst.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class EvaluationError(ValueError):
    """An evaluation that cannot be done; the message is one clear line."""


def write(
    folder: Path,
    name: str,
    normals: NDArray[np.floating[Any]],
    expected_error: NDArray[np.floating[Any]] | None = None,
) -> None:
    """Write the prediction of the image `name` into `folder`, which exists."""
    arrays = {"normals": normals.astype(np.float16)}
    if expected_error is not None:
        arrays["expected_error"] = expected_error.astype(np.float16)
    np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]


def read(
    folder: Path, name: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Normals (*shape, 3) and expected error (*shape) or None of the image `name`.

    Raises EvaluationError where the file is missing, damaged or of another shape.
    """
    path = folder / f"{name}.npz"
    try:
        with np.load(path) as stored:
            arrays = {key: stored[key].astype(np.float32) for key in stored.files}
        normals, expected = arrays["normals"], arrays.get("expected_error")
    except FileNotFoundError as error:
        raise EvaluationError(f"{path}: missing; every image needs a prediction") from error
    except Exception as error:  # NumPy and zipfile raise a handful of classes for a damaged file
        raise EvaluationError(f"{path}: not a prediction: {error}") from error
    if normals.shape != (*shape, 3) or (expected is not None and expected.shape != shape):
        raise EvaluationError(f"{path}: normals must be {(*shape, 3)} and expected_error {shape}")
    return normals, expected
