"""Pictures of a head laid out in its texture, what of it they show, and the other half's mirror.

The layout is symmetric about u = 1/2, the subject's left on its right: a map turned over, as by
`mirrored`, is that of the mirrored face. `facerelief.render.unwrapping` is the batched twin in
torch, equal by test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.camera import Camera
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.drawn_head import DrawnHead
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.geometry.uv import UVLayout

#: Cosine of the view's angle below which skin is seen too much from the side, and over which the
#: weight rises to 1.
STEEPEST = 0.15
#: How far behind the nearest surface a texel is still seen: mm, and pixels' widths, since depth is
#: known at the centres of pixels only.
HIDDEN = (2.0, 2.0)


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A picture in the layout of the head; zero where the picture has nothing."""

    colours: FloatArray  # (S, S, C)
    visible: FloatArray  # (S, S) in [0, 1]: 1 in full view, 0 hidden, turned away or outside


def unwrap(
    picture: ArrayLike, vertices: ArrayLike, head: DrawnHead, camera: Camera, layout: UVLayout
) -> Unwrapped:
    """Look up in a picture where each texel is.

    Args:
        picture: (H, W, C), of any range; between pixels it is bilinear.
        vertices: (V, 3) of `head` in camera space.
        layout: of the same triangles' vertices: `geometry.uv.skin_layout`.
    """
    image, points = np.asarray(picture, np.float64), np.asarray(vertices, np.float64)
    height, width = image.shape[:2]
    raster = rasterise(
        camera.project(points), head.triangles, (height, width),
        perspective=camera.perspective, cull_back_faces=True,
    )  # fmt: skip
    on = layout.mask
    normals = vertex_normals(points, head.triangles)
    view = -normalise(points) if camera.perspective else np.array([0.0, 0.0, 1.0])
    facing = (normals * view).sum(-1, keepdims=True)
    written = layout.write(np.concatenate([points, facing], 1))[on].astype(np.float64)
    place = camera.project(written[:, :3])
    beside = camera.unproject(place + np.array([1, 0, 0])) - written[:, :3]
    room = HIDDEN[0] + HIDDEN[1] * np.abs(beside[:, 0])
    x, y = place[:, 0], place[:, 1]
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    column, row = (
        np.clip(np.floor(np.where(inside, at, 0)).astype(int), 0, size - 1)
        for at, size in ((x, width), (y, height))
    )
    nearest = np.nan_to_num(raster.depth[row, column], nan=-np.inf)
    weight = np.clip((written[:, 3] - STEEPEST) / STEEPEST, 0, 1)
    weight = weight * inside * (written[:, 2] >= nearest - room)
    places = np.where(inside[:, None], np.stack([x / width, 1 - y / height], 1), 0)
    colours = np.zeros((*on.shape, image.shape[2]))
    colours[on] = sample_texture(image, places) * inside[:, None]
    visible = np.zeros(on.shape)
    visible[on] = weight
    return Unwrapped(colours, visible)


def mirrored(texels: FloatArray) -> FloatArray:
    """Maps (..., S, S, C) of the mirrored face."""
    return texels[..., ::-1, :]


def left_is_nearer(visible: ArrayLike) -> BoolArray:
    """(...) whether more of the subject's left is seen than of its right, of (..., S, S)."""
    shown = np.asarray(visible).sum(-2)
    middle = shown.shape[-1] // 2
    result: BoolArray = np.asarray(shown[..., middle:].sum(-1) > shown[..., :middle].sum(-1))
    return result


@dataclass(frozen=True, eq=False)
class Completed:
    """Maps whose farther half is the mirrored nearer one."""

    texels: FloatArray  # (S, S, C)
    visible: FloatArray  # (S, S) of what stands there now, in the half that it is from
    invented: BoolArray  # (S, S) replaced, and not seen by the camera itself


def with_farther_half_mirrored(texels: FloatArray, visible: FloatArray) -> Completed:
    """The farther half replaced by the mirrored nearer one (the paper's section 3.4).

    Args:
        texels: (S, S, C) such as colours or displacements.
        visible: (S, S) in [0, 1]; it decides which half is nearer.
    """
    size = visible.shape[-1]
    on_left = np.arange(size) >= size // 2
    replaced = on_left != left_is_nearer(visible)[..., None]
    return Completed(
        np.where(replaced[:, None], mirrored(texels), texels),
        np.where(replaced, visible[:, ::-1], visible),
        replaced & (visible < 0.5),
    )
