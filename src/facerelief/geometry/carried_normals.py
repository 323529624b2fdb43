"""Normals carried onto a mesh: the displacement that turns its surface the way they say.

After Nehab et al., "Efficiently combining positions and normals for precise 3D geometry" (SIGGRAPH
2005): positions are trusted in what is large, normals in what is small. Each vertex moves along its
own normal N by d, and an edge of the moved mesh is to be at right angles to the normal n measured
there, n . (p_j + d_j N_j - p_i - d_i N_i) = 0; d itself is to be small. Both are linear in d: one
sparse system. Where nothing is measured, d is to be smooth, and fades.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facerelief.arrays import FloatArray
from facerelief.geometry.factorised import factorised
from facerelief.geometry.mesh import face_areas, face_normals, vertex_normals
from facerelief.geometry.normals import normalise

#: mm: waves of more than about six times this are the mesh's own, shorter ones the normals'.
LENGTH = 60.0
_STIFF = 0.3  # of an edge that nothing is measured at, over one with a measured normal
_SMOOTH = 0.01  # of every edge: normals are measured with noise
_BESIDE = 6  # edges off a triangle that turned over, where the next look is not believed
_ROUNDS = 2  # what is moved is seen elsewhere: it is looked up there again
_RINGS = 16  # of smoothed directions
_SMOOTHINGS = 12  # of what would turn triangles over
_AGREED = (0.3, 0.6)  # cosine of measured and own normal, over which one is believed


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh, and what of it does not change with what is measured."""

    vertices: FloatArray  # (V, 3) mm
    triangles: NDArray[np.integer]  # (T, 3)
    facing: FloatArray  # (T, 3) what a triangle must not turn away from; zero where it may

    @cached_property
    def normals(self) -> FloatArray:
        """(V, 3) unit."""
        return vertex_normals(self.vertices, self.triangles)

    @cached_property
    def directions(self) -> FloatArray:
        """(V, 3) unit: the normals, smoothed, so that what moves along them at sharp rims (lids,
        lips, nostrils) does not cross."""
        smooth = self.normals
        for _ in range(_RINGS):
            smooth = self.smoothed(smooth)
        return normalise(smooth)

    @cached_property
    def beside(self) -> sparse.csr_array:
        """(V, V) 1 for neighbours."""
        count, ends = len(self.vertices), np.concatenate([self.edges, self.edges[:, ::-1]]).T
        return sparse.csr_array((np.ones(ends.shape[1]), tuple(ends)), (count, count))

    def smoothed(self, values: FloatArray) -> FloatArray:
        """(V, ...) half of each, and half of its neighbours' mean."""
        number = np.maximum(self.beside.sum(axis=1), 1)
        spread: FloatArray = self.beside @ values
        return 0.5 * values + 0.5 * spread / number.reshape(-1, *[1] * (values.ndim - 1))

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """(E, 2) each once."""
        return self._edges[0]

    @cached_property
    def importance(self) -> FloatArray:
        """(E,) what an edge's squared difference weighs: its share of the area, by its length."""
        _, side = self._edges
        share = np.bincount(side, np.repeat(face_areas(self.vertices, self.triangles), 3) / 3)
        along = np.diff(self.vertices[self.edges], axis=1)[:, 0]
        return share / np.maximum((along**2).sum(-1), 1e-4)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """(V,) mm^2."""
        thirds = np.repeat(face_areas(self.vertices, self.triangles), 3) / 3
        total = np.bincount(self.triangles.ravel(), thirds, len(self.vertices))
        return total.astype(np.float64)

    def near(self, triangles: NDArray[np.bool_], edges: int) -> FloatArray:
        """(V,) 1 for what is at most so many edges off such triangles (T,), 0 elsewhere."""
        found = np.zeros(len(self.vertices))
        found[self.triangles[triangles]] = 1
        for _ in range(edges):
            found = np.minimum(found + self.beside @ found, 1)
        return found

    def displaced(self, by: FloatArray) -> FloatArray:
        """(V, 3) vertices after moves (V,) along their directions."""
        moved: FloatArray = self.vertices + by[:, None] * self.directions
        return moved

    def flipped(self, by: FloatArray) -> NDArray[np.bool_]:
        """(T,) triangles that such moves turn away from what they must face."""
        after = face_normals(self.displaced(by), self.triangles)
        turned: NDArray[np.bool_] = (self.facing * after).sum(-1) < 0
        return turned

    @cached_property
    def _edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        count, given = len(self.vertices), np.asarray(self.triangles, np.int64)
        keys = np.sort(np.stack([given, np.roll(given, -1, axis=1)], -1).reshape(-1, 2), axis=1)
        known, side = np.unique(keys[:, 0] * count + keys[:, 1], return_inverse=True)
        return np.stack(np.divmod(known, count), -1), side.ravel()


#: Of displacements (V,): the normals (V, 3) measured there, and how far each is believed (V,).
Look = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def carry_normals(surface: Surface, look: Look, *, length: float = LENGTH) -> FloatArray:
    """(V,) displacements, mm along the vertices' normals; no triangle is turned over.

    Args:
        look: says what is measured at the vertices as they are displaced: unit normals in the space
            of the mesh, and weights in [0, 1].
        length: mm, as `LENGTH`.
    """
    by: FloatArray = np.zeros(len(surface.vertices))
    believed = np.ones(len(by))
    for _ in range(_ROUNDS):
        normals, weight = look(by)
        by = _solved(surface, normals, weight * believed, length)
        believed = np.minimum(believed, 1 - surface.near(surface.flipped(by), _BESIDE))
    return unfolded(surface, by)


def unfolded(surface: Surface, by: FloatArray) -> FloatArray:
    """Displacements (V,), smoothed where they would turn triangles over: none is afterwards.

    Smoothing leaves no step, as making them smaller in one place would.
    """
    by, often = by.copy(), np.zeros(len(by))
    for _ in range(_SMOOTHINGS):
        over = surface.flipped(by)
        if not over.any():
            return by
        often[np.unique(surface.triangles[over])] += 1
        near = surface.near(over, 1 + int(often.max()))
        for _ in range(4):
            by += near * (surface.smoothed(by) - by)
    for _ in range(_SMOOTHINGS):
        by[surface.triangles[surface.flipped(by)]] *= 0.5
    return by if not surface.flipped(by).any() else np.zeros(len(by))


def _solved(surface: Surface, normals: FloatArray, weight: FloatArray, length: float) -> FloatArray:
    first, second = surface.edges.T
    count = len(surface.vertices)
    low, high = _AGREED  # else it is another part of the face that was looked at
    agreed = np.clip(((normals * surface.normals).sum(-1) - low) / (high - low), 0, 1)
    weight = weight * agreed
    believed = np.minimum(weight[first], weight[second])
    aim = normalise(normals[first] + normals[second])
    along = surface.vertices[second] - surface.vertices[first]
    start = np.where(believed > 0, (aim * surface.directions[first]).sum(-1), 1.0)
    end = np.where(believed > 0, (aim * surface.directions[second]).sum(-1), 1.0)
    gap = (aim * along).sum(-1)
    measured = surface.importance * believed
    smooth = surface.importance * (_STIFF * (1 - believed) + _SMOOTH)
    own = surface.areas / length**2 + 1e-9
    own += np.bincount(first, measured * start**2 + smooth, count)
    own += np.bincount(second, measured * end**2 + smooth, count)
    cross = -measured * start * end - smooth
    index = np.arange(count)
    system = sparse.csc_array(
        (
            np.concatenate([own, cross, cross]),
            (np.concatenate([index, first, second]), np.concatenate([index, second, first])),
        ),
        (count, count),
    )
    right = np.bincount(first, measured * start * gap, count)
    right -= np.bincount(second, measured * end * gap, count)
    solution: FloatArray = factorised(system).solve(right)
    return solution
