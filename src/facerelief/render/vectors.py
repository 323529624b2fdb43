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
