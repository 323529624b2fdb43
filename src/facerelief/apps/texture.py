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
from scipy import sparse
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
    own = _enlarged(_soft(_seen(shape.skin, texels), texels), factor)
    used = own[..., 0] > 0
    sampled = np.zeros((size, size, 3), np.float32)
    in_photo = crop.to_photo(filled(places)).astype(np.float32)
    sampled[used] = bilinear(photo, _enlarged(in_photo, factor)[used], crop.side / size)

    if gain is not None:
        sampled *= _enlarged(_written(gain, texels), factor)

    instead = (1 - own) * own[:, ::-1]
    # What is large is changed in place: a handful of such textures is what all else takes.
    unseen = instead[..., 0] > 0
    mirrored = sampled[:, ::-1][unseen] * instead[unseen]
    colours = sampled
    colours *= own
    colours[unseen] += mirrored
    known = own + instead
    rest = _diffused(colours, known[..., 0], size)
    rest *= 1 - known
    colours += rest
    del rest
    source = own * SEEN + instead * MIRRORED
    return Texture(_to_bytes(colours), _to_bytes(source[..., 0]))


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


def _enlarged(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """(S, S, C) to (S factor, S factor, C), bilinear; texel centres stay where they are."""
    size, _, channels = values.shape
    rows = _between(size, factor)
    tall = (rows @ values.reshape(size, -1)).reshape(-1, size, channels)
    wide = rows @ np.ascontiguousarray(tall.transpose(1, 0, 2)).reshape(size, -1)
    large: NDArray[np.float32] = wide.reshape(size * factor, -1, channels).transpose(1, 0, 2)
    return large


@lru_cache(maxsize=8)
def _between(size: int, factor: int) -> sparse.csr_array:
    """(size factor, size): each new row as a mixture of the two old ones that it lies between."""
    at = ((np.arange(size * factor) + 0.5) / factor - 0.5).clip(0, size - 1)
    low = np.minimum(at.astype(int), max(size - 2, 0))
    share = (at - low).astype(np.float32)
    places = np.stack([low, np.minimum(low + 1, size - 1)], 1)
    shares = np.stack([1 - share, share], 1)
    rows = np.repeat(np.arange(len(at)), 2)
    return sparse.csr_array((shares.ravel(), (rows, places.ravel())), (len(at), size))


def _diffused(
    colours: NDArray[np.float32], known: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """(size, size, 3): known colours (weighted already) spread, coarsely, over all that is not."""
    step = size // _COARSE
    shape = (_COARSE, step, _COARSE, step)
    total = colours.reshape(*shape, 3).mean((1, 3))
    weight = known.reshape(shape).mean((1, 3))[..., None]
    spread = np.zeros_like(total)
    have = np.zeros_like(weight)
    for sigma in (1, 3, 9, 27):
        blurred = gaussian_filter(total, (sigma, sigma, 0))
        amount = gaussian_filter(weight, (sigma, sigma, 0))
        share = np.clip(amount * 20, 0, 1) * (1 - have)
        spread += share * blurred / np.maximum(amount, 1e-6)
        have += share
    spread = spread / np.maximum(have, 1e-6)
    return _enlarged(spread.astype(np.float32), step)


def _to_bytes(values: FloatArray) -> NDArray[np.uint8]:
    """Rounded in place."""
    np.round(values, out=values)
    return np.clip(values, 0, 255, out=values).astype(np.uint8)
