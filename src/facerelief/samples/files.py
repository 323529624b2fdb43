"""A `Rendering` as the files of one sample, and back.

Pictures are PNGs that any program opens; none of them loses anything that a network could see:

| File | What | Kept |
| --- | --- | --- |
| ``photo.png``, ``albedo.png`` | sRGB | exactly |
| ``normals.png``, ``normals_smooth.png`` | 16 bits, round((n + 1) / 2 * 65535) | 0.002 degrees |
| ``depth.png``, ``position.png`` | 16 bits, see below | 0.005 mm or pixels |
| ``shading.png`` | the 16 bits of each half-precision number | exactly |
| ``mask.png``, ``occluder.png`` | 255 is yes | exactly |
| ``json`` | landmarks, pose, camera, light, coefficients | exactly |

Depths and positions are offset + step * (value - 1), 0 where there is none; the JSON has the offset
of each channel and the step: 0.01, or a 65,533rd of the range where that exceeds 655.

All PNGs have the one filter "up" (the difference to the row above), so that `from_png` reads them
several times as fast as a general reader.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.encode import to_png
from facerelief.geometry.normals import encode
from facerelief.samples.rendering import Rendering

#: The files of a sample; the last holds everything that is no picture.
FILES = (
    "photo.png",
    "normals.png",
    "normals_smooth.png",
    "depth.png",
    "albedo.png",
    "shading.png",
    "mask.png",
    "occluder.png",
    "position.png",
    "json",
)
_ARRAYS = {"landmarks": np.float32, "landmarks_visible": np.bool_, "rotation": np.float32,
           "translation": np.float32, "centre": np.float32, "irradiance": np.float32}  # fmt: skip
_FINEST = 0.01  # of the steps of depths and positions, mm or pixels
_LEVELS = 65534


class SampleError(ValueError):
    """Files that are no sample, or not all of one."""


def to_files(rendering: Rendering, files: Iterable[str] = FILES) -> dict[str, bytes]:
    """The contents of those of `FILES` that are wanted, in the order of `FILES`.

    The same rendering gives the same bytes. Raises ValueError for a name that is not in `FILES`.
    """
    wanted = set(files)
    if unknown := sorted(wanted - set(FILES)):
        raise ValueError(f"a sample has no {', '.join(unknown)}; it has {', '.join(FILES)}")
    depth, depth_scale = _to_steps(rendering.depth[..., None])
    position, position_scale = _to_steps(rendering.position)
    facts: dict[str, Any] = {name: getattr(rendering, name) for name in _ARRAYS}
    facts |= {"focal": rendering.focal, "coefficients": rendering.coefficients}
    facts |= {"depth": depth_scale, "position": position_scale}
    makers: dict[str, Callable[[], bytes]] = {
        "photo.png": lambda: to_png(rendering.photo),
        "normals.png": lambda: to_png(encode(rendering.normals, 16)),
        "normals_smooth.png": lambda: to_png(encode(rendering.normals_smooth, 16)),
        "depth.png": lambda: to_png(depth),
        "albedo.png": lambda: to_png(rendering.albedo),
        "shading.png": lambda: to_png(rendering.shading.astype(np.float16).view(np.uint16)),
        "mask.png": lambda: _mask_to_png(rendering.mask),
        "occluder.png": lambda: _mask_to_png(rendering.occluder),
        "position.png": lambda: to_png(position),
        "json": lambda: json.dumps(to_plain(facts)).encode(),
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def from_files(files: Mapping[str, bytes]) -> Rendering:
    """The rendering that `to_files` was given; arrays among its coefficients come back as lists.

    Raises:
        SampleError: a file is missing or damaged.
    """
    if missing := [name for name in FILES if name not in files]:
        raise SampleError(f"the sample was written without {', '.join(missing)}")
    try:
        facts = json.loads(files["json"])
        return Rendering(
            photo=from_png(files["photo.png"]),
            normals=to_normals(from_png(files["normals.png"])),
            normals_smooth=to_normals(from_png(files["normals_smooth.png"])),
            depth=_from_steps(from_png(files["depth.png"])[..., None], facts["depth"])[..., 0],
            albedo=from_png(files["albedo.png"]),
            shading=from_png(files["shading.png"]).view(np.float16),
            mask=from_png(files["mask.png"]) > 127,
            occluder=from_png(files["occluder.png"]) > 127,
            position=to_position(files),
            **{name: np.array(facts[name], dtype) for name, dtype in _ARRAYS.items()},
            focal=facts["focal"],
            coefficients=facts["coefficients"],
        )
    except (KeyError, json.JSONDecodeError) as error:
        raise SampleError(f"damaged sample ({error})") from None


def from_png(content: bytes) -> NDArray[Any]:
    """Pixels of a PNG that `facerelief.encode.to_png` wrote: uint8 or uint16, (H, W[, C]).

    Raises:
        SampleError: it is none, or damaged.
    """
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
        channels = {0: 1, 2: 3, 6: 4}[colour]
        dtype = np.dtype(f">u{depth // 8}")
        rows = np.frombuffer(_inflate(b"".join(_data(content))), np.uint8).reshape(height, -1)
        if (rows[:, 0] != 2).any():
            raise ValueError("another filter than up")
        pixels = np.ascontiguousarray(rows[:, 1:])
        for above, row in pairwise(pixels):
            np.add(row, above, out=row)
        shape = (height, width) if channels == 1 else (height, width, channels)
        return pixels.view(dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
    except (struct.error, KeyError, TypeError, ValueError, zlib.error) as error:
        raise SampleError(f"not a PNG of a sample ({error})") from None


def to_normals(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) of 16-bit `pixels`, zero where they are mid grey.

    What `geometry.normals.decode` gives, for pixels that are known to be sound, in a fifth of the
    time.
    """
    vectors = pixels.astype(np.float32)
    vectors *= np.float32(2 / 65535)
    vectors -= 1
    length = np.sqrt(np.einsum("...i,...i", vectors, vectors))
    vectors *= np.where(length > 0.1, 1 / length, 0)[..., None]
    return vectors


def to_position(files: Mapping[str, bytes]) -> NDArray[np.float32]:
    """The UV position map of a sample's ``position.png`` and ``json``. Raises SampleError."""
    try:
        scale = json.loads(files["json"])["position"]
        return _from_steps(from_png(files["position.png"]), scale)
    except (KeyError, json.JSONDecodeError) as error:
        raise SampleError(f"damaged sample ({error})") from None


def to_plain(value: Any) -> Any:
    """`value` with arrays as lists and the shortest numbers that give the same back, for JSON."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [to_plain(item) for item in value] if value.ndim else to_plain(value[()])
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, np.floating):
        return float(str(value))  # 0.1, where .item() would give 0.10000000149011612
    return value


def _data(content: bytes) -> Iterable[bytes]:
    position = 8
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        if content[position + 4 : position + 8] == b"IDAT":
            yield content[position + 8 : position + 8 + length]
        position += length + 12


def _inflate(data: bytes) -> bytes:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompress(data)
    try:
        return isal_zlib.decompress(data)
    except Exception as error:  # its own class, which its stubs do not know as one
        raise zlib.error(str(error)) from None


def _mask_to_png(mask: NDArray[np.bool_]) -> bytes:
    return to_png(mask.astype(np.uint8) * np.uint8(255))


def _to_steps(values: FloatArray) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """`values` (H, W, C) as 1 + (value - offset) / step, 0 for NaN, and offsets (C,) and step."""
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0))  # several times as fast to reduce
    known = np.isfinite(planes)
    low = np.min(planes, (1, 2), where=known, initial=np.inf).astype(np.float64)
    high = np.max(planes, (1, 2), where=known, initial=-np.inf).astype(np.float64)
    empty = low > high
    low[empty] = high[empty] = 0
    step = max(_FINEST, float((high - low).max()) / (_LEVELS - 1))
    pixels = np.zeros(values.shape, np.uint16)
    for channel, (plane, seen) in enumerate(zip(planes, known, strict=True)):
        pixels[..., channel][seen] = (
            np.rint((plane[seen].astype(np.float64) - low[channel]) / step) + 1
        )
    return pixels, {"offset": low.tolist(), "step": step}


def _from_steps(pixels: NDArray[np.uint16], scale: Mapping[str, Any]) -> NDArray[np.float32]:
    values = np.asarray(scale["offset"]) + (pixels.astype(np.float64) - 1) * scale["step"]
    return np.where(pixels > 0, values, np.nan).astype(np.float32)
