"""Light from all sides on an equirectangular map, in camera space.

Row 0 is up (+y), the middle column is where the camera looks (-z), and columns run to the right
(+x is at three quarters): what lights a face from the front is at the map's left and right edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.light import LUMINANCE
from facerelief.geometry.lights import Lights, even_directions
from facerelief.geometry.normals import normalise

_ROWS = 64  # of the map that lights are made of


def map_directions(height: int, width: int) -> NDArray[np.float64]:
    """(H, W, 3) unit directions of the pixels of an equirectangular map."""
    rows = (np.arange(height) + 0.5) / height * np.pi
    columns = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    polar, azimuth = np.meshgrid(rows, columns, indexing="ij")
    ring = np.sin(polar)
    return np.stack([ring * np.sin(azimuth), np.cos(polar), -ring * np.cos(azimuth)], -1)


def solid_angles(height: int, width: int) -> NDArray[np.float64]:
    """(H, W) solid angles of the pixels of an equirectangular map."""
    edges = np.cos(np.linspace(0, np.pi, height + 1))
    return np.repeat((edges[:-1] - edges[1:])[:, None] * 2 * np.pi / width, width, axis=1)


def turned(radiance: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """A map (H, W, 3) turned about the vertical axis, to the right as the camera sees it."""
    return np.roll(radiance, round(degrees / 360 * radiance.shape[1]), axis=1)


def environment_lights(radiance: FloatArray, count: int = 32) -> Lights:
    """The lights that stand for an environment: the sum, in each of `count` even cells of the sky.

    A cell's direction is the mean of its light, so that a sun stays where it is.

    Args:
        radiance: (H, W, 3) linear RGB, equirectangular.
        count: cells.
    """
    small = _shrunk(np.asarray(radiance, np.float64))
    height, width = small.shape[:2]
    directions = map_directions(height, width).reshape(-1, 3)
    # What a white surface facing it sends back: irradiance over pi.
    power = (small * solid_angles(height, width)[..., None] / np.pi).reshape(-1, 3)
    cell = (directions @ even_directions(count).T).argmax(axis=1)
    bright = power @ LUMINANCE
    sums = [np.bincount(cell, bright * d, count) for d in directions.T]
    colours: FloatArray = np.stack([np.bincount(cell, c, count) for c in power.T], -1) * 1.0
    lit = colours.any(axis=-1)
    return Lights(normalise(np.stack(sums, axis=-1)[lit]), colours[lit], np.zeros(3))


def _shrunk(radiance: FloatArray) -> FloatArray:
    """The map in about `_ROWS` rows, whole pixels averaged."""
    height, width = radiance.shape[:2]
    step = max(min(height, width // 2) // _ROWS, 1)
    rows, columns = height // step, width // step
    if (rows * step, columns * step) != (height, width):
        return radiance if step == 1 else _resampled(radiance, rows, columns)
    return radiance.reshape(rows, step, columns, step, 3).mean(axis=(1, 3))


def _resampled(radiance: FloatArray, rows: int, columns: int) -> FloatArray:
    """Means of the pixels whose centres lie in each cell, for sizes that do not divide."""
    height, width = radiance.shape[:2]
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    cell = (row[:, None] * columns + column).ravel()
    number = np.bincount(cell, minlength=rows * columns)
    sums = [np.bincount(cell, c, rows * columns) for c in radiance.reshape(-1, 3).T]
    return (np.stack(sums, -1) / number[:, None]).reshape(rows, columns, 3)
