"""A mesh with every triangle cut in four, whose first vertices are the old ones, where they were.

New vertices lie on the middles of the cubic curves that meet the vertices' normals (Vlachos et al.,
"Curved PN triangles", 2001): the surface between stays as round as its normals say it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facerelief.arrays import FloatArray
from facerelief.geometry.landmark_schemes import topology_mesh
from facerelief.geometry.moved_surface import Links
from facerelief.geometry.uv import UVLayout
from facerelief.once import once


@dataclass(frozen=True, eq=False)
class RefinedMesh:
    """The numbers of such a mesh; places are given to it."""

    given: NDArray[np.int32]  # (T, 3) the old triangles
    edges: NDArray[np.int64]  # (E, 2) ends of the old edges; at each middle is a new vertex
    triangles: NDArray[np.int32]  # (4 T, 3): parts 4 t to 4 t + 3 are of triangle t

    @classmethod
    def of(cls, triangles: NDArray[np.integer]) -> RefinedMesh:
        """That of triangles (T, 3); vertices that none of them has are not allowed."""
        given = np.asarray(triangles, np.int64)
        sides = np.stack([given, np.roll(given, -1, axis=1)], axis=-1)  # from corner c to c + 1
        keys = np.sort(sides.reshape(-1, 2), axis=1)
        count = int(given.max()) + 1
        # Single numbers sort many times faster than rows.
        known, side = np.unique(keys[:, 0] * count + keys[:, 1], return_inverse=True)
        ab, bc, ca = (count + side.reshape(-1, 3)).T
        a, b, c = given.T
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        cut = np.stack([np.stack(part, -1) for part in parts], 1)
        edges = np.stack(np.divmod(known, count), -1)
        return cls(given.astype(np.int32), edges, cut.reshape(-1, 3).astype(np.int32))

    @cached_property
    def links(self) -> Links:
        """Its neighbours, and the old mesh within it."""
        old = int(self.edges.max()) + 1
        count = old + len(self.edges)
        rows = np.concatenate([np.arange(old), np.repeat(np.arange(old, count), 2)])
        columns = np.concatenate([np.arange(old), self.edges.ravel()])
        shares = np.concatenate([np.ones(old), np.full(2 * len(self.edges), 0.5)])
        up = sparse.csr_array((shares, (rows, columns)), (count, old))
        return Links(self.triangles, count, Links(self.given, old), up)

    def linear(self, values: FloatArray) -> FloatArray:
        """Values (V, ...) of the old vertices to (V + E, ...), the mean in the middles."""
        return np.concatenate([values, values[self.edges].mean(axis=1)]).astype(values.dtype)

    def curved(self, vertices: FloatArray, normals: FloatArray) -> FloatArray:
        """(V + E, 3) of places (V, 3) and unit normals (V, 3)."""
        ends, turned = vertices[self.edges], normals[self.edges]
        along = ends[:, 1] - ends[:, 0]
        rise = np.einsum("ec,ekc->ek", along, turned)  # the curve leaves each end at right angles
        bent = (rise[:, 1:] * turned[:, 1] - rise[:, :1] * turned[:, 0]) / 8
        return np.concatenate([vertices, ends.mean(axis=1) + bent]).astype(vertices.dtype)


@once(maxsize=2)
def refined(topology: str = "face") -> RefinedMesh:
    """That of a topology of `landmark_schemes`. Shared: do not write into it."""
    return RefinedMesh.of(topology_mesh(topology).triangles)


@once(maxsize=2)
def refined_layout(topology: str = "face", size: int = 512) -> UVLayout:
    """Its texels. Shared: do not change it."""
    mesh = refined(topology)
    uv = mesh.linear(topology_mesh(topology).uv)
    return UVLayout(uv, mesh.triangles, mesh.triangles, len(uv), size)
