"""Nearest points of a mesh, against trying all of its triangles."""

import numpy as np
import pytest
import trimesh

from facerelief.geometry.closest import ClosestPoints
from spheres import icosphere


def test_nearest_points_are_those_of_all_triangles() -> None:
    vertices, triangles = icosphere(3, 50.0)
    g = np.random.default_rng(0)
    vertices = vertices * (1, 1.2, 0.9) + g.normal(0, 0.3, vertices.shape)
    points = g.normal(0, 40, (60, 3))
    points *= (60 / np.linalg.norm(points, axis=1))[:, None]
    found = ClosestPoints(vertices, triangles)(points)
    assert np.allclose(found.barycentrics.sum(axis=1), 1) and found.barycentrics.min() >= 0
    placed = np.einsum("nc,ncd->nd", found.barycentrics, vertices[triangles[found.triangle]])
    assert np.allclose(placed, found.points)
    for point, near in zip(points, found.points, strict=True):
        everywhere = trimesh.triangles.closest_point(
            vertices[triangles], np.repeat(point[None], len(triangles), axis=0)
        )
        best = np.linalg.norm(everywhere - point, axis=1).min()
        assert np.linalg.norm(near - point) == pytest.approx(best, abs=1e-6)
