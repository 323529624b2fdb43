"""Normals and what they send back; see `facerelief.render.shading` and `illumination`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def dot(a, b):
    """(N, 1) of vectors (N, 3)."""
    result = np.empty((len(a), 1), a.dtype)
    for n in range(len(a)):
        result[n, 0] = a[n, 0] * b[n, 0] + a[n, 1] * b[n, 1] + a[n, 2] * b[n, 2]
    return result


@kernel
def unit(vectors, least):
    """Vectors (N, 3) over their lengths, or over `least` where that is more."""
    result = np.empty_like(vectors)
    for n in range(len(vectors)):
        x, y, z = vectors[n, 0], vectors[n, 1], vectors[n, 2]
        length = max(np.sqrt(x * x + y * y + z * z), least)
        result[n, 0], result[n, 1], result[n, 2] = x / length, y / length, z / length
    return result


@kernel
def tilted(normals, slopes, gradients):
    """(N, 3) of normals (N, 3), slopes (N, K) and gradients (N, K, 3)."""
    result = np.empty_like(normals)
    for n in range(len(normals)):
        nx, ny, nz = normals[n, 0], normals[n, 1], normals[n, 2]
        x = y = z = np.float32(0)
        for k in range(slopes.shape[1]):
            x += slopes[n, k] * gradients[n, k, 0]
            y += slopes[n, k] * gradients[n, k, 1]
            z += slopes[n, k] * gradients[n, k, 2]
        along = x * nx + y * ny + z * nz
        x, y, z = nx - x + along * nx, ny - y + along * ny, nz - z + along * nz
        length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))
        result[n, 0], result[n, 1], result[n, 2] = x / length, y / length, z / length
    return result


@kernel
def vertex_normals(vertices, triangles):
    """(B, V, 3) sums of the areas about each vertex, as vectors."""
    total = np.zeros_like(vertices)
    areas = np.empty((len(triangles), 3), vertices.dtype)
    for item in range(len(vertices)):
        points, own = vertices[item], total[item]
        for t in range(len(triangles)):
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            ux, uy, uz = (
                points[b, 0] - points[a, 0],
                points[b, 1] - points[a, 1],
                points[b, 2] - points[a, 2],
            )
            vx, vy, vz = (
                points[c, 0] - points[a, 0],
                points[c, 1] - points[a, 1],
                points[c, 2] - points[a, 2],
            )
            areas[t, 0] = uy * vz - uz * vy
            areas[t, 1] = uz * vx - ux * vz
            areas[t, 2] = ux * vy - uy * vx
        for corner in range(3):
            for t in range(len(triangles)):
                vertex = triangles[t, corner]
                for axis in range(3):
                    own[vertex, axis] += areas[t, axis]
    return total
