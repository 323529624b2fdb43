"""Reading textures; see `facerelief.render.textures`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def sample_bytes(texture, uv, linear, finer):
    """(N, C) linear colour, and alpha, of sRGB bytes; `linear` has `finer` steps a byte."""
    channels = texture.shape[2]
    result = np.empty((len(uv), channels), np.float32)
    for n in range(len(uv)):
        left, right, above, below, x, y = _neighbours(uv[n, 0], uv[n, 1], texture)
        a, b = texture[above, left], texture[above, right]
        c, d = texture[below, left], texture[below, right]
        for k in range(channels):
            high = _between(np.float32(a[k]), np.float32(b[k]), x)
            value = _between(high, _between(np.float32(c[k]), np.float32(d[k]), x), y)
            if k < 3:
                result[n, k] = linear[int(value * np.float32(finer) + np.float32(0.5))]
            else:
                result[n, k] = value / np.float32(255)
    return result


@kernel
def sample_numbers(texture, uv):
    """(N, C) of a texture of numbers."""
    result = np.empty((len(uv), texture.shape[2]), texture.dtype)
    for n in range(len(uv)):
        left, right, above, below, x, y = _neighbours(uv[n, 0], uv[n, 1], texture)
        a, b = texture[above, left], texture[above, right]
        c, d = texture[below, left], texture[below, right]
        for k in range(texture.shape[2]):
            result[n, k] = _between(_between(a[k], b[k], x), _between(c[k], d[k], x), y)
    return result


@kernel
def slopes(displacement, factor):
    """(H / factor, W / factor, 2) of means over `factor` x `factor`."""
    height, width = displacement.shape[0] // factor, displacement.shape[1] // factor
    means = displacement
    if factor > 1:
        means = np.zeros((height, width), displacement.dtype)
        share = np.float32(1) / np.float32(factor * factor)
        for row in range(height * factor):
            for column in range(width * factor):
                means[row // factor, column // factor] += displacement[row, column] * share
    result = np.empty((height, width, 2), displacement.dtype)
    for row in range(height):
        above, below = max(row - 1, 0), min(row + 1, height - 1)
        rise = np.float32(-height) / np.float32(below - above)
        run = np.float32(width) / np.float32(2)
        for column in range(width):
            result[row, column, 1] = (means[below, column] - means[above, column]) * rise
        for column in range(1, width - 1):
            result[row, column, 0] = (means[row, column + 1] - means[row, column - 1]) * run
        result[row, 0, 0] = (means[row, 1] - means[row, 0]) * np.float32(width)
        result[row, -1, 0] = (means[row, -1] - means[row, -2]) * np.float32(width)
    return result


@kernel
def uv_gradients(vertices, triangles, uv, uv_triangles):
    """(T, 2, 3) changes of u and v along the surface, per mm."""
    result = np.empty((len(triangles), 2, 3), vertices.dtype)
    for t in range(len(triangles)):
        p, q, r = triangles[t]
        i, j, k = uv_triangles[t]
        ax, ay, az = _edge(vertices, p, q)
        bx, by, bz = _edge(vertices, p, r)
        nx, ny, nz = _cross(ax, ay, az, bx, by, bz)
        area2 = max(nx * nx + ny * ny + nz * nz, np.float32(1e-12))
        second, third = _cross(bx, by, bz, nx, ny, nz), _cross(nx, ny, nz, ax, ay, az)
        for axis in range(2):
            a, b = uv[j, axis] - uv[i, axis], uv[k, axis] - uv[i, axis]
            result[t, axis, 0] = (a * second[0] + b * third[0]) / area2
            result[t, axis, 1] = (a * second[1] + b * third[1]) / area2
            result[t, axis, 2] = (a * second[2] + b * third[2]) / area2
    return result


@kernel
def _edge(vertices, a, b):
    return (
        vertices[b, 0] - vertices[a, 0],
        vertices[b, 1] - vertices[a, 1],
        vertices[b, 2] - vertices[a, 2],
    )


@kernel
def _cross(ax, ay, az, bx, by, bz):
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@kernel
def _neighbours(u, v, texture):
    """Columns, rows and shares of the four texels about a place."""
    height, width = texture.shape[0], texture.shape[1]
    x = u * np.float32(width) - np.float32(0.5)
    y = (np.float32(1) - v) * np.float32(height) - np.float32(0.5)
    low_x, low_y = np.floor(x), np.floor(y)
    column, row = int(low_x), int(low_y)
    return (
        min(max(column, 0), width - 1),
        min(max(column + 1, 0), width - 1),
        min(max(row, 0), height - 1),
        min(max(row + 1, 0), height - 1),
        x - low_x,
        y - low_y,
    )


@kernel
def _between(a, b, share):
    """As torch.lerp, which is exact at both ends."""
    if share < np.float32(0.5):
        return a + share * (b - a)
    return b - (b - a) * (np.float32(1) - share)
