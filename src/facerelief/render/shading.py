"""Torch twins of `facerelief.geometry.light` and of `mesh.vertex_normals`: equal to them by test.

Everything is batched and differentiable; frames, orders and units are those of the NumPy side.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from facerelief.geometry.light import COSINE_LOBE, SH_CONSTANTS
from facerelief.render.compiled import array, kernels
from facerelief.render.vectors import unit


def shade(normals: Tensor, light: Tensor) -> Tensor:
    """Shading (...) of unit `normals` (..., 3) under a far light from `light` (..., 3).

    max(n . l, 0); the batch shapes broadcast.
    """
    return (normals * light).sum(-1).clamp_min(0)


def sh_basis(directions: Tensor) -> Tensor:
    """The nine harmonics (..., 9) of unit `directions` (..., 3)."""
    x, y, z = directions.unbind(-1)
    polynomials = [torch.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return torch.stack(polynomials, -1) * directions.new_tensor(SH_CONSTANTS)


def shade_sh(normals: Tensor, coefficients: Tensor) -> Tensor:
    """Shading of unit `normals` (B, ..., 3) under one light an item.

    `coefficients` are (B, 9) or (B, 9, C) of the light's radiance; returns (B, ...) or
    (B, ..., C).
    """
    basis = sh_basis(normals) * normals.new_tensor(COSINE_LOBE)
    grey = coefficients.ndim == 2
    weights = coefficients[..., None] if grey else coefficients
    shading = (basis.flatten(1, -2) @ weights).unflatten(1, normals.shape[1:-1])
    return shading[..., 0] if grey else shading


def linear_to_srgb(values: Tensor) -> Tensor:
    """sRGB of linear light in [0, 1]; what is negative counts as 0, and has no gradient."""
    light = values.clamp_min(0)
    curve = 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curve)


def srgb_to_linear(values: Tensor) -> Tensor:
    """Linear light of sRGB `values` in [0, 1]; what is negative counts as 0, likewise."""
    given = values.clamp_min(0)
    return torch.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Area-weighted unit normals (B, V, 3) of `vertices` (B, V, 3) and `triangles` (T, 3)."""
    least = torch.finfo(vertices.dtype).tiny
    if compiled := kernels(vertices):
        areas = torch.from_numpy(compiled.vertex_normals(array(vertices), array(triangles)))
        return unit(areas.flatten(0, 1), least).view_as(areas)
    corners = triangles.unbind(1)
    # Gathered a coordinate at a time, which is several times faster than whole points.
    planes = vertices.movedim(-1, 0)
    a, b, c = (planes[:, :, corner] for corner in corners)
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    cross = torch.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], -1)
    total = torch.zeros_like(vertices)
    for corner in corners:
        total = total.index_add(1, corner, cross)
    return normalize(total, dim=-1, eps=least)
