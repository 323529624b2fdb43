"""Places on a morphable model's surface, which move with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        by_corner = np.argsort(rows, axis=None, kind="stable")  # of a corner, its triangles in turn
        first = np.searchsorted(rows.ravel()[by_corner], self.vertices[:, 0])
        last = np.searchsorted(rows.ravel()[by_corner], self.vertices[:, 0], side="right")
        most = int((last - first).max(initial=1))
        places = first[:, None] + np.arange(most)
        near = by_corner[np.minimum(places, rows.size - 1)] // 3  # (N, K) triangles
        same = rows[near][..., None] == self.vertices[:, None, None, :]  # (N, K, 3, 3)
        there = same.any(axis=2).all(axis=-1) & (places < last[:, None])
        missing = np.flatnonzero(~there.any(axis=1))
        if len(missing):
            raise ValueError(f"none of these triangles has place {missing[0]} on {self.mesh}")
        chosen = np.arange(len(self)), there.argmax(axis=1)
        return near[chosen].astype(np.int64), (same[chosen] * self.weights[:, None, :]).sum(axis=-1)
