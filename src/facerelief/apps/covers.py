"""What is before a photographed face: hair, glasses, hands, microphones.

Three witnesses are asked: the system of the shape, which may tell covers itself; the mask of a
system of normals, which knows hair and what lies beside the face; and the colours. Skin of one
person differs slowly: what stands out from the light and colour that the rest has, on a patch, is
something else, or lies in a hard shadow.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter, label
from scipy.spatial import cKDTree

from facerelief.apps.light_transfer import even
from facerelief.arrays import BoolArray
from facerelief.geometry.skin import drawn
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import Pixels
from facerelief.reconstruction import SkinShape
from facerelief.types import Face

#: Landmarks of brows, nostrils, eyes and lips, whose colours differ on every face, and how far
#: round them (mm of the mean head) nothing is told from colours.
_EYES, _BROWS, _ROUND = tuple(range(36, 48)), tuple(range(17, 27)), 7.0
_LOWER = (*range(31, 36), *range(48, 68))
#: Where glasses are: so far round the landmarks of the eyes (mm), if so much of it is not skin.
_ORBIT, _RIMS = 20.0, 0.08
_LEAST = (0.4, 0.2)  # what skin may differ at least in: log brightness, log colour
_DEVIATIONS = 4.0  # of the face's own spread: what it may differ in
_SMOOTH = 1.5  # crop pixels: moles, spots and noise are smaller
_PATCH, _MARGIN = 2, 3  # crop pixels: the smallest thing's side; its rim, which is half skin
_AREA = 40  # crop pixels of the smallest thing


def with_covers(photo: Pixels, face: Face, skin: BoolArray | None = None) -> Face:
    """The face, its shape knowing also what `skin` and the colours of `photo` say is covered.

    Args:
        photo: (H, W, 3) RGB, that the face is in.
        skin: (256, 256) where the crop shows the face, as the mask of a system of normals says.

    Raises:
        ValueError: a face without a shape.
    """
    shape = face.need_shape("covers")
    if not isinstance(shape, SkinShape):
        return face
    picture = face.crop.extract(photo)
    clear = np.ones(picture.shape[:2], bool) if skin is None else skin
    strange = _strange(picture, face, clear)
    size = face.crop.size
    x, y = np.floor(shape.skin.points[:, :2]).astype(int).T
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    at = y.clip(0, size - 1), x.clip(0, size - 1)
    covered = inside & strange[at]
    near = round_landmarks(_EYES, _ORBIT)
    if covered[near & shape.skin.visible].mean() > _RIMS:
        covered = covered | near  # glasses: what is behind them is theirs as well
    covered = covered | (inside & ~clear[at])
    if shape.skin.covered is not None:
        covered = covered | shape.skin.covered
    made = replace(shape, skin=replace(shape.skin, covered=covered))
    return replace(face, shape=made)


def features() -> BoolArray:
    """(M,) vertices of `skin_mesh` in and near brows, eyes, nostrils and lips."""
    return skin_mesh().inner | eyes() | round_landmarks(_LOWER, _ROUND)


def eyes() -> BoolArray:
    """(M,) vertices of `skin_mesh` in and near brows and eyes."""
    return round_landmarks(_EYES + _BROWS, _ROUND)


@lru_cache(maxsize=4)
def round_landmarks(numbers: tuple[int, ...], distance: float) -> BoolArray:
    """(M,) vertices of `skin_mesh` nearer than `distance` mm, on the mean head, to landmarks."""
    mesh = skin_mesh()
    nearest, _ = cKDTree(mesh.mean[mesh.landmarks[list(numbers)]]).query(mesh.mean)
    return np.asarray(nearest < distance)


def _strange(picture: NDArray[np.uint8], face: Face, clear: BoolArray) -> BoolArray:
    """(256, 256) what is not like the face's skin, though `clear` has it there."""
    shape = face.need_shape("covers")
    seen = shape.skin.mask & clear
    if seen.sum() < 1000:
        return ~seen
    rest = even(picture, shape.skin.normals, seen)
    weight = gaussian_filter(seen.astype(np.float32), _SMOOTH)
    rest = gaussian_filter(rest * seen[..., None], (_SMOOTH, _SMOOTH, 0))
    rest /= np.maximum(weight, 1e-3)[..., None]
    grey = rest.mean(-1)
    colour = np.linalg.norm(rest - grey[..., None], axis=-1)
    usual = seen & ~_drawn(features(), face)
    strange = np.zeros(seen.shape, bool)
    for value, least in zip((grey, colour), _LEAST, strict=True):
        middle = np.median(value[usual])
        spread = 1.4826 * np.median(np.abs(value[usual] - middle))
        strange |= np.abs(value - middle) > max(_DEVIATIONS * spread, least)
    strange = binary_opening(strange & usual, np.ones((_PATCH, _PATCH)))
    numbers, _ = label(strange)
    strange &= np.bincount(numbers.ravel())[numbers] >= _AREA
    return binary_dilation(strange, iterations=_MARGIN)


def _drawn(values: BoolArray, face: Face) -> BoolArray:
    """(256, 256) what is true of vertices, where the crop shows them."""
    raster, _ = drawn(face.need_shape("covers").skin.points, face.crop.size)
    return raster.interpolate(values.astype(np.float32)) > 0.5
