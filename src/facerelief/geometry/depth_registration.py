"""Depth maps laid over a picture, and moved to where that picture's normals say that they belong.

Distances are mm along the camera's axis, NaN where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from facerelief.arrays import BoolArray, DoubleArray, FloatArray
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise

#: Of the distance: neighbours that differ by more are two surfaces.
JUMP = 0.03
_SEEN = 0.6  # of the mask that must have depth where a shift is tried


def laid(
    points: FloatArray, project: Callable[[FloatArray], DoubleArray], size: tuple[int, int]
) -> DoubleArray:
    """Distances (height, width) that a picture of `size` shows of a depth map's points.

    Args:
        points: (H, W, 3) camera space (z < 0 in front), NaN where the sensor saw nothing;
            neighbours are joined to a surface unless they differ by more than `JUMP`.
        project: camera space (..., 3) to (..., 3): pixels x, y of the picture, and the same z.
    """
    height, width = size
    screen = project(points)
    x, y, z = np.moveaxis(screen, -1, 0)
    with np.errstate(invalid="ignore"):
        inside = (x > -2) & (x < width + 2) & (y > -2) & (y < height + 2) & (z < 0)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if len(rows) < 2 or len(columns) < 2:
        return np.full(size, np.nan)
    screen = screen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    index = np.arange(screen[..., 0].size).reshape(screen.shape[:2])
    triangles = grid_triangles(index, screen[..., 2].ravel())
    raster = rasterise(screen.reshape(-1, 3), triangles, size, perspective=True)
    return -raster.depth


def grid_triangles(index: NDArray[np.integer], depth: FloatArray) -> NDArray[np.integer]:
    """(T, 3) of a grid of points (H, W), by their numbers, of which -1 is none.

    Points whose `depth`, by their numbers, differs by more than `JUMP` are not joined.
    """
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    cells = np.stack([[a, c, b], [b, c, d]]).reshape(2, 3, -1).transpose(0, 2, 1).reshape(-1, 3)
    triangles = cells[(cells >= 0).all(axis=1)]
    ends = depth[triangles]
    with np.errstate(invalid="ignore"):
        joined = np.ptp(ends, axis=1) < JUMP * np.abs(ends).min(axis=1)
    return triangles[joined]


def blurred(
    values: FloatArray, weight: FloatArray, sigma: float
) -> tuple[DoubleArray, DoubleArray]:
    """Gaussian means (H, W) over what has weight, and the blurred weight; 0 where it is none."""
    total = gaussian_filter(np.where(weight > 0, values, 0) * weight, sigma, mode="constant")
    amount = gaussian_filter(np.asarray(weight, np.float64), sigma, mode="constant")
    return np.divide(total, amount, out=np.zeros_like(total), where=amount > 1e-6), amount


def surface_normals(distance: FloatArray, rays: FloatArray) -> FloatArray:
    """(H, W, 3) unit, camera space, of distances (H, W) along rays (H, W, 3); zero beside none.

    Central differences, one-sided where a neighbour is missing.
    """
    points = distance[..., None] * rays
    across, down = _differences(points, 1), _differences(points, 0)
    return normalise(np.cross(down, across))


def _differences(points: FloatArray, axis: int) -> FloatArray:
    step = np.diff(points, axis=axis)
    edge = np.full_like(points.take([0], axis), np.nan)
    before, after = (np.concatenate(pair, axis) for pair in ((edge, step), (step, edge)))
    mean: FloatArray = np.where(np.isnan(before), after, before)
    both = ~(np.isnan(before) | np.isnan(after))
    return np.where(both, (before + after) / 2, mean)


@dataclass(frozen=True)
class Shift:
    """Where a depth map belongs, from where it lies."""

    pixels: tuple[float, float]  # right, down
    agreement: float  # mean cosine of both normals there
    at_end: bool  # whether it is the furthest that was tried: then it is no best one


def shift_between(
    measured: FloatArray, normals: FloatArray, mask: BoolArray, reach: int
) -> Shift | None:
    """How far the normals of a depth map are to be moved to lie on those of a picture.

    Args:
        measured: (H, W, 3) of the depth, smoothed; zero where there are none.
        normals: (H, W, 3) of the picture.
        mask: (H, W) where these are known.
        reach: pixels that are tried in each direction.

    Returns None where too little depth lies within reach.
    """
    known = np.linalg.norm(measured, axis=-1) > 0.5
    fixed = np.where(mask[..., None], normals, 0)

    def correlated(first: FloatArray, second: FloatArray) -> DoubleArray:
        """Sums over the picture of first at x times second at x - shift, by shift."""
        whole = fftconvolve(first, second[::-1, ::-1])
        row, column = (side - 1 for side in second.shape)
        window: DoubleArray = whole[
            row - reach : row + reach + 1, column - reach : column + reach + 1
        ]
        return window

    number = correlated(mask.astype(float), known.astype(float))
    total = sum(correlated(fixed[..., k], measured[..., k]) for k in range(3))
    enough = number > _SEEN * mask.sum()
    if not enough.any():
        return None
    score = np.where(enough, total / np.maximum(number, 1), -np.inf)
    row, column = np.unravel_index(score.argmax(), score.shape)
    at_end = not (0 < row < 2 * reach and 0 < column < 2 * reach)
    down, right = float(row - reach), float(column - reach)
    if not at_end:
        down += _vertex(score[row - 1 : row + 2, column])
        right += _vertex(score[row, column - 1 : column + 2])
    return Shift((right, down), float(score[row, column]), at_end)


def _vertex(three: FloatArray) -> float:
    """Where the parabola through three values at -1, 0 and 1 is highest."""
    low, middle, high = (float(value) for value in three)
    bend = low - 2 * middle + high
    return 0.5 * (low - high) / bend if np.isfinite(bend) and bend < 0 else 0.0
