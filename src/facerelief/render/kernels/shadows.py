"""Depth maps of far lights; see `facerelief.render.shadows`.

Points come in planes (3, N), and steps that the processor does for several points at a time are
loops of their own.
"""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def depth_maps(casters, axes, middle, cell, cells):
    """(D, cells * cells) heights of the highest of `casters` (3, P) in each cell, gaps closed."""
    maps = np.full((len(axes), cells * cells), -np.inf, casters.dtype)
    count = casters.shape[1]
    place, height = np.empty(count, np.int32), np.empty(count, casters.dtype)
    x, y, z = casters
    for light in range(len(axes)):
        own, turn, start, side = maps[light], axes[light], middle[light], cell[light]
        for n in range(count):
            column = (turn[0, 0] * x[n] + turn[0, 1] * y[n] + turn[0, 2] * z[n] - start[0]) / side
            row = (turn[1, 0] * x[n] + turn[1, 1] * y[n] + turn[1, 2] * z[n] - start[1]) / side
            height[n] = turn[2, 0] * x[n] + turn[2, 1] * y[n] + turn[2, 2] * z[n] - start[2]
            place[n] = _cell(row, cells) * cells + _cell(column, cells)
        for n in range(count):
            own[place[n]] = max(own[place[n]], height[n])
        _close(own.reshape(cells, cells))
    return maps


@kernel
def visibility(maps, points, normals, axes, middle, cell, cells, spread, taps):
    """(D, N) share of each light that reaches `points` (3, N); `spread` is (D,)."""
    seen = np.empty((len(axes), points.shape[1]), points.dtype)
    count = points.shape[1]
    column, row, height = np.empty((3, count), points.dtype)
    place = np.empty(count, np.int32)
    x, y, z = points
    nx, ny, nz = normals
    for light in range(len(axes)):
        own, turn, start, side = maps[light], axes[light], middle[light], cell[light]
        step, reached = spread[light], seen[light]
        half = step * np.float32(0.5) * np.float32(taps - 1)
        lift = (np.float32(1) + half) * side
        for n in range(count):
            px, py, pz = x[n] + nx[n] * lift, y[n] + ny[n] * lift, z[n] + nz[n] * lift
            column[n] = (turn[0, 0] * px + turn[0, 1] * py + turn[0, 2] * pz - start[0]) / side
            row[n] = (turn[1, 0] * px + turn[1, 1] * py + turn[1, 2] * pz - start[1]) / side
            up = turn[2, 0] * px + turn[2, 1] * py + turn[2, 2] * pz - start[2]
            height[n] = up + np.float32(0.3) * side
            reached[n] = 0
        for i in range(taps):
            down = np.float32(i) * step - half
            for j in range(taps):
                right = np.float32(j) * step - half
                for n in range(count):
                    place[n] = _cell(row[n] + down, cells) * cells + _cell(column[n] + right, cells)
                for n in range(count):
                    if own[place[n]] <= height[n]:
                        reached[n] += np.float32(1)
        for n in range(count):
            reached[n] /= np.float32(taps * taps)
    return seen


@kernel
def _cell(along, cells):
    """The cell at a number of cells from the middle; what is outside is put into the border."""
    place = along + np.float32(0.5) * np.float32(cells)
    return np.int32(min(place, np.float32(cells - 1))) if place > 0 else np.int32(0)


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
