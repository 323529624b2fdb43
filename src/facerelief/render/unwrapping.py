"""Pictures of heads laid out in their texture; the twin of `facerelief.geometry.unwrapping`.

Batched, on any device, with gradients to the pictures and, through the places of the texels, to
vertices and camera. What is visible has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize

from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.raster import rasterise as numpy_rasterise
from facerelief.geometry.unwrapping import HIDDEN, STEEPEST
from facerelief.render.drawing import Pinhole
from facerelief.render.raster import Raster, rasterise
from facerelief.render.shading import vertex_normals


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """Pictures in the layout of the head; zero where they have nothing."""

    colours: Tensor  # (B, C, S, S)
    visible: Tensor  # (B, S, S) in [0, 1]: 1 in full view, 0 hidden, turned away or outside


class Unwrapper(nn.Module):
    """Looks up in pictures where each texel of the skin is.

    Args:
        size: texels along a side.
        fine: whether vertices are those of the fine `drawn_head`.
    """

    triangles: Tensor  # (T, 3) of the head
    corners: Tensor  # (N, 3) vertices of the triangle that each texel of the skin is on
    shares: Tensor  # (N, 3)
    texels: Tensor  # (N,) in the flat map

    def __init__(self, size: int, fine: bool = False) -> None:
        super().__init__()
        head, skin = drawn_head(fine), drawn_head(fine, skin_only=True)
        flat = skin.uv.reshape(-1, 2).astype(np.float64) * (size, -size) + (0, size)
        raster = numpy_rasterise(
            np.concatenate([flat, np.zeros((len(flat), 1))], 1),
            np.arange(len(flat)).reshape(-1, 3),
            (size, size),
        )
        on = raster.mask
        self.size = size
        arrays = {
            "triangles": head.triangles.astype(np.int64),
            "corners": skin.triangles[raster.triangle[on]].astype(np.int64),
            "shares": raster.barycentrics[on].astype(np.float32),
            "texels": np.flatnonzero(on),
        }
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def write(self, values: Tensor) -> Tensor:
        """(B, V, C) of the head's vertices at the texels of the skin (B, N, C)."""
        chosen = values.index_select(1, self.corners.flatten())
        return (chosen.unflatten(1, (-1, 3)) * self.shares.to(values)[..., None]).sum(2)

    def scatter(self, values: Tensor) -> Tensor:
        """(B, N, C) of the texels of the skin as maps (B, C, S, S); zero elsewhere."""
        flat = values.new_zeros(len(values), values.shape[2], self.size**2)
        return flat.index_copy(2, self.texels, values.mT).unflatten(2, (self.size, self.size))

    def forward(
        self,
        pictures: Tensor,
        vertices: Tensor,
        camera: Pinhole,
        raster: Raster | None = None,
    ) -> Unwrapped:
        """Unwrap `pictures` (B, C, H, W) of heads with `vertices` (B, V, 3) in camera space.

        `raster` is that of the same heads in pictures of that size, if there is one already.
        """
        height, width = pictures.shape[-2:]
        points = self.write(vertices)
        place = camera.project(points)
        x, y = place[..., 0], place[..., 1]
        grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)
        found = grid_sample(
            pictures, grid[:, :, None].to(pictures), padding_mode="border", align_corners=False
        )[..., 0]
        inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height) & (points[..., 2] < 0)
        colours = self.scatter((found * inside[:, None]).mT)
        with torch.no_grad():
            if raster is None:
                raster = rasterise(
                    camera.project(vertices), self.triangles, (height, width), perspective=True,
                    cull_back_faces=True,
                )  # fmt: skip
            weight = self._weight(vertices, points, place, camera, raster) * inside
        return Unwrapped(colours, self.scatter(weight[..., None])[:, 0])

    def _weight(
        self, vertices: Tensor, points: Tensor, place: Tensor, camera: Pinhole, raster: Raster
    ) -> Tensor:
        """(B, N) how well each texel is seen, where it is in the picture."""
        height, width = raster.mask.shape[1:]
        turned = vertex_normals(vertices, self.triangles)
        facing = -(turned * normalize(vertices, dim=-1)).sum(-1, keepdim=True)
        facing = self.write(facing)[..., 0]
        row = place[..., 1].nan_to_num().floor().clamp(0, height - 1).long()
        column = place[..., 0].nan_to_num().floor().clamp(0, width - 1).long()
        depth = raster.depth.flatten(1).gather(1, row * width + column)
        room = HIDDEN[0] + HIDDEN[1] * points[..., 2].abs() / camera.focal[:, None]
        near = points[..., 2] >= depth.nan_to_num(-torch.inf) - room
        return ((facing - STEEPEST) / STEEPEST).clamp(0, 1) * near


def left_is_nearer(visible: Tensor) -> Tensor:
    """(B,) whether more of the subject's left is seen than of its right, of (B, S, S)."""
    shown = visible.sum(-2)
    middle = shown.shape[-1] // 2
    return shown[..., middle:].sum(-1) > shown[..., :middle].sum(-1)


@dataclass(frozen=True, eq=False)
class Completed:
    """Maps whose farther half is the mirrored nearer one."""

    texels: Tensor  # (B, C, S, S)
    visible: Tensor  # (B, S, S) of what stands there now, in the half that it is from
    invented: Tensor  # (B, S, S) bool: replaced, and not seen by the camera itself


def with_farther_half_mirrored(texels: Tensor, visible: Tensor) -> Completed:
    """The farther half of maps (B, C, S, S) replaced by the mirrored nearer one, by `visible`."""
    size = visible.shape[-1]
    on_left = torch.arange(size, device=visible.device) >= size // 2
    replaced = on_left != left_is_nearer(visible)[:, None]  # (B, S) columns
    return Completed(
        torch.where(replaced[:, None, None], texels.flip(-1), texels),
        torch.where(replaced[:, None], visible.flip(-1), visible),
        replaced[:, None] & (visible < 0.5),
    )
