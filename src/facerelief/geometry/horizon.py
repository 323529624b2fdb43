"""Cast shadows on a depth map: from every pixel, how high its surroundings rise against the sky.

Horizon mapping (Max, "Horizon mapping: shadows for bump-mapped surfaces", The Visual Computer 4,
1988): the elevation of the horizon is found once for some compass directions, and a far light is
seen where it stands above it. Any light then costs one look-up a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray
from facerelief.easing import smooth_step

_GROWTH = 1.12  # of the steps that are looked ahead, once they are longer than a pixel
_BELOW = np.float32(-1e4)  # of what is off the map: it hides nothing


@dataclass(frozen=True, eq=False)
class Horizons:
    """The horizon's elevation towards A even compass directions, counter-clockwise from +x."""

    elevation: NDArray[np.float32]  # (A, H, W) degrees above the picture's plane, -90 for none

    @classmethod
    def of_depth(
        cls, depth: FloatArray, compass: int = 32, reach: float = 0.6, lift: float = 0.5
    ) -> Horizons:
        """Those of a height field.

        Args:
            depth: (H, W) pixels, nearer is larger; NaN where there is nothing, which neither
                throws shadows nor gets any.
            compass: directions.
            reach: how far is looked, in the map's longer sides.
            lift: pixels that places stand above the surface: less is lost to its own roughness.
        """
        height = np.where(np.isfinite(depth), depth, _BELOW).astype(np.float32)
        steps = _steps(reach * max(height.shape))
        slopes = np.empty((compass, *height.shape), np.float32)
        for index in range(compass):
            angle = 2 * np.pi * index / compass
            slopes[index] = _steepest(height, np.cos(angle), -np.sin(angle), steps, lift)
        return cls(np.degrees(np.arctan(slopes)))

    def reaching(self, direction: ArrayLike, softness: float) -> NDArray[np.float32]:
        """(H, W) in [0, 1]: how much of a far light is seen.

        Args:
            direction: (3,) towards it, camera space.
            softness: degrees over which it goes down behind the horizon: its own width, and what
                is not known of the surface.
        """
        return _reaching(self.elevation, direction, softness)

    def at(
        self, index: NDArray[np.int64], direction: ArrayLike, softness: float
    ) -> NDArray[np.float32]:
        """`reaching` at some of the map's pixels, counted along its rows."""
        flat = self.elevation.reshape(len(self.elevation), -1)
        return _reaching(flat, direction, softness, index)


def _reaching(
    elevation: NDArray[np.float32],
    direction: ArrayLike,
    softness: float,
    index: NDArray[np.int64] | slice = slice(None),
) -> NDArray[np.float32]:
    x, y, z = (float(value) for value in np.asarray(direction, np.float64))
    count = len(elevation)
    place = np.arctan2(y, x) / (2 * np.pi) * count
    low = int(np.floor(place))
    before, after = elevation[low % count][index], elevation[(low + 1) % count][index]
    horizon = before + np.float32(place - low) * (after - before)
    altitude = np.degrees(np.arctan2(z, np.hypot(x, y)))
    half = softness / 2
    return smooth_step(np.float32(altitude) - horizon, -half, half).astype(np.float32)


def _steps(reach: float) -> list[float]:
    """Distances in pixels: each next one is a pixel or a share farther."""
    steps = [1.0]
    while steps[-1] < reach:
        steps.append(max(steps[-1] + 1, steps[-1] * _GROWTH))
    return steps


def _steepest(
    height: NDArray[np.float32], dx: float, dy: float, steps: list[float], lift: float
) -> NDArray[np.float32]:
    """(H, W): the steepest slope up to the places at `steps` along (dx, dy), pixels right, down."""
    result = np.full(height.shape, _BELOW, np.float32)
    # From where there is nothing, nothing is in the way.
    start = np.where(height > _BELOW, height + np.float32(lift), np.float32(np.inf))
    for step in steps:
        shifted = _shifted(height, step * dx, step * dy)
        if shifted is None:
            break
        (rows, columns), there = shifted
        slope = (there - start[rows, columns]) / np.float32(step)
        part = result[rows, columns]
        np.maximum(part, slope, out=part)
    return result


def _shifted(
    height: NDArray[np.float32], x: float, y: float
) -> tuple[tuple[slice, slice], NDArray[np.float32]] | None:
    """The places that have another one at (x, y) from them on the map, and the height there."""
    rows, down, fy = _overlap(height.shape[0], y)
    columns, right, fx = _overlap(height.shape[1], x)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    upper = _between(height[_moved(rows, down)], columns, right, fx)
    if fy:
        lower = _between(height[_moved(rows, down + 1)], columns, right, fx)
        upper = upper + np.float32(fy) * (lower - upper)
    return (rows, columns), upper


def _between(band: FloatArray, columns: slice, right: int, fx: float) -> FloatArray:
    left = band[:, _moved(columns, right)]
    return left + np.float32(fx) * (band[:, _moved(columns, right + 1)] - left) if fx else left


def _overlap(length: int, offset: float) -> tuple[slice, int, float]:
    """Of pixels: which stay on the map when moved by `offset`; its whole part and the rest."""
    offset = round(offset, 6)
    whole = int(np.floor(offset))
    rest = offset - whole
    last = length - whole - (1 if rest else 0)
    return slice(max(-whole, 0), min(last, length)), whole, rest


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
