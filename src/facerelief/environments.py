"""Environment maps from files: Radiance pictures (.hdr), OpenEXR (.exr) and NumPy arrays (.npy).

A map is (H, 2 H, 3) float32 linear RGB, equirectangular, as `geometry.environment` has it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerelief.exr_reading import ExrError, read_exr
from facerelief.inputs import PhotoError

MOST = 2**28  # bytes of a file: 8192 x 4096 pixels are 130 MB
_WIDEST = 16384  # pixels
_SIZE = re.compile(rb"([-+])Y (\d{1,6}) ([-+])X (\d{1,6})\s*")


def read_environment(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """The map (H, 2 H, 3) of a file.

    Raises PhotoError, one line, for a file that is missing, broken or of another kind, a map that
    is not twice as wide as high, values that are no numbers or negative, and one that is black.
    """
    path = Path(path)
    reader = {".hdr": _radiance, ".pic": _radiance, ".exr": _exr, ".npy": _array}.get(
        path.suffix.lower()
    )
    if reader is None:
        raise PhotoError(f"{path}: an environment is an .hdr, .exr or .npy file")
    try:
        if path.stat().st_size > MOST:
            raise PhotoError(f"{path}: larger than {MOST >> 20} MB, too large for an environment")
        values = reader(path.read_bytes())
    except OSError as error:
        raise PhotoError(f"{path}: {error.strerror or error}") from None
    except (_BrokenError, ExrError) as error:
        raise PhotoError(f"{path}: {error}") from None
    return _checked(values, str(path))


def _checked(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=-1)
    if values.ndim != 3 or values.shape[2] not in (3, 4):
        raise PhotoError(f"{name}: shape {values.shape}, an environment is (H, 2 H, 3)")
    height, width = values.shape[:2]
    values = np.asarray(values[..., :3], np.float32)
    if width != 2 * height:
        raise PhotoError(
            f"{name}: {width} x {height} pixels, an equirectangular map is twice as wide as high"
        )
    if not np.isfinite(values).all():
        raise PhotoError(f"{name}: {np.count_nonzero(~np.isfinite(values))} values are no numbers")
    if values.min() < 0:
        raise PhotoError(f"{name}: values down to {values.min():g}, light is not negative")
    if not values.any():
        raise PhotoError(f"{name}: black, nothing is lit by it")
    return values


class _BrokenError(ValueError):
    """Why a file is no environment map."""


def _exr(content: bytes) -> NDArray[np.float32]:
    channels = read_exr(content)
    if {"R", "G", "B"} <= channels.keys():
        return np.stack([channels[name] for name in "RGB"], axis=-1)
    if "Y" in channels:
        return channels["Y"]
    raise _BrokenError(f"channels {', '.join(channels)}, but no R, G and B")


def _array(content: bytes) -> NDArray[np.float32]:
    import io

    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise _BrokenError("no NumPy array") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise _BrokenError("no array of floats")
    return np.asarray(values, np.float32)


def _radiance(content: bytes) -> NDArray[np.float32]:
    """A Radiance RGBE picture: Ward, "Real pixels", Graphics Gems II, 1991."""
    if not content.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise _BrokenError("no Radiance picture")
    end = content.find(b"\n\n")
    match = _SIZE.match(content, end + 2) if end > 0 else None
    if match is None or b"32-bit_rle_xyze" in content[:end]:
        raise _BrokenError("a Radiance picture of another kind than upright RGBE")
    height, width = int(match[2]), int(match[4])
    if not (height > 0 and 0 < width <= _WIDEST and height <= _WIDEST):
        raise _BrokenError(f"{width} x {height} pixels")
    pixels = _rgbe(np.frombuffer(content, np.uint8, offset=match.end()), height, width)
    # -Y is from the top down, +X from the left.
    pixels = pixels[:: 1 if match[1] == b"-" else -1, :: 1 if match[3] == b"+" else -1]
    exponent = pixels[..., 3].astype(np.int32)
    scale = np.where(exponent > 0, np.ldexp(np.float32(1), exponent - 136), 0).astype(np.float32)
    return (pixels[..., :3].astype(np.float32) + np.float32(0.5)) * scale[..., None]


def _rgbe(data: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 4) of the picture's data: plain, or each row's four planes in runs."""
    if not 8 <= width < 32768 or tuple(data[:2]) != (2, 2):
        if len(data) != 4 * height * width:
            raise _BrokenError("ends too early, or packed in the old way")
        return data.reshape(height, width, 4)
    raw = data.tobytes()
    result = np.empty((height, 4, width), np.uint8)
    place = 0
    for row in range(height):
        if raw[place : place + 2] != b"\2\2" or len(raw) < place + 4:
            raise _BrokenError("ends too early")
        place += 4
        for plane in range(4):
            line = bytearray()
            while len(line) < width:
                if place + 1 >= len(raw):
                    raise _BrokenError("ends too early")
                count = raw[place]
                if count > 128:
                    line += raw[place + 1 : place + 2] * (count - 128)
                    place += 2
                elif count:
                    line += raw[place + 1 : place + 1 + count]
                    place += 1 + count
                else:
                    raise _BrokenError("a run of no length")
            if len(line) != width:
                raise _BrokenError("a run that is longer than its row")
            result[row, plane] = np.frombuffer(line, np.uint8)
    return np.moveaxis(result, 1, 2)
