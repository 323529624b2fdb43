"""Depth maps of far lights; see `facerelief.render.shadows`.

Points come in planes (3, N). Each step that the processor can take for several points at a time is
a loop of its own, and cells are unsigned, since numba looks whether signed ones count from the end.
"""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def depth_maps(casters, axes, middle, cell, cells):
    """(D, cells * cells) heights of the highest of `casters` (3, P) in each cell, gaps closed."""
    maps = np.full((len(axes), cells * cells), -np.inf, casters.dtype)
    count = casters.shape[1]
    place, height = np.empty(count, np.uint32), np.empty(count, casters.dtype)
    x, y, z = casters[0], casters[1], casters[2]
    centre = np.float32(0.5) * np.float32(cells)
    for light in range(len(axes)):
        own, (a, b, c) = maps[light], _in_cells(axes[light], middle[light], cell[light], centre)
        for n in range(count):
            column = a[0] * x[n] + a[1] * y[n] + a[2] * z[n] + a[3]
            row = b[0] * x[n] + b[1] * y[n] + b[2] * z[n] + b[3]
            height[n] = c[0] * x[n] + c[1] * y[n] + c[2] * z[n] + c[3]
            place[n] = _cell(row, cells) * np.uint32(cells) + _cell(column, cells)
        for n in range(count):
            own[place[n]] = max(own[place[n]], height[n])
        _close(own.reshape(cells, cells))
    return maps


@kernel
def visibility(maps, points, normals, axes, middle, cell, cells, spread, taps):
    """(D, N) share of each light that reaches `points` (3, N); `spread` is (D,)."""
    count = points.shape[1]
    seen = np.zeros((len(axes), count), points.dtype)
    column, row = np.empty(count, points.dtype), np.empty(count, points.dtype)
    height, place = np.empty(count, points.dtype), np.empty(count, np.uint32)
    x, y, z = points[0], points[1], points[2]
    nx, ny, nz = normals[0], normals[1], normals[2]
    one, zero = np.float32(1), np.float32(0)
    centre = np.float32(0.5) * np.float32(cells)
    for light in range(len(axes)):
        own, (a, b, c) = maps[light], _in_cells(axes[light], middle[light], cell[light], centre)
        reached, step, lower = seen[light], spread[light], np.float32(0.3) * cell[light]
        half = step * np.float32(0.5) * np.float32(taps - 1)
        lift = (one + half) * cell[light]
        for n in range(count):
            px, py, pz = x[n] + nx[n] * lift, y[n] + ny[n] * lift, z[n] + nz[n] * lift
            column[n] = a[0] * px + a[1] * py + a[2] * pz + a[3] - half
            row[n] = b[0] * px + b[1] * py + b[2] * pz + b[3] - half
            height[n] = c[0] * px + c[1] * py + c[2] * pz + c[3] + lower
        for i in range(taps):
            down = np.float32(i) * step
            for j in range(taps):
                right = np.float32(j) * step
                for n in range(count):
                    line = _cell(row[n] + down, cells) * np.uint32(cells)
                    place[n] = line + _cell(column[n] + right, cells)
                for n in range(count):
                    reached[n] += one if own[place[n]] <= height[n] else zero
        for n in range(count):
            reached[n] /= np.float32(taps * taps)
    return seen


@kernel
def _in_cells(axes, middle, cell, centre):
    """Factors and summand of column, row and height of a point."""
    a, b, c = axes[0], axes[1], axes[2]
    return (
        (a[0] / cell, a[1] / cell, a[2] / cell, centre - middle[0] / cell),
        (b[0] / cell, b[1] / cell, b[2] / cell, centre - middle[1] / cell),
        (c[0], c[1], c[2], -middle[2]),
    )


@kernel
def _cell(place, cells):
    """The cell of a place along a side; what is outside, or no number, is put into the border."""
    return np.uint32(min(max(np.int32(place), np.int32(0)), np.int32(cells - 1)))


@kernel
def _close(heights):
    """Cells that are -inf, amid cells that are not, get the least of their neighbours' greatest."""
    cells = len(heights)
    across, greatest = np.empty_like(heights), np.empty_like(heights)
    for i in range(cells):
        for j in range(cells):
            left, right = heights[i, max(j - 1, 0)], heights[i, min(j + 1, cells - 1)]
            across[i, j] = max(left, heights[i, j], right)
    for i in range(cells):
        for j in range(cells):
            above, below = across[max(i - 1, 0), j], across[min(i + 1, cells - 1), j]
            greatest[i, j] = max(above, across[i, j], below)
    for i in range(cells):
        for j in range(cells):
            if heights[i, j] == -np.inf and greatest[i, j] > -np.inf:
                least = greatest[i, j]
                for k in range(max(i - 1, 0), min(i + 2, cells)):
                    for m in range(max(j - 1, 0), min(j + 2, cells)):
                        least = min(least, greatest[k, m])
                heights[i, j] = least
