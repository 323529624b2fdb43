"""A contact sheet: many renderings at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.geometry.light import linear_to_srgb
from facerelief.geometry.normals import encode
from facerelief.samples.rendering import Rendering

_GAP = 4  # pixels between heads
_WHITE = 255


def contact_sheet(
    renderings: Sequence[Rendering], columns: int = 8, tile: int = 128, everything: bool = False
) -> NDArray[np.uint8]:
    """RGB picture of `renderings`, `columns` heads a row, each with its photo over its normals.

    With `everything` a head is a row of its pictures: photo, normals, smooth normals, depth,
    albedo, shading, and the face in green with what occludes it in red.
    """
    if everything:
        heads = [np.hstack(_panels(r, tile)) for r in renderings]
        columns = 1
    else:
        heads = [np.vstack(_panels(r, tile)[:2]) for r in renderings]
    height, width = heads[0].shape[:2]
    rows, columns = ceil(len(heads) / columns), min(columns, len(heads))
    sheet = np.full((rows * (height + _GAP), columns * (width + _GAP), 3), _WHITE, np.uint8)
    for index, head in enumerate(heads):
        top, left = index // columns * (height + _GAP), index % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = head
    return sheet[:-_GAP, :-_GAP]


def _panels(rendering: Rendering, tile: int) -> list[NDArray[np.uint8]]:
    known = rendering.mask | rendering.occluder
    masks = np.stack([rendering.occluder, rendering.mask, 0 * known], -1) * np.uint8(200)
    pictures = [
        rendering.photo,
        _normals(rendering.normals),
        _normals(rendering.normals_smooth),
        _depth(rendering.depth),
        rendering.albedo,
        np.rint(255 * linear_to_srgb(rendering.shading.astype(np.float32).clip(0, 1))),
        np.where(known[..., None], masks // 2 + rendering.photo // 2, rendering.photo),
    ]
    return [_resize(picture.astype(np.uint8), tile) for picture in pictures]


def _normals(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    present = normals.any(-1, keepdims=True)
    return np.where(present, encode(normals), 255).astype(np.uint8)


def _depth(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Near is bright; white where there is none."""
    known = np.isfinite(depth)
    if not known.any():
        return np.full((*depth.shape, 3), _WHITE, np.uint8)
    low, high = depth[known].min(), depth[known].max()
    near = (high - np.where(known, depth, low)) / max(high - low, 1e-6)
    grey = np.where(known, 20 + 200 * near, _WHITE)
    return np.repeat(grey[..., None], 3, -1).astype(np.uint8)


def _resize(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if picture.shape[0] == side:
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))
