"""Triangle meshes: normals and checks.

Vertices are (..., V, 3), right-handed; triangles (T, 3) hold vertex indices, counter-clockwise
seen from outside. One set of triangles serves a whole batch of vertices.
"""

import numpy as np
from numpy.typing import ArrayLike

from facerelief.arrays import FloatArray
from facerelief.geometry.normals import normalise


def face_areas(vertices: ArrayLike, triangles: ArrayLike) -> FloatArray:
    """Areas (..., T) of the triangles."""
    return np.linalg.norm(_cross(vertices, triangles), axis=-1) / 2


def face_normals(vertices: ArrayLike, triangles: ArrayLike) -> FloatArray:
    """Unit normals (..., T, 3) of the triangles; zero for one without area."""
    return normalise(_cross(vertices, triangles))


def vertex_normals(vertices: ArrayLike, triangles: ArrayLike) -> FloatArray:
    """Unit normals (..., V, 3): those of the triangles round a vertex, weighted by their area.

    Zero for a vertex of no triangle.
    """
    vertices, triangles = np.asarray(vertices), np.asarray(triangles)
    cross = _cross(vertices, triangles)  # twice the area long: weighted already
    count, corners = vertices.shape[-2], triangles.ravel()
    columns = np.moveaxis(cross, -2, -1)
    total = [
        np.bincount(corners, np.repeat(one, 3), count)
        for one in columns.reshape(-1, len(triangles))
    ]
    sums = np.reshape(total, (*columns.shape[:-1], count)).astype(cross.dtype)
    return normalise(np.moveaxis(sums, -1, -2))


def check_mesh(vertices: ArrayLike, triangles: ArrayLike) -> None:
    """Raise ValueError, saying what is wrong, unless this is a usable mesh.

    Wrong are shapes, indices of no vertex, vertices that are not finite, triangles that use one
    vertex twice, and neighbours wound against each other or more than two at an edge. Open borders
    are right.
    """
    vertices, triangles = np.asarray(vertices), np.asarray(triangles)
    if vertices.ndim < 2 or vertices.shape[-1] != 3:
        raise ValueError(f"vertices must be (..., V, 3), got {vertices.shape}")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles must be (T, 3), got {triangles.shape}")
    if not np.issubdtype(triangles.dtype, np.integer):
        raise ValueError(f"triangles must be integers, got {triangles.dtype}")
    if not np.isfinite(vertices).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(vertices).all(-1))} vertices not finite")
    if triangles.size == 0:
        return
    count = vertices.shape[-2]
    if triangles.min() < 0 or triangles.max() >= count:
        raise ValueError(f"triangles name vertices outside 0..{count - 1}")
    if (triangles == np.roll(triangles, 1, axis=1)).any():
        raise ValueError("a triangle uses one vertex twice")
    # Wound alike, neighbours walk their common edge in opposite directions: none comes twice.
    start, end = triangles.astype(np.int64).ravel(), np.roll(triangles, -1, axis=1).ravel()
    if len(np.unique(start * count + end)) < len(start):
        raise ValueError(
            "neighbouring triangles are wound against each other, or share an edge with a third"
        )


def _cross(vertices: ArrayLike, triangles: ArrayLike) -> FloatArray:
    """(..., T, 3): along the normal of each triangle, twice its area long."""
    places = np.asarray(vertices)
    a, b, c = (places[..., corner, :] for corner in np.asarray(triangles).T)
    return np.cross(b - a, c - a)
