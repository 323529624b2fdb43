"""The skin of a photographed face as a texture: what is seen, its mirror image, and what is left.

A position map says for every texel where it is in the photo. What the photo does not show is filled
from the other half of the face, which the layout mirrors, and what neither shows by what lies round
it; a mask says which is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from facerelief.arrays import FloatArray
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh, skin_normals
from facerelief.geometry.uv import filled, skin_layout
from facerelief.images import Pixels
from facerelief.sampling import bilinear
from facerelief.types import Face

#: Values of `Texture.source`.
SEEN, MIRRORED, FILLED = 255, 128, 0

_SOFT = 0.015  # of the texture's side: over which one source gives way to the next
_COARSE = 64  # texels a side of what fills the rest
_ROWS = 64  # of a texture that are made at a time
_STEEPEST = 0.15  # cosine below which skin is seen too much from the side to be used


@dataclass(frozen=True, eq=False)
class Texture:
    """Colours in the layout of the built-in head: row 0 is v = 1."""

    colours: NDArray[np.uint8]  # (size, size, 3) sRGB
    source: NDArray[np.uint8]  # (size, size): SEEN, MIRRORED or FILLED, mixtures in between


def unwrap(photo: Pixels, face: Face, size: int = 1024, gain: FloatArray | None = None) -> Texture:
    """The texture of a face that has a position map.

    Args:
        photo: (H, W, 3) RGB, that the face is in.
        size: of the texture, pixels; a multiple of the map's.
        gain: (M, 3) for vertices of `skin_mesh`: what the colours that are seen there are
            multiplied by, so that another light falls on them.

    Raises:
        ValueError: another size, or a face without a shape.
    """
    shape = face.need_shape("texture")
    position, crop, points = shape.position, face.crop, shape.skin.points
    texels = len(position)
    if size % texels:
        raise ValueError(f"a texture of this face has a multiple of {texels} pixels, not {size}")
    factor = size // texels
    mask = skin_layout(SUBDIVISIONS, texels).mask
    # Eyes and mouth are where `read` spreads the skin, not where the map has sockets and a bag.
    inner = _written(skin_mesh().inner[:, None], texels)
    spread = _written(points[:, :2], texels)
    places = np.where(inner > 0, spread, np.asarray(position, np.float32)[..., :2])
    places[~mask] = np.nan
    seen = _soft(_seen(shape.skin, texels), texels)
    in_photo = crop.to_photo(filled(places)).astype(np.float32)
    brighter = None if gain is None else _written(gain, texels)
    colours = np.empty((3, size, size), np.float32)  # plane by plane: many times as quick
    known = np.empty((size, size), np.float32)
    source = np.empty((size, size), np.uint8)
    # A few rows at a time fit the processor's cache; nothing but the rest depends on all of them.
    for band in _bands(size):
        (own,) = _enlarged(seen, factor, band)
        sampled = _sampled(photo, _enlarged(in_photo, factor, band), own > 0, crop.side / size)
        if brighter is not None:
            sampled *= _enlarged(brighter, factor, band)
        instead = (1 - own) * own[:, ::-1]
        np.add(sampled * own, sampled[:, :, ::-1] * instead, out=colours[:, band])
        np.add(own, instead, out=known[band])
        source[band] = _to_bytes(own * SEEN + instead * MIRRORED)
    rest, step = _diffused(colours, known, size), size // _COARSE
    texture = np.empty((size, size, 3), np.uint8)
    for band in _bands(size):
        whole = colours[:, band] + _enlarged(rest, step, band) * (1 - known[band])
        texture[band] = np.moveaxis(_to_bytes(whole), 0, -1)
    return Texture(texture, source)


def _sampled(
    photo: Pixels, places: NDArray[np.float32], used: NDArray[np.bool_], scale: float
) -> NDArray[np.float32]:
    """(3, H, W) colours at the photo's pixels (2, H, W), zero where they are not used (H, W)."""
    sampled = np.zeros((3, used.size), np.float32)
    index = np.flatnonzero(used)
    if len(index):
        looks = places.reshape(2, -1).take(index, axis=1)
        sampled[:, index] = bilinear(photo, looks.T, scale).T
    return sampled.reshape(3, *used.shape)


def _bands(size: int) -> list[slice]:
    """Rows of a texture, so many at a time."""
    return [slice(start, start + _ROWS) for start in range(0, size, _ROWS)]


def _seen(skin: Skin, texels: int) -> NDArray[np.float32]:
    """(S, S, 1) 1 where the photo shows the texel, steeply or not, 0 where it does not."""
    seen = skin.visible.astype(np.float32)
    facing = skin_normals(skin.points)[:, 2]
    seen *= np.clip((facing - _STEEPEST) / _STEEPEST, 0, 1)
    return _written(seen[:, None], texels)


def _written(values: NDArray[Any], texels: int) -> NDArray[np.float32]:
    """Values (M, C) of `skin_mesh` as a map (texels, texels, C), zero off the charts."""
    layout = skin_layout(SUBDIVISIONS, texels)
    whole = np.zeros((len(layout.vertices), values.shape[1]), np.float32)
    whole[skin_mesh().source] = values
    return np.nan_to_num(layout.write(whole))


def _soft(weight: NDArray[np.float32], texels: int) -> NDArray[np.float32]:
    """Weights (S, S, 1) that have fallen to nothing at the border of what is not seen at all."""
    width = max(int(_SOFT * texels), 1)
    inside = np.clip(distance_transform_edt(weight[..., 0] > 0) / width - 1, 0, 1)
    soft: NDArray[np.float32] = uniform_filter(weight[..., 0] * inside, width)
    return soft[..., None].astype(np.float32)


def _enlarged(values: NDArray[np.float32], factor: int, band: slice) -> NDArray[np.float32]:
    """(S, S, C) to a band of the rows of (C, S factor, S factor), bilinear; texel centres stay
    where they are."""
    size = len(values)
    planes = np.moveaxis(values, -1, 0)
    low, high, share = (part[band, None] for part in _between(size, factor))
    tall = planes[:, low[:, 0]] * (1 - share) + planes[:, high[:, 0]] * share
    large = np.empty((*tall.shape[:2], size * factor), np.float32)
    for phase in range(factor):  # what every so many columns do is the same
        low, high, share = (part[phase::factor] for part in _between(size, factor))
        np.add(tall[..., low] * (1 - share), tall[..., high] * share, out=large[..., phase::factor])
    return large


@lru_cache(maxsize=8)
def _between(
    size: int, factor: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """(size factor,) each: the two old rows that a new one lies between, and the second's share."""
    at = ((np.arange(size * factor) + 0.5) / factor - 0.5).clip(0, size - 1)
    low = np.minimum(at.astype(np.intp), max(size - 2, 0))
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


def _diffused(
    colours: NDArray[np.float32], known: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """(64, 64, 3): known colours (3, size, size), weighted already, spread over all that is not."""
    step = size // _COARSE
    shape = (_COARSE, step, _COARSE, step)
    total = np.moveaxis(colours.reshape(3, *shape).mean((2, 4)), 0, -1)
    weight = known.reshape(shape).mean((1, 3))[..., None]
    spread = np.zeros_like(total)
    have = np.zeros_like(weight)
    for sigma in (1, 3, 9, 27):
        blurred = gaussian_filter(total, (sigma, sigma, 0))
        amount = gaussian_filter(weight, (sigma, sigma, 0))
        share = np.clip(amount * 20, 0, 1) * (1 - have)
        spread += share * blurred / np.maximum(amount, 1e-6)
        have += share
    coarse: NDArray[np.float32] = (spread / np.maximum(have, 1e-6)).astype(np.float32)
    return coarse


def _to_bytes(values: FloatArray) -> NDArray[np.uint8]:
    """Rounded in place."""
    np.round(values, out=values)
    return np.clip(values, 0, 255, out=values).astype(np.uint8)
