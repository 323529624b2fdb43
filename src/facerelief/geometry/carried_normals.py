"""Normals carried onto a mesh: the displacement that turns its surface the way they say.

After Nehab et al., "Efficiently combining positions and normals for precise 3D geometry" (SIGGRAPH
2005): positions are trusted in what is large, normals in what is small. Each vertex moves along its
own normal N by d, and an edge of the moved mesh is to be at right angles to the normal n measured
there, n . (p_j + d_j N_j - p_i - d_i N_i) = 0; d itself is to be small. Both are linear in d: one
sparse system. Where nothing is measured, d is to be smooth, and fades.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facerelief.arrays import FloatArray
from facerelief.geometry.factorised import TwoGrids, factorised
from facerelief.geometry.moved_surface import Surface
from facerelief.geometry.normals import dot, normalise

#: mm: waves of more than about six times this are the mesh's own, shorter ones the normals'.
LENGTH = 100.0
_STIFF = 0.3  # of an edge that nothing is measured at, over one with a measured normal
_SMOOTH = 0.001  # of every edge: normals are measured with noise
_BESIDE = 1  # edges off a triangle that turned over, where the next look is not believed
_ROUNDS = 2  # what is moved is seen elsewhere: it is looked up there again
_AGREED = (-0.1, 0.2)  # cosine of measured and own normal, over which one is believed


#: Of displacements (V,): the normals (V, 3) measured there, and how far each is believed (V,).
Look = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def carry_normals(surface: Surface, look: Look, *, length: float = LENGTH) -> FloatArray:
    """(V,) displacements, mm along the vertices' directions.

    `Surface.unfolded` takes care that they turn no triangle over.

    Args:
        look: says what is measured at the vertices as they are displaced: unit normals in the space
            of the mesh, and weights in [0, 1].
        length: mm, as `LENGTH`.
    """
    by: FloatArray = np.zeros(len(surface.vertices))
    up, grids = surface.links.prolongation, None
    believed = np.ones(len(by))
    for _ in range(_ROUNDS):
        normals, weight = look(by)
        system, right = _system(surface, normals, weight * believed, length)
        if up is None:
            by = np.asarray(factorised(system.tocsc()).solve(right))
        else:
            grids = TwoGrids(system, up, grids)
            by = grids.solve(right, by)
        over = surface.flipped(surface.displaced(by))
        believed[surface.links.near(over, _BESIDE)] = 0
    return by


def _system(
    surface: Surface, normals: FloatArray, weight: FloatArray, length: float
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """(V, V), and the right side (V,): the displacements solve it."""
    first, second = surface.links.edges.T
    count = len(surface.vertices)
    low, high = _AGREED  # else it is another part of the face that was looked at
    agreed = np.clip((dot(normals, surface.normals) - low) / (high - low), 0, 1)
    weight = weight * agreed
    believed = np.minimum(weight[first], weight[second])
    aim = normalise(normals[first] + normals[second])
    along = surface.vertices[second] - surface.vertices[first]
    start = np.where(believed > 0, dot(aim, surface.directions[first]), 1.0)
    end = np.where(believed > 0, dot(aim, surface.directions[second]), 1.0)
    gap = dot(aim, along)
    measured = surface.importance * believed
    smooth = surface.importance * (_STIFF * (1 - believed) + _SMOOTH)
    own = surface.areas / length**2 + 1e-9
    own += np.bincount(first, measured * start**2 + smooth, count)
    own += np.bincount(second, measured * end**2 + smooth, count)
    cross = -measured * start * end - smooth
    index = np.arange(count)
    rows, columns = np.concatenate([index, first, second]), np.concatenate([index, second, first])
    entries = np.concatenate([own, cross, cross])
    system = sparse.csr_array((entries, (rows, columns)), (count, count))
    right = np.bincount(first, measured * start * gap, count).astype(np.float64)
    right -= np.bincount(second, measured * end * gap, count)
    return system, right
