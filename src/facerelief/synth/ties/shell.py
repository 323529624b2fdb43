"""What procedural hair and hats are cut from: a grid of rays over a head, which follows the head.

Rays leave the middle of the skull. Columns go around the crown, from the back over the subject's
right to the front and on; rows go down from the crown, evenly in angle. Ears are left out, so that
a cap passes under them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import NearestNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from facerelief.arrays import FloatArray, IntArray
from facerelief.synth.ties.binding import SpaceBinding
from facerelief.synth.ties.wearer import Wearer

_TILT = 18.0  # degrees that the crown lies behind the highest point
_LOWEST = 135.0  # degrees from the crown to the last row


class HeadGrid:
    """Points of the skin along rays, bound to the head: (rows, columns, 3) on every head."""

    def __init__(self, wearer: Wearer, rows: int = 36, columns: int = 64) -> None:
        self.rows, self.columns = rows, columns
        mean = wearer.head.mean.astype(np.float64)
        self._centre = SpaceBinding(wearer.controls, mean, wearer.skull_centre[None])
        tilt = np.deg2rad(_TILT)
        up = np.array([0, np.cos(tilt), -np.sin(tilt)])
        front = np.array([0, np.sin(tilt), np.cos(tilt)])
        #: (rows,) and (columns,) degrees from the crown, and from the front to the left.
        self.polar = np.linspace(0.05, _LOWEST, rows)
        self.side_row = int(self.polar.searchsorted(60))  # from here on cloth hangs
        self.azimuth = (180 + np.arange(columns) * 360 / columns) % 360
        polar, azimuth = np.deg2rad(self.polar)[:, None, None], np.deg2rad(self.azimuth)[:, None]
        left = np.array([1.0, 0, 0])
        around = np.cos(azimuth) * front + np.sin(azimuth) * left  # (columns, 3)
        directions = np.cos(polar) * up + np.sin(polar) * around
        flat = directions.reshape(-1, 3)
        self._corners, self._weights, missed = _cast(
            wearer.skull_centre, flat, mean, wearer.bare_triangles
        )
        self._ear_corners, self._ear_weights, self._no_ear = _cast(
            wearer.skull_centre, flat, mean, wearer.ear_triangles
        )
        self._missed = np.flatnonzero(missed)
        radius = np.linalg.norm(self._hits(mean) - wearer.skull_centre, axis=1)
        if len(self._missed):
            near = NearestNDInterpolator(flat[~missed], radius[~missed])
            radius[missed] = near(flat[missed])
            soft = gaussian_filter(radius.reshape(rows, columns), 1.5, mode=("nearest", "wrap"))
            filled = wearer.skull_centre + flat[missed] * soft.ravel()[missed, None]
            self._filled = SpaceBinding(wearer.controls, mean, filled)
        #: (rows, columns) how much of each point is scalp, and its distance in mm from the
        #: hairline, positive on the scalp, on the mean head.
        scalp = np.einsum("pc,pc->p", self._weights, wearer.scalp[self._corners].astype(float))
        points = self(wearer.head.mean).reshape(-1, 3)
        if missed.any():
            ties = cKDTree(points[~missed]).query(points[missed])[1]
            scalp[missed] = scalp[~missed][ties]
        # Before and under the ears hair grows down to their middle only: sideburns.
        if wearer.ears.any():
            ears = mean[wearer.ears]
            ahead = points[:, 2] > np.quantile(ears[:, 2], 0.1)
            scalp[ahead & (points[:, 1] < np.median(ears[:, 1]))] = 0
        signed = _signed_distance(points, scalp > 0.5).reshape(rows, columns)
        self.hairline = gaussian_filter(signed, 0.8, mode=("nearest", "wrap"))

    def _hits(self, vertices: FloatArray) -> FloatArray:
        hits: FloatArray = np.einsum("pc,pcd->pd", self._weights, vertices[self._corners])
        return hits

    def centre(self, vertices: FloatArray) -> NDArray[np.float32]:
        """(3,) where the rays start."""
        return self._centre(vertices)[0]

    def __call__(self, vertices: FloatArray, over_ears: bool = False) -> NDArray[np.float32]:
        """(rows, columns, 3) on the head with these `vertices` (V, 3), mm."""
        points = self._hits(vertices).astype(np.float32)
        if len(self._missed):
            points[self._missed] = self._filled(vertices)
        if over_ears:
            ears = np.einsum("pc,pcd->pd", self._ear_weights, vertices[self._ear_corners])
            points[~self._no_ear] = ears[~self._no_ear]
        return points.reshape(self.rows, self.columns, 3)


def _cast(
    origin: FloatArray, directions: FloatArray, vertices: FloatArray, triangles: IntArray
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Farthest hits of rays: (P, 3) corners, (P, 3) barycentrics and (P,) True where none.

    Triangles are tried by the angle to their centres, nearest first (Moeller and Trumbore 1997).
    """
    if not len(triangles):
        shape = (len(directions), 3)
        return np.zeros(shape, int), np.zeros(shape), np.ones(len(directions), bool)
    corners = vertices[triangles] - origin
    middle = corners.mean(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    _, near = cKDTree(middle).query(directions, min(48, len(triangles)))
    a, b, c = np.moveaxis(corners[near], 2, 0)  # (P, K, 3)
    u, v, d = b - a, c - a, directions[:, None]
    across = np.cross(d, v)
    area = (u * across).sum(-1)
    area = np.where(np.abs(area) < 1e-9, np.nan, area)
    second = (-a * across).sum(-1) / area
    turned = np.cross(-a, u)
    third = (d * turned).sum(-1) / area
    length = (v * turned).sum(-1) / area
    slack = 1e-4  # a ray through a common edge must hit
    inside = (second >= -slack) & (third >= -slack) & (second + third <= 1 + slack) & (length > 0)
    length = np.where(inside, length, -np.inf)
    best = length.argmax(axis=1)
    rows = np.arange(len(directions))
    second, third = second[rows, best], third[rows, best]
    missed = ~inside[rows, best]
    weights = np.stack([1 - second - third, second, third], axis=1)
    weights[missed] = (1, 0, 0)
    return triangles[near[rows, best]], weights, missed


def _signed_distance(points: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """(P,) distance to the nearest point on the other side, positive inside."""
    result = np.zeros(len(points))
    result[inside] = cKDTree(points[~inside]).query(points[inside])[0]
    result[~inside] = -cKDTree(points[inside]).query(points[~inside])[0]
    return result


def drape(points: FloatArray, centre: FloatArray, drop: FloatArray, first: int) -> FloatArray:
    """Cloth that hangs from the widest place of every column: (rows + D, columns, 3).

    Args:
        points: (rows, columns, 3), from `HeadGrid`, moved outwards as thick as the cloth is.
        centre: (3,) of the skull.
        drop: (D,) mm below the last row of every row to add.
        first: the row from which on columns hang rather than lie on the head.
    """
    side = points[first:] - centre
    radius = np.hypot(side[..., 0], side[..., 2])
    widest = np.maximum.accumulate(radius, axis=0)
    at = np.where(radius >= widest, np.arange(len(side))[:, None], 0)
    at = np.maximum.accumulate(at, axis=0)
    held = np.take_along_axis(side, at[..., None], axis=0)
    hung = np.stack([held[..., 0], side[..., 1], held[..., 2]], axis=-1) + centre
    below = np.repeat(hung[-1:], len(drop), axis=0)
    below[..., 1] -= drop[:, None]
    return np.concatenate([points[:first], hung, below])


def grid_mesh(
    rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """uv, triangles and uv triangles of a grid whose last column meets the first.

    Row 0 is at v = 1. Seen from outside the triangles are counter-clockwise for columns that go
    around the head to the subject's left and rows that go down.
    """
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(1, 0, rows))
    uv = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float32)
    row, column = (i.ravel() for i in np.mgrid[: rows - 1, :columns])

    def quads(width: int, right: IntArray) -> NDArray[np.int32]:
        a, b = row * width + column, row * width + right
        c, d = a + width, b + width
        return np.concatenate([np.stack([a, c, d], 1), np.stack([a, d, b], 1)]).astype(np.int32)

    return uv, quads(columns, (column + 1) % columns), quads(columns + 1, column + 1)
