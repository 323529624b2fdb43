"""Catmull-Clark subdivision of quads as a sparse matrix, so that it serves whole linear models.

Catmull & Clark, "Recursively generated B-spline surfaces on arbitrary topological meshes",
Computer-Aided Design 10(6), 1978, with cubic B-spline curves at open borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Subdivision:
    """One step. New vertices are the old ones in their order, then one an edge, one a quad."""

    matrix: sparse.csr_array  # (V', V) weights of the old vertices
    quads: NDArray[np.int32]  # (4 Q, 4): part c of quad q is row 4 q + c, and begins at corner c
    edges: NDArray[np.int32]  # (E, 2) ends of each edge, the smaller first
    parents: NDArray[np.int32]  # (Q, 4) the quads it was made from

    def apply(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values (..., V, C) of the old vertices to (..., V', C)."""
        array = np.asarray(values)
        columns = np.moveaxis(array, -2, 0)
        result = self.matrix @ columns.reshape(len(columns), -1)
        return np.moveaxis(result.reshape(-1, *columns.shape[1:]), 0, -2)

    def carry(self, mask: ArrayLike) -> NDArray[np.bool_]:
        """A bool a vertex (V,): new vertices are in where all that they lie between are."""
        given = np.asarray(mask, bool)
        return np.concatenate(
            [given, given[self.edges].all(axis=1), given[self.parents].all(axis=1)]
        )

    def mirror(self, symmetry: ArrayLike) -> NDArray[np.int32]:
        """The mirrored vertex (V',) of each, from that of the old vertices (V,).

        Raises:
            ValueError: the mirrored quads are other quads.
        """
        old = np.asarray(symmetry)
        ends = _find(np.sort(old[self.edges], axis=1), self.edges)
        middles = _find(np.sort(old[self.parents], axis=1), np.sort(self.parents, axis=1))
        count = len(old)
        return np.concatenate([old, count + ends, count + len(ends) + middles]).astype(np.int32)


def catmull_clark(quads: ArrayLike, count: int, *, linear: bool = False) -> Subdivision:
    """Subdivide `quads` (Q, 4) of `count` vertices once; vertices of no quad stay.

    `linear` keeps the old vertices and puts the new ones at the middles: for texture coordinates,
    and for anything else that must not shrink.
    """
    old = np.asarray(quads).astype(np.int64)
    sides = np.stack([old, np.roll(old, -1, axis=1)], axis=-1)  # (Q, 4, 2) from corner c to c + 1
    low, high = np.sort(sides.reshape(-1, 2), axis=1).T
    # Single numbers sort many times faster than rows.
    known, side_edge = np.unique(low * count + high, return_inverse=True)
    edges, side_edge = np.stack(np.divmod(known, count), -1), side_edge.reshape(-1, 4)
    faces = np.arange(len(old))
    edge_points, face_points = count + side_edge, count + len(edges) + faces
    parts = np.stack(
        [old, edge_points, np.broadcast_to(face_points[:, None], old.shape),
         np.roll(edge_points, 1, axis=1)],
        axis=-1,
    )  # fmt: skip

    identity = sparse.eye_array(count, format="csr")
    middle_of_face = _rows(old, np.full(old.shape, 0.25), count)
    middle_of_edge = _rows(edges, np.full(edges.shape, 0.5), count)
    if linear:
        matrix = sparse.vstack([identity, middle_of_edge, middle_of_face])
    else:
        at_edge = _incidence(side_edge, len(edges))  # (E, Q)
        faces_at_edge = at_edge.sum(axis=1)
        border = faces_at_edge == 1
        inner_edge = 0.5 * middle_of_edge + _scale(0.5 / faces_at_edge) @ at_edge @ middle_of_face
        edge_rows = _scale(~border) @ inner_edge + _scale(border) @ middle_of_edge

        at_vertex = _incidence(old, count)  # (V, Q)
        ends = _incidence(edges.T, count, columns=len(edges))  # (V, E)
        valence = np.maximum(ends.sum(axis=1), 1)
        used = at_vertex.sum(axis=1)
        inner = (
            _scale(1 / np.maximum(used, 1) / valence) @ at_vertex @ middle_of_face
            + _scale(2 / valence**2) @ ends @ middle_of_edge
            + _scale((valence - 3) / valence)
        )
        border_ends = ends @ _scale(border)
        on_border = border_ends.sum(axis=1) == 2
        # A border vertex: 6/8 itself, 1/8 each neighbour along the border.
        rim = 0.25 * (border_ends @ middle_of_edge) + 0.5 * identity
        corner = (border_ends.sum(axis=1) > 0) & ~on_border
        stay = (used == 0) | corner
        vertex_rows = (
            _scale(~on_border & ~stay) @ inner
            + _scale(on_border & ~stay) @ rim
            + _scale(stay) @ identity
        )
        matrix = sparse.vstack([vertex_rows, edge_rows, middle_of_face])
    return Subdivision(
        sparse.csr_array(matrix),
        parts.reshape(-1, 4).astype(np.int32),
        edges.astype(np.int32),
        old.astype(np.int32),
    )


def _rows(columns: NDArray[np.int64], weights: NDArray[np.float64], count: int) -> sparse.csr_array:
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    shape = (len(columns), count)
    return sparse.csr_array((weights.ravel(), (rows, columns.ravel())), shape=shape)


def _incidence(
    members: NDArray[np.int64], count: int, columns: int | None = None
) -> sparse.csr_array:
    """(count, columns) of 0 and 1: which column (row of `members`) each member belongs to."""
    if columns is None:
        owner = np.repeat(np.arange(len(members)), members.shape[1])
        columns = len(members)
    else:
        owner = np.tile(np.arange(columns), len(members))
    data = np.ones(members.size)
    return sparse.csr_array((data, (members.ravel(), owner)), shape=(count, columns))


def _scale(values: ArrayLike) -> sparse.dia_array:
    return sparse.diags_array(np.asarray(values, np.float64))


def _find(wanted: NDArray, table: NDArray) -> NDArray[np.int64]:
    """Row of `table` that equals each row of `wanted`."""
    numbers = _numbered(np.concatenate([table, wanted]))
    if numbers.max(initial=-1) >= len(table):
        raise ValueError("the mesh is not its own mirror image")
    place = np.empty(len(table), np.int64)
    place[numbers[: len(table)]] = np.arange(len(table))
    return place[numbers[len(table) :]]


def _numbered(rows: NDArray) -> NDArray[np.int64]:
    """(n,) of rows (n, k) of numbers that are not negative: from 0 on, equal ones alike."""
    numbers = rows[:, 0].astype(np.int64)
    beyond = int(rows.max(initial=0)) + 1
    for column in rows.T[1:]:  # single numbers sort many times faster than rows
        numbers = np.unique(numbers * beyond + column, return_inverse=True)[1].ravel()
    return numbers
