"""Places on a morphable model's surface, which move with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points on a model's surface: where each landmark of a scheme lies."""

    vertices: NDArray[np.int32]  # (N, 3) corners of the triangle that a point is on
    weights: NDArray[np.float64]  # (N, 3) barycentric, sum 1

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
        """Values (..., V, C) of the vertices at the anchors (..., N, C)."""
        corners = values[..., self.vertices, :].astype(np.float64)
        return np.einsum("nk,...nkc->...nc", self.weights, corners)

    def __getitem__(self, chosen: Any) -> Anchors:
        return Anchors(self.vertices[chosen], self.weights[chosen])
