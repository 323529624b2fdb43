"""A face's normals at its photo's own size: the network's shape, and relief from fine shading.

Networks look at 256 x 256 pixels. What is finer is read off the photo itself, at any size
(`geometry.shading_detail`), with brows, eyes and lips left out: their brightness is paint and hair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.light import srgb_to_linear
from facerelief.geometry.matte import matte
from facerelief.geometry.normals import normalise
from facerelief.geometry.shading_detail import NoLightError, shading_detail
from facerelief.images import Source, open_photo
from facerelief.photo_files import Picture
from facerelief.types import Crop, Face, Surface

#: Least and most pixels of a side. More would take gigabytes.
LEAST, MOST = 64, 1536

# What is left out, in the frame of the eyes: x along them and y upwards, in distances between the
# eyes from the middle of the two eyes or of the mouth's corners; then the ellipse's half axes.
_EYE = ((0.5, 0.0), (0.34, 0.19))
_BROW = ((0.52, 0.36), (0.46, 0.17))
_MOUTH = ((0.0, 0.0), (0.48, 0.23))
_SOFT = 0.3  # of an ellipse's radius, over which it ends


@dataclass(frozen=True, eq=False)
class FineSurface:
    """What a crop of some size shows of a face, in the crop's frame."""

    crop: Crop
    normals: NDArray[np.float32]  # (S, S, 3) unit; zero where alpha is
    mask: BoolArray  # (S, S)
    alpha: NDArray[np.float32]  # (S, S) in [0, 1], above a half in the mask: soft at hair
    relief: NDArray[np.float32] | None  # (S, S) crop pixels, outwards; None where no light was seen
    warnings: tuple[str, ...] = ()


def native_size(face: Face) -> int:
    """Pixels of a side at which the crop has the photo's own pixels, within `LEAST` and `MOST`."""
    return int(np.clip(round(face.crop.side), LEAST, MOST))


def fine_surface(
    face: Face,
    photo: Source,
    size: int | None = None,
    *,
    detail: bool = True,
    workers: int = 1,
) -> FineSurface:
    """A face's normals at another size of its crop.

    Args:
        face: as an estimator found it in `photo`, a path or what else `load_photo` reads.
        size: pixels of a side; the photo's own (`native_size`) when None.
        detail: whether to add what the photo's shading shows; the estimate is enlarged alone
            where not, and where the size is no larger than the estimate's.
        workers: threads.

    Raises:
        ValueError: a size out of bounds.
        PhotoError: the photo cannot be read.
    """
    size = native_size(face) if size is None else size
    if not LEAST <= size <= MOST:
        raise ValueError(f"a size is from {LEAST} to {MOST} pixels, not {size}")
    crop = replace(face.crop, size=size)
    scale = size / face.crop.size
    image = open_photo(photo)
    picture = crop.extract(image)
    if isinstance(image, Picture):
        image.keep(())  # a large one in full has no room beside what follows
    alpha, mask = _opacity(face, picture, scale)
    normals = normalise(resized(face.normals, size) * (alpha > 0)[..., None]).astype(np.float32)
    if not detail or size <= face.crop.size:
        return FineSurface(crop, normals, mask, alpha, None)
    linear = srgb_to_linear(picture / np.float32(255)).astype(np.float32)
    left_out = painted(crop, face.points)
    try:
        found = shading_detail(linear, normals, mask, scale, left_out, workers=workers)
    except NoLightError as error:
        return FineSurface(crop, normals, mask, alpha, None, (f"no detail: {error}",))
    normals = np.where(mask[..., None], found.normals, normals)
    return FineSurface(crop, normals, mask, alpha, found.relief)


def at_size(face: Face, photo: Source, size: int | None = None, detail: bool = True) -> Face:
    """`face` with the surface that `fine_surface` makes of it; it has no shape.

    Raises as `fine_surface` does.
    """
    fine = fine_surface(face, photo, size, detail=detail)
    error = None if face.expected_error is None else resized(face.expected_error, len(fine.mask))
    warnings = (*face.surface.warnings, *fine.warnings)
    surface = Surface(fine.normals, fine.mask, error, warnings, alpha=fine.alpha)
    return Face(replace(face.place, crop=fine.crop), surface, None, face.model)


def _opacity(
    face: Face, picture: NDArray[np.uint8], scale: float
) -> tuple[NDArray[np.float32], BoolArray]:
    """(S, S) alpha and mask; what a shape's drawing or the photo's edge ends, ends sharply."""
    size = len(picture)
    inside = resized(gaussian_filter(face.mask.astype(np.float32), 1), size)
    likely = face.surface.probability
    if likely is None:
        return np.clip(inside, 0, 1), inside > 0.5
    # The estimate's mask has lost its islands and pinholes, and what lies beyond the photo.
    likely = np.where(face.mask, np.maximum(likely, 0.5), np.minimum(likely, 0.5))
    alpha, mask = matte(resized(likely, size), picture / np.float32(255), scale)
    within = replace(face.crop, size=size).inside(face.photo_size)
    return alpha * within, mask & within


def resized(layer: FloatArray, size: int) -> NDArray[np.float32]:
    """A layer (S, S), or several (S, S, C), at another size, bicubic."""
    if layer.ndim == 3:
        return np.stack([resized(one, size) for one in np.moveaxis(layer, -1, 0)], axis=-1)
    image = Image.fromarray(np.ascontiguousarray(layer, np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def painted(crop: Crop, points: FloatArray) -> NDArray[np.float32] | None:
    """(S, S) in [0, 1]: eyes, brows and lips by the five points; None if they are not known."""
    if not np.isfinite(points).all():
        return None
    left, right, _, *mouth = crop.to_crop(points)
    along = right - left
    unit = float(np.hypot(*along))
    if not unit > 1:
        return None
    x_axis = along / unit
    y_axis = np.array([x_axis[1], -x_axis[0]])  # upwards; pixels run down
    corners = (left + right) / 2, np.mean(mouth, axis=0)
    parts = [(corners[0], s, *part) for part in (_EYE, _BROW) for s in (-1, 1)]
    parts.append((corners[1], 1, *_MOUTH))
    centres = np.arange(crop.size, dtype=np.float32) + np.float32(0.5)
    painted = np.zeros((crop.size, crop.size), np.float32)
    for origin, side, (right_by, up_by), (a, b) in parts:
        middle = origin + unit * (side * right_by * x_axis + up_by * y_axis)
        dx, dy = centres[None] - np.float32(middle[0]), centres[:, None] - np.float32(middle[1])
        x = (dx * x_axis[0] + dy * x_axis[1]) / (a * unit)
        y = (dx * y_axis[0] + dy * y_axis[1]) / (b * unit)
        inside = np.clip((1 + _SOFT - np.hypot(x, y)) / _SOFT, 0, 1)
        np.maximum(painted, inside, out=painted)
    return painted
