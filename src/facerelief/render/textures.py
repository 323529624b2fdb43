"""Reading textures at points, and the slope of a displaced surface."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from facerelief.geometry.light import srgb_to_linear
from facerelief.render.compiled import array, kernels

_FINER = 8  # steps of the table between two bytes
_LINEAR = torch.from_numpy(srgb_to_linear(np.linspace(0, 1, 255 * _FINER + 1)).astype(np.float32))


def reduce(texture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """A texture whose texels are the means of `factor` x `factor`."""
    if factor == 1:
        return texture
    return np.asarray(Image.fromarray(texture).reduce(factor))


def sample(texture: NDArray[np.uint8] | NDArray[np.float32], uv: Tensor) -> Tensor:
    """(N, C) bilinear values of a texture (H, W, C) at `uv` (N, 2), edges repeated.

    Bytes are taken as sRGB and give linear colour; a fourth channel is alpha and stays as it is.
    """
    if compiled := kernels(uv):
        texels, places = np.ascontiguousarray(texture), array(uv)
        if texels.dtype == np.uint8:
            made = compiled.sample_bytes(texels, places, array(_LINEAR), _FINER)
        else:
            made = compiled.sample_numbers(texels, places)
        return torch.from_numpy(made)
    stored = torch.from_numpy(np.array(texture)).to(uv.device)
    height, width = stored.shape[:2]
    side = torch.tensor([width, height], device=uv.device)
    return _bilinear(stored, torch.stack([uv[:, 0], 1 - uv[:, 1]], 1) * side - 0.5)


def _bilinear(stored: Tensor, at: Tensor) -> Tensor:
    height, width = stored.shape[:2]
    low = at.floor()
    share = (at - low)[:, :, None]
    column, row = low.int().unbind(1)
    left, right = column.clamp(0, width - 1), (column + 1).clamp(0, width - 1)
    above, below = row.clamp(0, height - 1) * width, (row + 1).clamp(0, height - 1) * width
    corners = ((above + left, above + right), (below + left, below + right))
    rows = [torch.lerp(_take(stored, a), _take(stored, b), share[:, 0]) for a, b in corners]
    values = torch.lerp(rows[0], rows[1], share[:, 1])
    if stored.dtype != torch.uint8:
        return values
    # Between its neighbours in encoded values, as most programs take it, and then to light.
    linear = _LINEAR.to(values.device)[(values[:, :3] * _FINER + 0.5).int()]
    return torch.cat([linear, values[:, 3:] / 255], 1)


def _take(stored: Tensor, index: Tensor) -> Tensor:
    """(N, C) float of the texels (H, W, C) at flat `index` (N,)."""
    if stored.dtype == torch.uint8 and stored.shape[2] == 4:
        # Four bytes are gathered as one number, several times faster.
        packed = stored.view(torch.int32).flatten().index_select(0, index)
        return packed[:, None].view(torch.uint8).float()
    return stored.flatten(0, 1).index_select(0, index).float()


def displacement_slopes(displacement: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """(H / factor, W / factor, 2) change of a displacement (H, W), mm, with u and with v."""
    if compiled := kernels():
        made: NDArray[np.float32] = compiled.slopes(np.ascontiguousarray(displacement), factor)
        return made
    height, width = (side // factor for side in displacement.shape)
    kept = displacement[: height * factor, : width * factor]
    means = kept.reshape(height, factor, width, factor).mean((1, 3))
    rows, columns = np.gradient(means)
    return np.stack([columns * width, -rows * height], -1).astype(np.float32)


def uv_gradients(vertices: Tensor, triangles: Tensor, uv: Tensor, uv_triangles: Tensor) -> Tensor:
    """(T, 2, 3): how u and v change along the surface of triangles, per mm.

    Args:
        vertices: (V, 3) mm. triangles: (T, 3). uv: (U, 2). uv_triangles: (T, 3). Zero for
            triangles without area.
    """
    if compiled := kernels(vertices, uv):
        places = array(vertices), array(triangles), array(uv), array(uv_triangles)
        return torch.from_numpy(compiled.uv_gradients(*places))
    planes = vertices.T.contiguous()
    p, q, r = (planes.index_select(1, corner) for corner in triangles.unbind(1))
    a, b = q - p, r - p
    normal = _cross(a, b)
    area2 = (normal * normal).sum(0).clamp_min(1e-12)
    # The gradient of a function that is 1 at one corner and 0 at the others.
    at_second, at_third = _cross(b, normal) / area2, _cross(normal, a) / area2  # (3, T)
    first, second, third = (uv.index_select(0, corner).T for corner in uv_triangles.unbind(1))
    change = second - first, third - first  # each (2, T)
    gradients = change[0][:, None] * at_second + change[1][:, None] * at_third  # (2, 3, T)
    return gradients.permute(2, 0, 1).contiguous()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Of vectors (3, T) in planes."""
    return torch.stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
