"""Triangles on pixels; see `facerelief.render.raster`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def visible(points, triangles, height, width, perspective, cull_back_faces):
    """The nearest triangle (B, H, W), -1 for none, and which were drawn (B, T)."""
    batch, count = len(points), len(triangles)
    nearest = np.full((batch, height, width), -np.inf, points.dtype)
    seen = np.full((batch, height, width), -1, np.int64)
    drawn = np.zeros((batch, count), np.bool_)
    for item in range(batch):
        for index in range(count):
            a, b, c = _corners(points[item], triangles, index)
            if not _usable(a, b, c, perspective, cull_back_faces):
                continue
            drawn[item, index] = True
            left, right = _covered(a[0], b[0], c[0], width)
            top, bottom = _covered(a[1], b[1], c[1], height)
            for row in range(top, bottom):
                for column in range(left, right):
                    edges = _edges(a, b, c, column, row)
                    if _inside(edges):
                        depth = _meet(a, b, c, edges, perspective)[3]
                        # Of equals, the first in the list.
                        if depth > nearest[item, row, column]:
                            nearest[item, row, column] = depth
                            seen[item, row, column] = index
    return seen, drawn


@kernel
def seen_places(points, triangles, seen, perspective):
    """Barycentrics (B, H, W, 3), zero for none, and depth (B, H, W), NaN for none, of `visible`."""
    shares = np.zeros((*seen.shape, 3), points.dtype)
    depths = np.full(seen.shape, np.nan, points.dtype)
    batch, height, width = seen.shape
    for item in range(batch):
        for row in range(height):
            for column in range(width):
                index = seen[item, row, column]
                if index >= 0:
                    a, b, c = _corners(points[item], triangles, index)
                    u, v, w, depth = _meet(a, b, c, _edges(a, b, c, column, row), perspective)
                    shares[item, row, column, 0] = u
                    shares[item, row, column, 1] = v
                    shares[item, row, column, 2] = w
                    depths[item, row, column] = depth
    return shares, depths


@kernel
def fragments(points, triangles, height, width, perspective, behind):
    """Triangle (F,), pixel (F,), barycentrics (F, 3) and depth (F,) of one mesh (V, 3).

    Only those nearer than `behind` (H * W,).
    """
    room, count = 1024, 0
    triangle, pixel = np.empty(room, np.int64), np.empty(room, np.int64)
    places = np.empty((room, 4), points.dtype)
    for index in range(len(triangles)):
        a, b, c = _corners(points, triangles, index)
        if not _usable(a, b, c, perspective, False):
            continue
        left, right = _covered(a[0], b[0], c[0], width)
        top, bottom = _covered(a[1], b[1], c[1], height)
        for row in range(top, bottom):
            for column in range(left, right):
                edges = _edges(a, b, c, column, row)
                if not _inside(edges):
                    continue
                u, v, w, depth = _meet(a, b, c, edges, perspective)
                here = row * width + column
                if not depth > behind[here]:
                    continue
                if count == room:
                    room *= 2
                    triangle, pixel = _grown(triangle, room), _grown(pixel, room)
                    places = _grown(places, room)
                triangle[count], pixel[count] = index, here
                places[count, 0], places[count, 1] = u, v
                places[count, 2], places[count, 3] = w, depth
                count += 1
    return (
        triangle[:count].copy(),
        pixel[:count].copy(),
        places[:count, :3].copy(),
        places[:count, 3].copy(),
    )


@kernel
def _grown(values, room):
    larger = np.empty((room, *values.shape[1:]), values.dtype)
    larger[: len(values)] = values
    return larger


@kernel
def _corners(points, triangles, index):
    a, b, c = triangles[index, 0], triangles[index, 1], triangles[index, 2]
    return (
        (points[a, 0], points[a, 1], points[a, 2]),
        (points[b, 0], points[b, 1], points[b, 2]),
        (points[c, 0], points[c, 1], points[c, 2]),
    )


@kernel
def _usable(a, b, c, perspective, cull_back_faces):
    if not np.isfinite(a[0] + b[0] + c[0] + a[1] + b[1] + c[1] + a[2] + b[2] + c[2]):
        return False
    if perspective and not (a[2] < 0 and b[2] < 0 and c[2] < 0):
        return False
    if cull_back_faces:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) < 0
    return True


@kernel
def _covered(a, b, c, size):
    """First pixel whose centre lies between three coordinates, and one past the last."""
    half, low, high = np.float32(0.5), np.float32(0), np.float32(size)
    first = min(max(np.ceil(min(a, b, c) - half), low), high)
    last = min(max(np.floor(max(a, b, c) + half), low), high)
    return int(first), int(last)


@kernel
def _edges(a, b, c, column, row):
    x, y = np.float32(column + 0.5), np.float32(row + 0.5)
    ax, ay, bx, by, cx, cy = a[0] - x, a[1] - y, b[0] - x, b[1] - y, c[0] - x, c[1] - y
    return bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx


@kernel
def _inside(edges):
    u, v, w = edges
    # Without shortcuts, whose branches no processor could foretell.
    front, back = (u >= 0) & (v >= 0) & (w >= 0), (u <= 0) & (v <= 0) & (w <= 0)
    return (front | back) & (u + v + w != 0)


@kernel
def _meet(a, b, c, edges, perspective):
    """Barycentrics and depth where the ray of a pixel meets the triangle."""
    total = edges[0] + edges[1] + edges[2]
    u, v, w = edges[0] / total, edges[1] / total, edges[2] / total
    if perspective:
        u, v, w = u / a[2], v / b[2], w / c[2]
        depth = np.float32(1) / (u + v + w)
        return u * depth, v * depth, w * depth, depth
    return u, v, w, u * a[2] + v * b[2] + w * c[2]
