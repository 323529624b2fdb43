"""Places on a morphable model's surface, which move with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from facerelief.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points on a model's surface: where each landmark of a scheme lies."""

    vertices: NDArray[np.int32]  # (N, 3) corners of the triangle that a point is on
    weights: NDArray[np.float64]  # (N, 3) barycentric, sum 1
    mesh: str = "the model"  # which surface, in words
    count: int | None = None  # its vertices, if only values of so many may be asked for

    @classmethod
    def at_vertices(cls, indices: ArrayLike) -> Anchors:
        """Anchors at vertices `indices` (N,)."""
        index = np.asarray(indices, np.int32)
        weights = np.zeros((len(index), 3))
        weights[:, 0] = 1
        return cls(np.repeat(index[:, None], 3, axis=1), weights)

    @classmethod
    def on_triangles(
        cls, triangles: ArrayLike, index: ArrayLike, barycentrics: ArrayLike
    ) -> Anchors:
        """Anchors on the triangles `index` (N,) of `triangles` (T, 3), `barycentrics` (N, 3)."""
        corners = np.asarray(triangles)[np.asarray(index)]
        return cls(corners.astype(np.int32), np.asarray(barycentrics, np.float64))

    def __len__(self) -> int:
        return len(self.vertices)

    def of(self, values: FloatArray) -> NDArray[np.float64]:
        """Values (..., V, C) of the vertices at the anchors (..., N, C).

        Raises ValueError for another number of vertices than that of the surface, if it is known:
        indices would be of other places.
        """
        if self.count not in (None, values.shape[-2]):
            raise ValueError(
                f"these places are on {self.mesh}, of {self.count} vertices; "
                f"they are others on a mesh of {values.shape[-2]}"
            )
        corners = values[..., self.vertices, :].astype(np.float64)
        return np.einsum("nk,...nkc->...nc", self.weights, corners)

    def __getitem__(self, chosen: Any) -> Anchors:
        return replace(self, vertices=self.vertices[chosen], weights=self.weights[chosen])

    def in_triangles(self, triangles: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which of `triangles` (T, 3) each anchor is on (N,), and its barycentrics there (N, 3).

        One at a vertex is on any triangle there. Raises ValueError for one that is on none.
        """
        rows = np.asarray(triangles)
        at_vertex = sparse.csr_array(
            (np.ones(rows.size, np.int8), (rows.ravel(), np.arange(rows.size) // 3)),
            shape=(max(rows.max(), self.vertices.max()) + 1, len(rows)),
        )
        index, weights = np.empty(len(self), np.int64), np.empty((len(self), 3))
        for place, (corners, shares) in enumerate(zip(self.vertices, self.weights, strict=True)):
            used = np.unique(corners)
            there = at_vertex[used].sum(axis=0) == len(used)
            if not there.any():
                raise ValueError(f"none of these triangles has place {place} on {self.mesh}")
            index[place] = np.argmax(there)
            weights[place] = (rows[index[place], :, None] == corners) @ shares
        return index, weights
