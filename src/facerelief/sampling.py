"""Pictures looked up between their pixels: the one resampler, and single places."""

from __future__ import annotations

from math import ceil, floor, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.photo_files import Picture

_MOST = 40_000_000  # pixels between the corners of a look; more is shrunk before it is laid out
_LOOKS = 1 << 18  # places at a time: about 20 MB


def resample(
    image: NDArray[Any] | Picture, matrix: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[Any]:
    """Look `image` up at `matrix` (2, 3) times (x, y, 1), output pixels to image pixels.

    `matrix` must be a similarity. `image` is (H, W) or (H, W, C); the result has `shape`
    (height, width), the same channels, and zeros where it looks past the image. Antialiased:
    shrinking averages. uint8 stays uint8, anything else becomes float32.
    """
    if isinstance(image, Picture):
        image, factor, corner = image.at(hypot(*matrix[:, 0]))
        matrix = (matrix - np.column_stack([np.zeros((2, 2)), corner])) / factor
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


def bilinear(
    image: NDArray[Any] | Picture, places: NDArray[Any], scale: float = 1.0
) -> NDArray[np.float32]:
    """Values (..., C) of `image` (H, W, C) at pixels (..., 2), x and y; the edge's beyond it.

    The first pixel's centre is (0.5, 0.5). `scale` is about how many pixels lie between two
    places: with more than one, a smaller picture of a large photo is enough.
    """
    if isinstance(image, Picture):
        # Nothing averages here: a picture of one pixel a place is what a look at it needs.
        image, factor, corner = image.at(1.5 * scale)
        places = (places - np.array(corner)) / factor
    pixels = np.asarray(image)
    result = np.empty((*places.shape[:-1], pixels.shape[2]), np.float32)
    flat, looks = result.reshape(-1, pixels.shape[2]), places.reshape(-1, 2)
    for start in range(0, len(looks), _LOOKS):
        part = slice(start, start + _LOOKS)
        flat[part] = _looked_up(pixels, looks[part])
    return result


def _looked_up(image: NDArray[Any], places: NDArray[Any]) -> NDArray[np.float32]:
    """(n, C) at n > 0 places, as `bilinear` has them."""
    height, width, channels = image.shape
    x, y = places.astype(np.float32).T - np.float32(0.5)
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - left.astype(np.float32), y - top.astype(np.float32)
    gx, gy = 1 - fx, 1 - fy
    result = np.empty((len(places), channels), np.float32)
    x0, y0 = left.min(), top.min()
    part = image[y0 : top.max() + 2, x0 : left.max() + 2]
    width = part.shape[1]
    index = (top - y0) * width + (left - x0)
    below = index + width
    for channel in range(channels):
        flat = part[..., channel].astype(np.float32).ravel()
        upper = flat.take(index) * gx + flat[1:].take(index) * fx
        lower = flat.take(below) * gx + flat[1:].take(below) * fx
        result[:, channel] = upper * gy + lower * fy
    return result


def _resample_layer(
    layer: Image.Image,
    bounds: tuple[int, int, int, int],
    matrix: NDArray[np.float64],
    shape: tuple[int, int],
) -> Image.Image:
    """`layer` cut to `bounds` (zeros past its edge), then through `matrix` to `shape`."""
    x0, y0, x1, y1 = bounds
    scale = hypot(*matrix[:, 0])
    if (x1 - x0) * (y1 - y0) > _MOST and scale >= 3:
        factor = int(scale / 1.5)
        layer = layer.reduce(factor)
        left, top = x0 // factor, y0 // factor
        bounds = (left, top, ceil(x1 / factor), ceil(y1 / factor))
        matrix = matrix / factor + [[0, 0, x0 / factor - left], [0, 0, y0 / factor - top]]
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
