"""A triangle mesh whose vertices move along their own directions, and what it knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facerelief.arrays import FloatArray
from facerelief.geometry.mesh import face_areas, vertex_normals
from facerelief.geometry.normals import normalise

_RINGS = 48  # of smoothed directions
_OFTEN = 24  # times that what would turn triangles over is smoothed, and then halved
_FLAT = 1e-6  # mm^2, of twice the area: what has no more has no side that smoothing could keep


@dataclass(frozen=True, eq=False)
class Links:
    """Which vertices of triangles (T, 3) are neighbours: the same for all meshes that have them."""

    triangles: NDArray[np.integer]  # (T, 3)
    count: int  # of vertices
    coarse: Links | None = None  # of a coarser mesh, if there is one
    #: (V, W) of the W vertices of that: values there, and what lies between.
    prolongation: sparse.csr_array | None = None

    @property
    def edges(self) -> NDArray[np.int64]:
        """(E, 2) each once."""
        return self._edges[0]

    @property
    def sides(self) -> NDArray[np.intp]:
        """(3 T,) the edge from each triangle's corner to its next."""
        return self._edges[1]

    @cached_property
    def beside(self) -> sparse.csr_array:
        """(V, V) 1 for neighbours."""
        ends = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        return sparse.csr_array((np.ones(ends.shape[1]), tuple(ends)), (self.count, self.count))

    @cached_property
    def neighbours(self) -> NDArray[np.int64]:
        """(V,) how many, at least 1."""
        return np.maximum(np.diff(self.beside.indptr), 1).astype(np.int64)

    def smoothed(self, values: FloatArray) -> FloatArray:
        """(V, ...) half of each, and half of its neighbours' mean."""
        spread: FloatArray = self.beside @ values
        return 0.5 * values + 0.5 * spread / self.neighbours.reshape(-1, *[1] * (values.ndim - 1))

    def near(self, triangles: NDArray[np.bool_], edges: int) -> FloatArray:
        """(V,) 1 for what is at most so many edges off such triangles (T,), 0 elsewhere."""
        found = np.zeros(self.count)
        found[self.triangles[triangles]] = 1
        for _ in range(edges):
            found = np.minimum(found + self.beside @ found, 1)
        return found

    def off(self, triangles: NDArray[np.bool_], most: int) -> FloatArray:
        """(V,) how many edges off such triangles (T,), at most so many."""
        reached = self.near(triangles, 0)
        edges: FloatArray = np.zeros(self.count)
        for _ in range(most):
            edges += 1 - reached
            reached = np.minimum(reached + self.beside @ reached, 1)
        return edges

    @cached_property
    def _edges(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        given = np.asarray(self.triangles, np.int64)
        keys = np.sort(np.stack([given, np.roll(given, -1, axis=1)], -1).reshape(-1, 2), axis=1)
        known, side = np.unique(keys[:, 0] * self.count + keys[:, 1], return_inverse=True)
        return np.stack(np.divmod(known, self.count), -1), side.ravel()


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh, and what of it does not change with what is measured."""

    vertices: FloatArray  # (V, 3) mm
    links: Links
    facing: FloatArray  # (T, 3) what a triangle must not turn away from; zero where it may

    @property
    def triangles(self) -> NDArray[np.integer]:
        """(T, 3)"""
        return self.links.triangles

    @cached_property
    def normals(self) -> FloatArray:
        """(V, 3) unit."""
        return vertex_normals(self.vertices, self.triangles)

    @cached_property
    def directions(self) -> FloatArray:
        """(V, 3) unit: the normals, smoothed, so that what moves along them at sharp rims (lids,
        lips, nostrils) does not cross."""
        coarse, up = self.links.coarse, self.links.prolongation
        if coarse is None or up is None:
            return normalise(_smoothed(self.links, self.normals))
        return normalise(up @ _smoothed(coarse, self.normals[: coarse.count]))  # wider, and quicker

    @cached_property
    def importance(self) -> FloatArray:
        """(E,) what an edge's squared difference weighs: its share of the area, by its length."""
        share = np.bincount(self.links.sides, np.repeat(self._areas, 3) / 3)
        along = np.diff(self.vertices[self.links.edges], axis=1)[:, 0]
        return share / np.maximum((along**2).sum(-1), 1e-4)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """(V,) mm^2."""
        thirds = np.repeat(self._areas, 3) / 3
        total = np.bincount(self.triangles.ravel(), thirds, len(self.vertices))
        return total.astype(np.float64)

    def displaced(self, by: FloatArray) -> FloatArray:
        """(V, 3) vertices after moves (V,) along their directions."""
        moved: FloatArray = self.vertices + by[:, None] * self.directions
        return moved

    def flipped(self, vertices: FloatArray) -> NDArray[np.bool_]:
        """(T,) triangles that turn away with such vertices (V, 3)."""
        return self._turn(vertices) < 0

    def unfolded(self, by: FloatArray) -> FloatArray:
        """(V, 3) vertices after moves (V,), none of which turns a triangle over.

        Where one would, in hollows as nostrils are, the moves become alike: what all moves by
        the same vector keeps its shape, and no step is made, as by making moves smaller there.
        What that does not help, as triangles without area, stays where it is, and moves fade
        towards it over the edges that make a slope of it.
        """
        moves: FloatArray = by[:, None] * self.directions
        if self.flipped(self.vertices + moves).any():
            sided = self._turn(self.vertices) > _FLAT
            moves = self._stilled(self._halved(self._alike(moves, sided), sided))
        unfolded: FloatArray = self.vertices + moves
        return unfolded

    def _alike(self, moves: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
        """Moves (V, 3), smoothed where they turn chosen triangles (T,) over; not all may yield."""
        moves, links = moves.copy(), self.links
        times, over = np.zeros(len(moves)), chosen & self.flipped(self.vertices + moves)
        for often in range(1, _OFTEN + 1):
            if not over.any():
                break
            times[np.unique(self.triangles[over])] += 1
            near = links.near(over, 2 + int(times.max())) > 0
            moved = np.flatnonzero(near)
            rows = (0.5 / links.neighbours[moved, None] * links.beside[moved]).tocsr()
            for _ in range(6 * often):
                moves[moved] = 0.5 * moves[moved] + rows @ moves
            again = np.flatnonzero(near[self.triangles].any(axis=1))
            over[again] = chosen[again] & (self._turn(self.vertices + moves, again) < 0)
        return moves

    def _halved(self, moves: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
        """Moves (V, 3), smaller where they turn chosen triangles (T,) over; not all may yield."""
        moves = moves.copy()
        for _ in range(_OFTEN):
            over = chosen & self.flipped(self.vertices + moves)
            if not over.any():
                break
            moves[self.triangles[over]] *= 0.5
        return moves

    def _stilled(self, moves: FloatArray) -> FloatArray:
        """Moves (V, 3), none at triangles that would turn over, and rising in edges from there."""
        resting = self.flipped(self.vertices)  # moves are not to blame for these
        still = over = self.flipped(self.vertices + moves)
        if not over.any():
            return moves
        most = np.linalg.norm(moves[self.triangles[still]], axis=-1).max()
        reach, kept = int(most / np.sqrt(2 * self._areas.mean())), moves  # about 45 degrees
        while over.any():  # never those of before, whose corners are still: so it ends
            reach += 1
            kept = moves * (self.links.off(still, reach) / reach)[:, None]
            over = self.flipped(self.vertices + kept) & ~resting
            still = still | over
        return kept

    def _turn(self, vertices: FloatArray, chosen: Any = slice(None)) -> FloatArray:
        """(n,) twice the area, mm^2, that chosen triangles, by number, show in front with such
        vertices (V, 3); negative for those that turn away."""
        a, b, c = np.moveaxis(vertices[self.triangles[chosen]], 1, 0)
        (ux, uy, uz), (vx, vy, vz) = (b - a).T, (c - a).T
        x, y, z = self.facing[chosen].T
        shown: FloatArray = (
            x * (uy * vz - uz * vy) + y * (uz * vx - ux * vz) + z * (ux * vy - uy * vx)
        )
        return shown

    @cached_property
    def _areas(self) -> FloatArray:
        return face_areas(self.vertices, self.triangles)


def _smoothed(links: Links, values: FloatArray) -> FloatArray:
    for _ in range(_RINGS):
        values = links.smoothed(values)
    return values
