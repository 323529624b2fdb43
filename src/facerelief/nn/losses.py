"""Losses on normal maps. Every one is a mean over the valid pixels, so masks of any size agree."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_EPS = 1e-6


def normalize(vectors: Tensor) -> Tensor:
    """Unit vectors along dimension 1; zero stays zero.

    The built-in norm over a strided dimension is several times slower on CPUs.
    """
    return vectors * vectors.square().sum(1, keepdim=True).clamp_min(_EPS**2).rsqrt()


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B, C, H, W) values under a (B, 1, H, W) weight; zero where the weight is."""
    weight = weight.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(_EPS)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, H, W) unit vectors to the (B, 1, H, W) angle between them, radians.

    The arctangent form has a finite gradient where the vectors agree; arccos has not.
    """
    ax, ay, az = a.unbind(1)
    bx, by, bz = b.unbind(1)
    sine = (ay * bz - az * by) ** 2 + (az * bx - ax * bz) ** 2 + (ax * by - ay * bx) ** 2
    return torch.atan2((sine + _EPS**2).sqrt(), ax * bx + ay * by + az * bz)[:, None]


def cosine(normals: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """One minus the cosine of the angle (Cas-FNE, equation 5)."""
    return masked_mean(1 - (normals * target).sum(1, keepdim=True), weight)


def angular_vmf(normals: Tensor, concentration: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of the angular von Mises-Fisher distribution.

    Bae et al. 2021, equation 5: density proportional to exp(-kappa * angle) on the sphere.

    Args:
        normals, target: (B, 3, H, W) unit; concentration: (B, 1, H, W) kappa > 0.
    """
    theta = angle(normals, target)
    normaliser = -torch.log(concentration.square() + 1)
    tail = torch.log1p(torch.exp(-concentration * math.pi))
    return masked_mean(normaliser + concentration * theta + tail, weight)


def expected_angle(concentration: Tensor) -> Tensor:
    """Mean angle, radians, that a concentration stands for (Bae et al. 2021, equation 6)."""
    tail = torch.exp(-concentration * math.pi)
    return 2 * concentration / (concentration.square() + 1) + tail * math.pi / (1 + tail)


def total_variation(normals: Tensor) -> Tensor:
    """Mean L1 norm of the gradient of the normals mapped to [0, 1] (Cas-FNE, equation 6)."""
    picture = normals / 2 + 0.5
    horizontal = (picture[..., :, 1:] - picture[..., :, :-1]).abs().sum(1).mean()
    vertical = (picture[..., 1:, :] - picture[..., :-1, :]).abs().sum(1).mean()
    return horizontal + vertical


def blur(x: Tensor, factor: int) -> Tensor:
    """Low-pass by ``factor``: average pooling, which also lowers the resolution by it."""
    return F.avg_pool2d(x, factor)


def low_frequency(normals: Tensor, target: Tensor, weight: Tensor, factor: int = 8) -> Tensor:
    """Robust angle between averages over blocks: a smooth teacher says nothing about detail.

    The Charbonnier-like root keeps the pull of a grossly wrong teacher bounded.
    """
    share = blur(weight, factor)
    ours = normalize(blur(normals * weight, factor))
    theirs = normalize(blur(target * weight, factor))
    error = 1 - (ours * theirs).sum(1, keepdim=True)
    scale = 0.06  # one minus the cosine of 20 degrees, about what such teachers are off by
    robust = scale * (torch.sqrt(1 + error / scale * 2) - 1)
    return masked_mean(robust, share * (share > 0.5))


def binary(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy under a mask."""
    return masked_mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight)
