"""Ties between a head and what it wears: bound once to the mean, then a matrix product a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.closest import ClosestPoints


@dataclass(frozen=True, eq=False)
class SurfaceBinding:
    """Points that hug a mesh: a place in a triangle and an offset in its frame."""

    corners: IntArray  # (P, 3) vertices of the head
    barycentrics: NDArray[np.float32]  # (P, 3)
    offset: NDArray[np.float32]  # (P, 3) in the triangle's frame, mm
    scale: NDArray[np.float32]  # (P,) root of the triangle's doubled area when bound

    @classmethod
    def bind(
        cls,
        points: FloatArray,
        vertices: FloatArray,
        triangles: IntArray,
        anchors: FloatArray | None = None,
    ) -> SurfaceBinding:
        """Bind `points` (P, 3) to the triangle that is nearest to them, or to `anchors` (P, 3)."""
        found = ClosestPoints(vertices, triangles)(points if anchors is None else anchors)
        corners, weights = triangles[found.triangle], found.barycentrics
        frame, scale = _frames(vertices[corners])
        foot = np.einsum("pc,pcd->pd", weights, vertices[corners])
        offset = np.einsum("pfd,pd->pf", frame, points - foot)
        return cls(
            corners,
            weights.astype(np.float32),
            offset.astype(np.float32),
            scale.astype(np.float32),
        )

    def __call__(self, vertices: FloatArray) -> NDArray[np.float32]:
        """(P, 3) on the head with these `vertices` (V, 3)."""
        corners = vertices[self.corners]
        frame, scale = _frames(corners)
        grown = self.offset * (scale / self.scale)[:, None]
        foot = np.einsum("pc,pcd->pd", self.barycentrics, corners)
        result: NDArray[np.float32] = foot + np.einsum("pfd,pf->pd", frame, grown)
        return result.astype(np.float32)


def _frames(corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(P, 3 axes, 3): along the first edge, across it and the normal; and (P,) the size."""
    along = corners[:, 1] - corners[:, 0]
    normal = np.cross(along, corners[:, 2] - corners[:, 0])
    area = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    normal = normal / area[:, None]
    along = along / np.maximum(np.linalg.norm(along, axis=1), 1e-12)[:, None]
    return np.stack([along, np.cross(normal, along), normal], axis=1), np.sqrt(area)


class SpaceBinding:
    """Points around a mesh that follow it smoothly: a biharmonic spline through control vertices.

    The map of space from the mean to a head takes every control vertex to its place, is exact for
    affine maps and bends as little as possible in between (Duchon 1977). It is linear in the
    control vertices, so a head costs one matrix product.
    """

    def __init__(self, controls: IntArray, mean: FloatArray, points: FloatArray) -> None:
        """Args:
        controls: (K,) indices of vertices.
        mean: (V, 3) the vertices when bound.
        points: (P, 3) what is bound.
        """
        self.controls = controls
        spline = RBFInterpolator(mean[controls], np.eye(len(controls)), kernel="linear", degree=1)
        self.matrix = spline(points).astype(np.float32)  # (P, K)

    def __call__(self, vertices: FloatArray) -> NDArray[np.float32]:
        """(P, 3) around the head with these `vertices` (V, 3)."""
        result: NDArray[np.float32] = self.matrix @ vertices[self.controls].astype(np.float32)
        return result


def spread(points: FloatArray, count: int, start: int = 0) -> IntArray:
    """(count,) indices of points far from each other: each next is the farthest from all before."""
    count = min(count, len(points))
    chosen = np.empty(count, np.int64)
    distance = np.full(len(points), np.inf)
    chosen[0] = start
    for i in range(1, count):
        distance = np.minimum(distance, ((points - points[chosen[i - 1]]) ** 2).sum(axis=1))
        chosen[i] = distance.argmax()
    return chosen
