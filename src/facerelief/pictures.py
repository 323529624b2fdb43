"""Pictures of an estimate for people to look at: shading, expected error, overlay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.light import seven_lights, shade
from facerelief.geometry.normals import encode
from facerelief.images import Pixels, seen_at
from facerelief.photo_frame import soft_mask
from facerelief.sampling import resample
from facerelief.types import Crop, Face

#: The expected-error picture's scale ends here, degrees; fixed, so that pictures compare.
ERROR_SCALE = 40.0

#: Longer side of an overlay, pixels: it is for looking, and a photo may have 100 megapixels.
OVERLAY_SIDE = 1600

#: The colour of a surface that faces the viewer.
FLAT = (128, 128, 255)

# Ten equal steps of matplotlib's viridis (CC0), dark to bright.
_VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
        (31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37),
    ]
)  # fmt: skip


def shading_row(normals: FloatArray, mask: BoolArray) -> NDArray[np.uint8]:
    """`normals` (H, W, 3) as a white matt surface under the seven lights, side by side.

    Returns (H, 7 W): frontal, azimuth -60, -30, 30, 60, elevation -45, 45; black outside `mask`.
    """
    # Planes first in memory: the sum over x, y and z is four times faster. One buffer for all
    # lights, because fresh memory costs more than the arithmetic.
    planar = np.moveaxis(np.ascontiguousarray(np.moveaxis(normals, -1, 0)), 0, -1)
    height, width = mask.shape
    lights = seven_lights()
    row = np.empty((height, len(lights), width), np.uint8)
    shading = np.empty(mask.shape, normals.dtype)
    for index, light in enumerate(lights):
        shade(planar, light, out=shading)
        np.clip(shading, 0, 1, out=shading)
        np.multiply(shading, 255, out=shading)
        row[:, index] = np.rint(shading, out=shading)
    row *= mask[:, None]
    return row.reshape(height, -1)


def colour_error(error: FloatArray) -> NDArray[np.uint8]:
    """Degrees (...) as colours (..., 3), dark for 0 to yellow for ERROR_SCALE and beyond."""
    return _viridis().take(_steps(error), axis=0)


def error_picture(error: FloatArray, mask: BoolArray) -> NDArray[np.uint8]:
    """The expected error (H, W), degrees, in colours beside its scale; (H, W + scale, 3)."""
    steps = np.where(mask, _steps(error), np.uint16(256))  # white
    return np.hstack([_viridis().take(steps, axis=0), _scale(len(error))])


def overlay(photo: Pixels, faces: Sequence[Face]) -> NDArray[np.uint8]:
    """The pixels of `overlay_image`."""
    return np.asarray(overlay_image(photo, faces))


def overlay_image(photo: Pixels, faces: Sequence[Face]) -> Image.Image:
    """`photo` with the normals of `faces` painted in, in the photo's frame, and numbered boxes.

    Shrunk to OVERLAY_SIDE where the photo is larger.
    """
    height, width = photo.shape[:2]
    factor = min(1.0, OVERLAY_SIDE / max(height, width))
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    image = Image.fromarray(seen_at(photo, 1 / factor)[0])
    if factor < 1:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    for face in faces:
        _paint(image, face, _scaled(face.crop, factor))
    draw = ImageDraw.Draw(image)
    for index, face in enumerate(faces):
        box = tuple(factor * edge for edge in face.box)
        draw.rectangle(box, outline="white")
        if len(faces) > 1:
            draw.text((box[0] + 3, box[1] + 1), str(index), "white", _font(12))
    return image


def film_picture(photo: NDArray[np.uint8], faces: Mapping[int, Face]) -> NDArray[np.uint8]:
    """A film's picture with the normals of its `faces`, by number, and numbered boxes; own size."""
    image = Image.fromarray(photo)
    for face in sorted(faces.values(), key=lambda face: face.crop.side):
        _paint(image, face, face.crop)
    draw = ImageDraw.Draw(image)
    for number, face in faces.items():
        draw.rectangle(face.box, outline="white")
        draw.text((face.box[0] + 3, face.box[1] + 1), str(number), "white", _font(12))
    return np.asarray(image)


def normals_picture(size: tuple[int, int], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """The normals of `faces` in their photo's frame and `size`, with FLAT where there is none."""
    height, width = size
    image = Image.new("RGB", (width, height), FLAT)
    for face in sorted(faces, key=lambda face: face.crop.side):
        _paint(image, face, face.crop)
    return np.asarray(image)


def _paint(image: Image.Image, face: Face, crop: Crop) -> None:
    """Paste the colours of a face's normals, turned into the photo's frame, where `crop` lies.

    Colours are resampled instead of normals: it is for looking, and several times faster.
    """
    window = rows, columns = crop.window((image.height, image.width))
    matrix = crop.window_to_crop(window)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if 0 in shape:
        return
    normals = face.normals if crop.angle == 0 else crop.rotate_normals_to_photo(face.normals)
    colours = resample(encode(normals), matrix, shape)
    alpha = np.rint(255 * soft_mask(face.mask)).astype(np.uint8)
    inside = resample(alpha, matrix, shape)
    image.paste(Image.fromarray(colours), (columns.start, rows.start), Image.fromarray(inside))


def _scaled(crop: Crop, factor: float) -> Crop:
    x, y = crop.centre
    return replace(crop, centre=(factor * x, factor * y), side=factor * crop.side)


def _steps(error: FloatArray) -> NDArray[np.uint8]:
    """Degrees (...) as rows of `_viridis`, 0 to 255."""
    steps = np.clip(error * np.float32(255 / ERROR_SCALE), 0, 255)
    return np.rint(steps).astype(np.uint8)


@lru_cache(maxsize=1)
def _viridis() -> NDArray[np.uint8]:
    """(257, 3): the scale in 256 steps, and white."""
    steps = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(np.linspace(0, 1, 256), steps, channel) for channel in _VIRIDIS.T]
    colours = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return np.concatenate([colours, np.full((1, 3), 255, np.uint8)])


@lru_cache(maxsize=4)
def _scale(height: int) -> NDArray[np.uint8]:
    """The colour scale (height, 96, 3), with degrees beside it."""
    top, bottom = 28, height - 12
    pixels = np.full((height, 96, 3), 255, np.uint8)
    bar = colour_error(np.linspace(ERROR_SCALE, 0, bottom - top))
    pixels[top:bottom, 12:28] = bar[:, None]
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    draw.text((8, 6), "expected error", "black", _font(11))
    for degrees in range(0, int(ERROR_SCALE) + 1, 10):
        y = bottom - (bottom - top - 1) * degrees / ERROR_SCALE
        label = f"{degrees}°" + (" or more" if degrees == ERROR_SCALE else "")
        draw.line((28, y, 31, y), "black")
        draw.text((34, y), label, "black", _font(11), anchor="lm")
    return np.asarray(image)


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
