"""A classical baseline: shape, albedo and light from one photo's shading, no training.

After SIRFS (Barron and Malik, "Shape, Illumination, and Reflectance from Shading", PAMI 2015): the
height Z, the spherical harmonic light L and, as what is left of the picture, the albedo are found
together, by the cost of the albedo (piecewise smooth: robust in its gradient), of the shape (smooth
in its curvature) and of the light. Faces get a prior that SIRFS has not: slopes stay near those of
a mean face. Z is a sum over a pyramid, so that coarse and fine shape move at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from facerelief.nn.losses import normalize
from facerelief.types import Estimate

_HARMONICS = 9  # of a light: up to order 2


@dataclass(frozen=True)
class Settings:
    """Weights of the costs, and how long to search."""

    size: int = 64  # pixels of the side at which is searched
    levels: int = 4  # of the pyramid
    steps: int = 150
    rate: float = 0.02
    prior: float = 8.0  # of slopes, squared, against the mean face's
    curvature: float = 1.0
    light: float = 0.03  # of the harmonics of order 1 and 2, squared
    edge: float = 0.3  # log albedo's gradients beyond this count as edges


def estimate(
    crops: NDArray[np.uint8], mean: NDArray[np.float32], settings: Settings | None = None
) -> Estimate:
    """Normals of crops (N, 256, 256, 3), RGB, from their shading and a mean face (256, 256, 3)."""
    settings = settings or Settings()
    size = settings.size
    photos = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    grey = F.interpolate(photos, size=size, mode="area").pow(2.2).mean(1, keepdim=True)
    face = torch.from_numpy(mean).permute(2, 0, 1)[None]
    face = normalize(F.interpolate(face, size=size, mode="area"))
    normals = solve((grey + 0.01).log(), face, settings)
    full = normalize(F.interpolate(normals, size=crops.shape[1], mode="bilinear"))
    found = np.ascontiguousarray(full.permute(0, 2, 3, 1).numpy())
    return Estimate(found, np.ones(found.shape[:3], np.bool_))


def solve(log_intensity: Tensor, mean: Tensor, settings: Settings) -> Tensor:
    """(B, 1, H, H) log intensities and a mean face (1, 3, H, H) to normals (B, 3, H, H)."""
    count, _, size, _ = log_intensity.shape
    base = _slopes_of(mean)
    pyramid = [
        torch.zeros(count, 1, size >> level, size >> level, requires_grad=True)
        for level in range(settings.levels)
    ]
    weight = _window(size)
    light = _fitted(log_intensity, mean, weight, settings.light).requires_grad_()
    optimizer = torch.optim.Adam([*pyramid, light], settings.rate)
    for _ in range(settings.steps):
        optimizer.zero_grad()
        slopes = base + _slopes(_height(pyramid, size))
        _cost(log_intensity, slopes, base, light, weight, settings).backward()
        optimizer.step()
    with torch.no_grad():
        return _normals(base + _slopes(_height(pyramid, size)))


def _cost(
    log_intensity: Tensor,
    slopes: Tensor,
    base: Tensor,
    light: Tensor,
    weight: Tensor,
    settings: Settings,
) -> Tensor:
    """Of each picture, summed: what it does not depend on, it does not move."""
    shading = torch.einsum("bk,bkhw->bhw", light, harmonics(_normals(slopes)))[:, None]
    albedo = log_intensity - shading
    change = slopes - base
    across, along = _step(albedo, 3)[..., :-1, :], _step(albedo, 2)[..., :-1]
    edges = torch.log1p((across.square() + along.square()) / settings.edge**2)
    bend = _step(change[:, :1], 3)[..., :-1, :] - _step(change[:, 1:], 2)[..., :-1]
    total = (
        (edges * weight[..., :-1, :-1]).mean((1, 2, 3))
        + settings.prior * change.square().mean((1, 2, 3))
        + settings.curvature * (_step(bend, 3)[..., :-1, :].square()
                                + _step(bend, 2)[..., :-1].square()).mean((1, 2, 3))
        + settings.light * light[:, 1:].square().sum(1)
    )  # fmt: skip
    return total.sum()


def harmonics(normals: Tensor) -> Tensor:
    """(B, 3, H, W) unit to the nine harmonics (B, 9, H, W), up to constants.

    As in SIRFS they make up the shading's logarithm, which no light can turn negative.
    """
    x, y, z = normals.unbind(1)
    parts = (torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1)
    return torch.stack(parts, 1)


def _fitted(log_intensity: Tensor, mean: Tensor, weight: Tensor, ridge: float) -> Tensor:
    """Least-squares light (B, 9) of log intensities on the mean face with an even albedo."""
    basis = harmonics(mean).flatten(2)[0].T  # (pixels, 9)
    weighted = basis * weight.flatten()[:, None] / weight.sum()
    gram = weighted.T @ basis + ridge * torch.eye(_HARMONICS)
    return torch.linalg.solve(gram, weighted.T @ log_intensity.flatten(1).T).T


def _window(size: int) -> Tensor:
    """(1, 1, size, size): one on the face of a crop, falling off outside of its ellipse."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    radius = ((axis[:, None] / 0.9).square() + (axis[None] / 0.75).square()).sqrt()
    return torch.sigmoid((1 - radius) * 12)[None, None]


def _height(pyramid: list[Tensor], size: int) -> Tensor:
    enlarged = [F.interpolate(part, size=size, mode="bilinear") for part in pyramid]
    return torch.stack(enlarged).sum(0)


def _step(values: Tensor, dimension: int) -> Tensor:
    length = values.shape[dimension] - 1
    return values.narrow(dimension, 1, length) - values.narrow(dimension, 0, length)


def _slopes(height: Tensor) -> Tensor:
    """(B, 1, H, W) in pixels to its slopes to the right and upwards (B, 2, H, W)."""
    right = F.pad(_step(height, 3), (0, 1, 0, 0), mode="replicate")
    up = -F.pad(_step(height, 2), (0, 0, 0, 1), mode="replicate")
    return torch.cat([right, up], 1)


def _slopes_of(normals: Tensor) -> Tensor:
    """Those of a surface with these normals; steep ones are bounded."""
    return (-normals[:, :2] / normals[:, 2:].clamp_min(0.15)).clamp(-5, 5)


def _normals(slopes: Tensor) -> Tensor:
    return normalize(torch.cat([-slopes, torch.ones_like(slopes[:, :1])], 1))
