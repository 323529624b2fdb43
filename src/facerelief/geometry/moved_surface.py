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

    def near(self, triangles: NDArray[np.bool_], edges: int) -> NDArray[np.bool_]:
        """(V,) what is at most so many edges off such triangles (T,)."""
        return self.off(triangles, edges + 1) <= edges

    def off(self, triangles: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
        """(V,) how many edges off such triangles (T,), at most so many."""
        edges = np.full(self.count, most)
        reached = self.triangles[triangles].ravel()
        starts, counts = self.beside.indptr, np.diff(self.beside.indptr)
        for passed in range(most):
            edges[reached] = -1 - np.arange(len(reached))  # of one that comes twice the last counts
            reached = reached[edges[reached] == -1 - np.arange(len(reached))]
            edges[reached] = passed
            many = counts[reached]
            ends = np.cumsum(many)
            places = np.repeat(starts[reached] - ends + many, many) + np.arange(many.sum())
            reached = self.beside.indices[places]
            reached = reached[edges[reached] == most]
        return edges

    def touching(self, vertices: NDArray[np.bool_]) -> NDArray[np.intp]:
        """(n,) the triangles, by number, with a corner among such vertices (V,)."""
        a, b, c = self.corners
        return np.flatnonzero(vertices[a] | vertices[b] | vertices[c])

    @cached_property
    def corners(self) -> NDArray[np.intp]:
        """(3, T) the triangles, corner by corner."""
        return np.ascontiguousarray(self.triangles.T, np.intp)

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
            near = links.near(over, 2 + int(times.max()))
            self._smooth(moves, np.flatnonzero(near), 6 * often)
            again = links.touching(near)
            over[again] = chosen[again] & (self._turn(self.vertices + moves, again) < 0)
        return moves

    def _smooth(self, moves: FloatArray, moved: NDArray[np.intp], times: int) -> None:
        """Write into moves (V, 3), for those of the vertices `moved`, by number, half of each and
        half of its neighbours' mean, so many times."""
        links = self.links
        rows = links.beside[moved]
        beside = np.zeros(links.count, bool)
        beside[rows.indices] = True
        beside[moved] = False
        around = np.flatnonzero(beside)
        # What is not near need not be in memory that all passes go through.
        place = np.empty(links.count, np.intp)
        place[moved], place[around] = np.arange(len(moved)), len(moved) + np.arange(len(around))
        shares = np.repeat(0.5 / links.neighbours[moved], np.diff(rows.indptr))
        size = len(moved), len(moved) + len(around)
        mean = sparse.csr_array((shares, place[rows.indices], rows.indptr), size)
        values = np.concatenate([moves[moved], moves[around]])
        own = values[: len(moved)]
        for _ in range(times):
            spread = mean @ values
            own *= 0.5
            own += spread
        moves[moved] = own

    def _halved(self, moves: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
        """Moves (V, 3), smaller where they turn chosen triangles (T,) over; not all may yield."""
        moves = moves.copy()
        over = np.flatnonzero(chosen & self.flipped(self.vertices + moves))
        for _ in range(_OFTEN):
            if not len(over):
                break
            smaller = np.zeros(len(moves), bool)
            smaller[self.triangles[over]] = True
            moves[smaller] *= 0.5
            again = self.links.touching(smaller)
            over = again[chosen[again] & (self._turn(self.vertices + moves, again) < 0)]
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
        a, b, c = self.links.corners[:, chosen]
        # Column by column: rows of three are many times as slow.
        (ux, uy, uz), (vx, vy, vz) = zip(
            *((column[b] - (start := column[a]), column[c] - start) for column in vertices.T),
            strict=True,
        )
        x, y, z = self._facing[:, chosen]
        shown: FloatArray = (
            x * (uy * vz - uz * vy) + y * (uz * vx - ux * vz) + z * (ux * vy - uy * vx)
        )
        return shown

    @cached_property
    def _facing(self) -> FloatArray:
        return np.ascontiguousarray(self.facing.T)

    @cached_property
    def _areas(self) -> FloatArray:
        return face_areas(self.vertices, self.triangles)


def _smoothed(links: Links, values: FloatArray) -> FloatArray:
    for _ in range(_RINGS):
        values = links.smoothed(values)
    return values
