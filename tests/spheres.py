"""Spheres as triangle meshes, counter-clockwise seen from outside."""

import numpy as np

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.normals import normalise


def icosphere(subdivisions: int = 3, radius: float = 1.0) -> tuple[FloatArray, IntArray]:
    """A sphere of 20 * 4^subdivisions even triangles: vertices (V, 3) float64, triangles (T, 3)."""
    golden = (1 + np.sqrt(5)) / 2
    vertices = normalise(
        [
            [-1, golden, 0], [1, golden, 0], [-1, -golden, 0], [1, -golden, 0],
            [0, -1, golden], [0, 1, golden], [0, -1, -golden], [0, 1, -golden],
            [golden, 0, -1], [golden, 0, 1], [-golden, 0, -1], [-golden, 0, 1],
        ]
    )  # fmt: skip
    triangles: IntArray = np.array(
        [
            [0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11],
            [1, 5, 9], [5, 11, 4], [11, 10, 2], [10, 7, 6], [7, 1, 8],
            [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9],
            [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1],
        ]
    )  # fmt: skip
    for _ in range(subdivisions):
        vertices, triangles = _subdivide(vertices, triangles)
        vertices = normalise(vertices)
    return radius * vertices, triangles


def uv_sphere(
    rings: int = 32, segments: int = 64, radius: float = 1.0
) -> tuple[FloatArray, IntArray, FloatArray]:
    """A sphere of latitude and longitude, with its texture coordinates.

    Returns:
        vertices ((rings + 1) (segments + 1), 3) float64, triangles (2 rings segments, 3) less the
        flat ones at the poles, and uv (V, 2) with v upwards. u runs eastwards seen from outside
        and 1/2 faces the viewer (+z); the seam is behind, where vertices are doubled.

    Raises:
        ValueError: fewer than 2 rings or 3 segments.
    """
    if rings < 2 or segments < 3:
        raise ValueError(f"a sphere needs 2 rings and 3 segments, got {rings} and {segments}")
    v, u = np.meshgrid(np.linspace(0, 1, rings + 1), np.linspace(0, 1, segments + 1), indexing="ij")
    latitude, longitude = (v - 0.5) * np.pi, (2 * u - 1) * np.pi
    vertices = np.stack(
        [
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
            np.cos(latitude) * np.cos(longitude),
        ],
        axis=-1,
    ).reshape(-1, 3)
    index = np.arange(len(vertices)).reshape(rings + 1, segments + 1)
    a, b = index[:-1, :-1], index[:-1, 1:]  # lower left and right of each cell
    c, d = index[1:, :-1], index[1:, 1:]
    lower = np.stack([a, b, d], axis=-1)[1:]  # at the south pole a and b are one point
    upper = np.stack([a, d, c], axis=-1)[:-1]  # at the north pole c and d are
    triangles = np.concatenate([lower.reshape(-1, 3), upper.reshape(-1, 3)])
    return radius * vertices, triangles, np.stack([u, v], axis=-1).reshape(-1, 2)


def _subdivide(vertices: FloatArray, triangles: IntArray) -> tuple[FloatArray, IntArray]:
    """Every triangle into four at the middles of its edges."""
    edges = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1), axis=-1)
    unique, index = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    ab, bc, ca = (len(vertices) + index.reshape(-1, 3)).T
    a, b, c = triangles.T
    parts = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    triangles = np.concatenate([np.stack(part, axis=-1) for part in parts])
    return np.concatenate([vertices, vertices[unique].mean(axis=1)]), triangles
