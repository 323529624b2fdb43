"""Nearest points of a triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.mesh import face_normals

#: Triangles that are tried for each point, by the distance of their centres.
_CANDIDATES = 24


@dataclass(frozen=True, eq=False)
class Closest:
    """Points on a surface."""

    points: FloatArray  # (N, 3)
    distance: FloatArray  # (N,) inf where no triangle was allowed
    triangle: IntArray  # (N,) row of the triangles
    barycentrics: FloatArray  # (N, 3)


class ClosestPoints:
    """Nearest points of a mesh, searched many times.

    Of each point, the 24 triangles with the nearest centres are tried: exact where triangles are
    of similar size nearby, as templates' are.
    """

    def __init__(self, vertices: FloatArray, triangles: IntArray) -> None:
        self.triangles = np.asarray(triangles)
        self.corners = np.asarray(vertices, float)[self.triangles]
        self.normals = face_normals(vertices, triangles)
        centres = self.corners.mean(axis=1)
        self.radius = np.linalg.norm(self.corners - centres[:, None], axis=-1).max(axis=1)
        self.tree = cKDTree(centres)

    def __call__(
        self, points: ArrayLike, normals: FloatArray | None = None, compatible: float = 0.3
    ) -> Closest:
        """The nearest point to each point (N, 3).

        Arguments:
            normals: (N, 3) of the points; triangles whose normal has a cosine below `compatible`
                to it are not allowed, which keeps lips, lids and nostrils apart.
        """
        p = np.asarray(points, float)
        count = min(_CANDIDATES, len(self.triangles))
        away, nearest = self.tree.query(p, k=count)
        away, nearest = away.reshape(len(p), count), nearest.reshape(len(p), count)
        best = Closest(p.copy(), np.full(len(p), np.inf), nearest[:, 0].copy(),
                       np.full((len(p), 3), 1 / 3))  # fmt: skip
        for k in range(count):
            # No point of a triangle is nearer than its centre less its radius.
            rows = np.flatnonzero(away[:, k] - self.radius[nearest[:, k]] < best.distance)
            if normals is not None:
                cosine = (normals[rows] * self.normals[nearest[rows, k]]).sum(axis=1)
                rows = rows[cosine >= compatible]
            candidate = nearest[rows, k]
            weights = _closest_in_triangles(p[rows], self.corners[candidate])
            foot = np.einsum("nc,ncx->nx", weights, self.corners[candidate])
            distance = np.linalg.norm(foot - p[rows], axis=-1)
            nearer = distance < best.distance[rows]
            rows = rows[nearer]
            best.points[rows], best.distance[rows] = foot[nearer], distance[nearer]
            best.triangle[rows], best.barycentrics[rows] = candidate[nearer], weights[nearer]
        return best


def _closest_in_triangles(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Barycentrics (..., 3) of the points of triangles (..., 3 corners, 3) nearest to points.

    The foot on the plane where it is inside, else the best of the three edges.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = ((ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1))
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    best = np.stack([1 - v - w, v, w], axis=-1)
    outside = (best < 0).any(axis=-1)
    shortest = np.where(outside, np.inf, 0)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = corners[..., j, :] - corners[..., i, :]
        along = ((points - corners[..., i, :]) * edge).sum(-1)
        t = np.clip(along / np.maximum((edge * edge).sum(-1), 1e-30), 0, 1)
        foot = corners[..., i, :] + t[..., None] * edge
        distance = ((points - foot) ** 2).sum(-1)
        weights = np.zeros((*t.shape, 3))
        weights[..., i], weights[..., j] = 1 - t, t
        nearer = outside & (distance < shortest)
        best = np.where(nearer[..., None], weights, best)
        shortest = np.where(nearer, distance, shortest)
    return best
