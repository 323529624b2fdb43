"""Lengths and products of many vectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from facerelief.render.compiled import array, kernels


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(N, 1) products of vectors (N, 3)."""
    if compiled := kernels(a, b):
        return torch.from_numpy(compiled.dot(array(a), array(b)))
    return (a * b).sum(1, keepdim=True)


def unit(vectors: Tensor, least: float = 1e-12) -> Tensor:
    """Vectors (N, 3) over their lengths; over `least` if that is more."""
    if compiled := kernels(vectors):
        values = array(vectors)
        return torch.from_numpy(compiled.unit(values, values.dtype.type(least)))
    return normalize(vectors, dim=1, eps=least)


def tilted(normals: Tensor, slopes: Tensor, gradients: Tensor) -> Tensor:
    """Unit `normals` (N, 3) of a surface that rises by `slopes` (N, K) with K coordinates.

    `gradients` (N, K, 3) of the coordinates lie in the surface or nearly so.
    """
    if compiled := kernels(normals, slopes, gradients):
        given = map(array, (normals, slopes, gradients))
        return torch.from_numpy(compiled.tilted(*given))
    tilt = (slopes[:, None] @ gradients)[:, 0]
    return unit(normals - tilt + dot(tilt, normals) * normals)
