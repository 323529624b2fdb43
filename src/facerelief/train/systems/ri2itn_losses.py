"""What a relief looks like in a photo's light, and what is asked of it (equations 12, 13 and 20).

The photo loss compares texels of the unwrapped photo with those of the detailed face in the same
light, and no drawn picture with the photo. That is the same integral with its variable changed:
every texel counts by the area that it has in the picture, and by whether it is seen there. What it
leaves out is that a relief moves what it raises by a fraction of a pixel. It costs neither a
rasteriser nor a mesh of the texels, and has a gradient at every texel that is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from facerelief.data.sample import Layouts
from facerelief.geometry import laid_out
from facerelief.render.shading import linear_to_srgb, shade_sh, srgb_to_linear

_DIMMEST = 0.05  # as in `geometry.laid_out`
_SMALLEST = 0.02


@dataclass(frozen=True)
class Relief:
    """A coarse face that is raised by a displacement; twin of `geometry.laid_out`."""

    displacement: Tensor  # (B, 1, S, S) mm, along the coarse normals
    layouts: Layouts

    @cached_property
    def normals(self) -> Tensor:
        """(B, 3, S, S) unit, camera space."""
        right, down = duals(self.layouts.position, self.layouts.normals)
        dy, dx = gradients(self.displacement)
        return F.normalize(self.layouts.normals - dx * right - dy * down, dim=1)

    def drawn(self, rendering: Tensor) -> Tensor:
        """(B, 3, S, S) sRGB in the photo's light; `rendering` is the coarse face's."""
        shadings = [_lit(n, self.layouts.light) for n in (self.normals, self.layouts.normals)]
        return linear_to_srgb(srgb_to_linear(rendering) * shadings[0] / shadings[1])


def duals(position: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, S, S) each: see `geometry.laid_out.duals`."""
    down, right = gradients(position)
    area = (normals * torch.linalg.cross(right, down, dim=1)).sum(1, keepdim=True)
    sound = area.abs() > _SMALLEST
    scale = torch.where(sound, 1 / torch.where(sound, area, 1), 0)
    return (
        torch.linalg.cross(down, normals, dim=1) * scale,
        torch.linalg.cross(normals, right, dim=1) * scale,
    )


def gradients(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of (B, C, H, W) downwards and to the right, as `numpy.gradient` has them."""
    down, right = torch.gradient(maps, dim=(2, 3))
    return down, right


def photo_loss(drawn: Tensor, photo: Tensor, weights: Tensor) -> Tensor:
    """(B,) equation 15: mean length of the colours' differences, of values in [0, 1].

    Of (B, 3, S, S) each, and weights (B, 1, S, S).
    """
    apart = ((drawn - photo).square().sum(1, keepdim=True) + 1e-8).sqrt()
    return (apart * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp_min(1)


def texel_weights(visible: Tensor, layouts: Layouts, painted: bool) -> Tensor:
    """(B, 1, S, S) of the photo loss: seen skin, by its area in the picture over the mean's.

    Args:
        painted: with brows, lids and lips: see `geometry.laid_out.skin_weights`.
    """
    down, right = gradients(layouts.position)
    area = (right[:, :1] * down[:, 1:2] - right[:, 1:2] * down[:, :1]).abs()
    skin = torch.from_numpy(laid_out.skin_weights(visible.shape[-1], painted)).to(visible)
    weights = visible * skin * area.clamp_max(10)
    return weights / weights.mean((1, 2, 3), keepdim=True).clamp_min(1e-3)


def smoothness(relief: Relief, of_normals: float, of_depth: float) -> Tensor:
    """Equation 13: squared differences of neighbours, of what the relief adds, as means.

    Args:
        of_normals, of_depth: the paper's b_1 and b_2.
    """
    added = relief.normals - relief.layouts.normals
    return of_normals * _unevenness(added) + of_depth * _unevenness(relief.displacement)


def size(relief: Relief, of_normals: float = 1.0, of_depth: float = 1.0) -> Tensor:
    """Equation 20: squared relief, and squared change of the normals, as means."""
    added = relief.normals - relief.layouts.normals
    return (
        of_normals * added.square().sum(1).mean() + of_depth * relief.displacement.square().mean()
    )


def relief_loss(relief: Relief, normals: Tensor, known: Tensor) -> Tensor:
    """One minus the cosine to the true normals (B, 3, S, S), where they are `known`."""
    off = 1 - (relief.normals * normals).sum(1, keepdim=True)
    return (off * known).sum() / known.sum().clamp_min(1)


def _lit(normals: Tensor, light: Tensor) -> Tensor:
    return shade_sh(normals.movedim(1, -1), light).movedim(-1, 1).clamp_min(_DIMMEST)


def _unevenness(maps: Tensor) -> Tensor:
    """Over the neighbours of radius 1: right, down, and both diagonals."""
    pairs = (
        (maps[..., 1:], maps[..., :-1]),
        (maps[..., 1:, :], maps[..., :-1, :]),
        (maps[..., 1:, 1:], maps[..., :-1, :-1]),
        (maps[..., 1:, :-1], maps[..., :-1, 1:]),
    )
    return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).sum()
