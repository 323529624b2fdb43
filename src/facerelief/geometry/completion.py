"""A whole head round a face: the morphable model goes on where a photo's face ends.

The network that found the face says something of neck and scalp too, but no photo showed them. A
statistical head that fits the face is a better guess, and joins it without a step.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh

_NOISE = 2.0  # mm, what face vertices are off by, beside coefficients of deviation 1
_EXPRESSION = 0.3  # standard deviation of an expression's weight
_EVERY = 3  # so many of the face's vertices are enough to fit
_FAR = 30.0  # mm from the face over which the model's own shape takes over
_NEAREST = 12  # vertices of the face's border that others follow


def completed(points: FloatArray) -> NDArray[np.float32]:
    """Points (M, 3) of `skin_mesh` with scalp and neck that fit the face.

    Head space, mm. The face's own vertices stay where they are.
    """
    mesh = skin_mesh()
    outer = np.flatnonzero(mesh.outer)[::_EVERY]
    basis, solver = _solver()
    off = (points[outer] - mesh.mean[outer]).ravel()
    model = mesh.mean + np.einsum("k,kvc->vc", solver @ off, basis)
    weights, nearest, rest = _blend()
    result = np.asarray(points, np.float32).copy()
    gap = points - model
    result[rest] = model[rest] + np.einsum("vk,vkc->vc", weights, gap[nearest])
    return result


@lru_cache(maxsize=1)
def _solver() -> tuple[FloatArray, FloatArray]:
    """Bases (K, M, 3) in standard deviations, and what takes offsets of some of the face's vertices
    to coefficients: the most likely ones (ridge regression)."""
    head, mesh = builtin_head(SUBDIVISIONS), skin_mesh()
    basis = np.concatenate([head.identity, _EXPRESSION * head.expression])[:, mesh.source]
    outer = np.flatnonzero(mesh.outer)[::_EVERY]
    a = basis[:, outer].reshape(len(basis), -1).astype(np.float64)
    normal = a @ a.T / _NOISE**2 + np.eye(len(a))
    return basis.astype(np.float32), np.linalg.solve(normal, a / _NOISE**2)


@lru_cache(maxsize=1)
def _blend() -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Of every vertex beyond the face: weights (R, k) of the border's (R, k), and its own index."""
    from scipy.spatial import cKDTree  # faces alone need not wait for it

    mesh = skin_mesh()
    crossing = mesh.triangles[mesh.face[mesh.triangles].any(1) & ~mesh.face_triangles]
    border = np.unique(crossing[mesh.face[crossing]])
    rest = np.flatnonzero(~mesh.face)
    away, nearest = cKDTree(mesh.mean[border]).query(mesh.mean[rest], k=_NEAREST)
    shares = 1 / np.maximum(away, 0.5) ** 2
    shares *= np.exp(-((away[:, :1] / _FAR) ** 2)) / shares.sum(1, keepdims=True)
    return shares.astype(np.float32), border[nearest], rest
