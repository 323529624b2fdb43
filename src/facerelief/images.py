"""Pictures in: photos from files and arrays, lists of inputs, and the one resampler."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable
from math import ceil, floor, hypot
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

#: What counts as a photo in a folder. A file named on its own may end in anything.
# fmt: off
SUFFIXES = frozenset((
    ".avif", ".bmp", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pgm", ".png", ".ppm",
    ".tga", ".tif", ".tiff", ".webp",
))
# fmt: on
_ORIENTATION = 0x0112  # the EXIF tag
MIN_SIDE = 16  # pixels: nothing smaller can show a face
MAX_PIXELS = 178_956_970  # where Pillow, too, calls a picture a decompression bomb


class PhotoError(ValueError):
    """An input that is no usable photo; its text is one line that names the input."""


def load_photo(source: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) from a file, a Pillow image or an array, upright by its EXIF tag.

    Grey becomes three equal channels, 16 bits become 8, an animation gives its first frame and
    transparent pixels are laid over white, as a browser shows them. Arrays are RGB, (H, W) or
    (H, W, 1 to 4) with alpha last: uint8, uint16, bool, or float in [0, 1].

    Raises PhotoError where there is no photo to be had: a missing, empty, broken or foreign file,
    a side under 16 pixels, or more than 178 million pixels.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_image(source, "the image")
    path = Path(source)
    with warnings.catch_warnings():
        # Pillow warns of sizes from half of MAX_PIXELS on, where big cameras are, and of odd tags.
        warnings.simplefilter("ignore")
        try:
            _check_file(path)
            with Image.open(path) as image:
                return _from_image(image, str(path))
        except Image.DecompressionBombError:
            raise PhotoError(f"{path}: larger than {MAX_PIXELS // 10**6} megapixels") from None
        except UnidentifiedImageError:
            raise PhotoError(f"{path}: not a picture in a known format") from None
        except OSError as error:
            raise PhotoError(f"{path}: cannot be read ({error.strerror or error})") from None


def expand_inputs(inputs: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that `inputs` (files, folders, globs) stand for, each once, in order.

    A folder gives the pictures in it, not in folders below, sorted by name and without hidden
    files; a glob gives the files it matches, `**` included. What stands for nothing stays in the
    list as it is, so that `load_photo` can say of it alone what is wrong.
    """
    files: dict[str, Path] = {}
    for item in inputs:
        path = Path(item).expanduser()
        for file in _expand(path) or [path]:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def resample(
    image: NDArray[Any], matrix: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[Any]:
    """Look `image` up at `matrix` (2, 3) times (x, y, 1), output pixels to image pixels.

    `matrix` must be a similarity. `image` is (H, W) or (H, W, C); the result has `shape`
    (height, width), the same channels, and zeros where it looks past the image. Antialiased:
    shrinking averages. uint8 stays uint8, anything else becomes float32.
    """
    height, width = shape
    corners = matrix[:, :2] @ np.array([[0, width, 0, width], [0, 0, height, height]])
    corners += matrix[:, 2:]
    scale = hypot(*matrix[:, 0])
    margin = ceil(2 * max(scale, 1))  # what the filters read past the corners
    x0, y0 = (floor(value) - margin for value in corners.min(axis=1))
    x1, y1 = (ceil(value) + margin for value in corners.max(axis=1))
    left, right = _clip(x0, x1, image.shape[1])
    top, bottom = _clip(y0, y1, image.shape[0])
    if right <= left or bottom <= top:
        dtype = np.uint8 if image.dtype == np.uint8 else np.float32
        return np.zeros((*shape, *image.shape[2:]), dtype)
    patch = image[top:bottom, left:right]
    bounds = (x0 - left, y0 - top, x1 - left, y1 - top)
    matrix = matrix - np.array([[0, 0, x0], [0, 0, y0]])

    layers = [_resample_layer(layer, bounds, matrix, shape) for layer in _to_layers(patch)]
    results = [np.array(layer) for layer in layers]
    result = results[0] if len(results) == 1 else np.dstack(results)
    return result.reshape(*shape, *image.shape[2:])


def bilinear(image: NDArray[Any], places: NDArray[Any]) -> NDArray[np.float32]:
    """Values (..., C) of `image` (H, W, C) at pixels (..., 2), x and y; the edge's beyond it.

    The first pixel's centre is (0.5, 0.5).
    """
    height, width, channels = image.shape
    x, y = np.moveaxis(places.astype(np.float32) - np.float32(0.5), -1, 0)
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    fx, fy = x - left, y - top
    index = top * width + left
    result = np.empty((*index.shape, channels), np.float32)
    for channel in range(channels):
        flat = np.ascontiguousarray(image[..., channel]).ravel()
        upper = flat[index] * (1 - fx) + flat[index + 1] * fx
        lower = flat[index + width] * (1 - fx) + flat[index + width + 1] * fx
        result[..., channel] = upper * (1 - fy) + lower * fy
    return result


def _resample_layer(
    layer: Image.Image,
    bounds: tuple[int, int, int, int],
    matrix: NDArray[np.float64],
    shape: tuple[int, int],
) -> Image.Image:
    """`layer` cut to `bounds` (zeros past its edge), then through `matrix` to `shape`."""
    if bounds != (0, 0, *layer.size):
        layer = layer.crop(bounds)
    height, width = shape
    (a, b, c), (d, e, f) = matrix
    scale = hypot(a, d)
    if abs(b) + abs(d) <= 1e-9 * scale and a > 0:
        box = (c, f, c + a * width, f + e * height)
        return layer.resize((width, height), Image.Resampling.BILINEAR, box, reducing_gap=3.0)
    if scale > 1:
        # Pillow's affine transform reads single pixels: shrink to the output's scale before it.
        size = (ceil(layer.width / scale), ceil(layer.height / scale))
        ratio_x, ratio_y = size[0] / layer.width, size[1] / layer.height
        layer = layer.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0)
        a, b, c, d, e, f = (*(ratio_x * v for v in (a, b, c)), *(ratio_y * v for v in (d, e, f)))
    return layer.transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )


def _to_layers(patch: NDArray[Any]) -> list[Image.Image]:
    """The fewest Pillow images that hold the channels of `patch`."""
    if patch.dtype == np.uint8 and (patch.ndim == 2 or patch.shape[2] == 3):
        return [Image.fromarray(np.ascontiguousarray(patch))]
    channels = patch[..., None] if patch.ndim == 2 else patch
    dtype = np.uint8 if patch.dtype == np.uint8 else np.float32
    channels = np.moveaxis(channels, -1, 0).astype(dtype, order="C")
    return [Image.fromarray(channel) for channel in channels]


def _clip(low: int, high: int, length: int) -> tuple[int, int]:
    return max(low, 0), min(high, length)


def _expand(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return sorted(p for p in path.iterdir() if _is_picture(p))
        if path.exists():
            return [path]
        matches = (Path(p) for p in sorted(glob.glob(str(path), recursive=True)))
        return [p for p in matches if p.is_file()]
    except (OSError, ValueError):  # no right to look, a name too long or with a null in it
        return []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise PhotoError(f"{path}: a folder in which no picture was found")
    if not path.exists():
        raise PhotoError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise PhotoError(f"{path}: an empty file")


def _check_size(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name}: {width} x {height} pixels, a photo needs {MIN_SIDE} on each side"
        )
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{name}: larger than {MAX_PIXELS // 10**6} megapixels")


def _from_image(image: Image.Image, name: str) -> NDArray[np.uint8]:
    _check_size(*image.size, name)
    try:
        image.load()
    except Exception as error:  # a format's decoder may raise anything on broken data
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise PhotoError(f"{name}: broken picture ({reason})") from None
    if image.getexif().get(_ORIENTATION, 1) != 1:  # Pillow would copy an upright picture, too
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _from_array(_wide_to_array(image), name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return _from_array(np.asarray(image), name)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _wide_to_array(image: Image.Image) -> NDArray[Any]:
    """Grey pictures of more than 8 bits, in a type whose range is known."""
    values = np.asarray(image)
    if image.mode == "F":
        return values if values.max() <= 1 else values / 255
    # Mode I has 32 bits, yet what it is read from has 16 (or 8: then nothing exceeds 255).
    limit = 255 if image.mode == "I" and values.max() <= 255 else 65535
    return np.clip(values, 0, limit) / limit


def _from_array(array: NDArray[Any], name: str = "the array") -> NDArray[np.uint8]:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise PhotoError(f"{name}: shape {array.shape}, a photo is (H, W) or (H, W, 1 to 4)")
    _check_size(array.shape[1], array.shape[0], name)
    values = _to_uint8(array, name)
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:].astype(np.float32) / 255
        values = np.rint(values[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _to_uint8(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise PhotoError(f"{name}: values outside [0, 1], where a float photo lies")
        return np.rint(array * 255).astype(np.uint8)
    raise PhotoError(f"{name}: {array.dtype} values; a photo is uint8, uint16, bool or float")
