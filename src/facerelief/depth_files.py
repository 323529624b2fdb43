"""Depth maps in files, as sensors' programs write them: PNG of 16 bits, NPY and EXR."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.arrays import DoubleArray, FloatArray
from facerelief.encode import MARK, to_png
from facerelief.exr import to_exr
from facerelief.exr_reading import read_exr
from facerelief.inputs import PhotoError

SUFFIXES = (".png", ".npy", ".exr")
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}  # mm
MAX_PIXELS = 8192**2
_LARGEST = 2**31  # bytes of a file


class DepthError(PhotoError):
    """Depth that nothing can be made of; its text is one line that names the input."""


@dataclass(frozen=True, eq=False)
class DepthMap:
    """A sensor's distances along its axis."""

    distance: DoubleArray  # (H, W) mm, NaN where nothing was measured
    suffix: str  # of SUFFIXES: what its file was
    unit: float  # mm that one step of the file's numbers is
    path: str


def read_depth(path: str | os.PathLike[str], unit: float | None = None) -> DepthMap:
    """The depth map of a file. Zero, negative and non-finite values are holes.

    Args:
        path: a grey PNG of 16 bits, an array (H, W) as NPY, or an EXR (its channel Z or Y, or its
            only one).
        unit: mm that one step is; unless said, integers are mm and floats are metres.

    Raises DepthError.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DepthError(f"{path}: depth is read from {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large a file")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise DepthError(f"{path}: cannot be read ({reason or error})") from None
    try:
        values = {".png": _of_png, ".npy": _of_npy, ".exr": _of_exr}[suffix](content)
    except Exception as error:  # readers raise anything for broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DepthError(f"{path}: no depth map that can be read ({reason})") from None
    step = unit or (UNITS["mm"] if values.dtype.kind in "iu" else UNITS["m"])
    distance = values.astype(np.float64) * step
    distance[~(np.isfinite(distance) & (distance > 0))] = np.nan
    if np.isnan(distance).all():
        raise DepthError(f"{path}: nothing but holes, no depth was measured")
    return DepthMap(distance, suffix, step, str(path))


def encode_depth(distance: FloatArray, like: DepthMap) -> bytes:
    """A file of (H, W) mm, NaN for holes, of the kind and in the unit of another; holes are 0."""
    values = np.nan_to_num(distance / like.unit)
    if like.suffix == ".png":
        return to_png(np.clip(np.rint(values), 0, 65535).astype(np.uint16), MARK)
    if like.suffix == ".exr":
        text = {"depth": f"{like.unit:g} mm times the value, along the camera's axis; 0 is none"}
        return to_exr([values[..., None]], values.shape, "Z", text, whole=True)
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def _of_png(content: bytes) -> NDArray[np.generic]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        _check_size(image.height, image.width)
        if not image.mode.startswith("I"):
            raise ValueError(f"a picture of mode {image.mode}; depth is grey with 16 bits")
        return np.asarray(image).astype(np.int64)


def _of_npy(content: bytes) -> NDArray[np.generic]:
    values = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.reshape([side for side in values.shape if side != 1] or [1, 1])
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise ValueError(f"an array {values.shape} of {values.dtype}; depth is (H, W) of numbers")
    _check_size(*values.shape)
    return values


def _of_exr(content: bytes) -> NDArray[np.generic]:
    channels = read_exr(content)
    for name in ("Z", "Y", *(channels if len(channels) == 1 else ())):
        if name in channels:
            return channels[name]
    raise ValueError(f"channels {', '.join(channels)}; depth is Z or Y, or the only one")


def _check_size(height: int, width: int) -> None:
    if not (min(height, width) >= 16 and height * width <= MAX_PIXELS):
        raise ValueError(f"{width} x {height} pixels")
