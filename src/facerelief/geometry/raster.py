"""A z-buffer rasteriser in vectorised NumPy.

It takes what a camera's `project` gives: pixel x (right), pixel y (down) and z (larger is nearer),
and samples at pixel centres, (0.5, 0.5) being the first. `facerelief.render.raster` is its
differentiable, batched twin in torch.

Every (triangle, pixel of its bounding box) pair is tested at once, so the cost goes with the area
of the boxes, not with triangles times pixels. Edge functions are written so that two triangles
give exactly opposite values at their common edge: no pixel falls between neighbours. Where
several triangles meet at one pixel and depth, the first in the list wins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import BoolArray, FloatArray

#: Pairs of a triangle and a pixel that are tested at a time: bounds the memory, about 30 MB. More
#: fit no cache, and take longer.
PAIRS_AT_ONCE = 1 << 17


@dataclass(frozen=True, eq=False)
class Raster:
    """What is seen at every pixel."""

    triangle: NDArray[np.int32]  # (H, W) index of the nearest triangle, -1 for none
    barycentrics: NDArray[np.float64]  # (H, W, 3) on the surface, sum 1; zero where none
    depth: NDArray[np.float64]  # (H, W) z of the surface, NaN where none
    triangles: NDArray[np.integer[Any]]  # (T, 3) as given

    @cached_property
    def mask(self) -> BoolArray:
        """(H, W) bool, True where there is a surface."""
        return self.triangle >= 0

    def interpolate(self, attributes: ArrayLike, fill: float = 0.0) -> FloatArray:
        """Attributes of the vertices (V, ...) at every pixel (H, W, ...), `fill` where none.

        A vector such as a normal comes back shorter than it was: normalise it.
        """
        values = np.asarray(attributes)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
        seen = self.mask
        corners = values[self.triangles[self.triangle[seen]]]  # (P, 3, ...)
        weights = self.barycentrics[seen].astype(values.dtype)
        result = np.full((*seen.shape, *values.shape[1:]), fill, values.dtype)
        result[seen] = np.einsum("pc,pc...->p...", weights, corners)
        return result


def rasterise(
    points: ArrayLike,
    triangles: ArrayLike,
    size: tuple[int, int],
    *,
    perspective: bool = False,
    cull_back_faces: bool = False,
) -> Raster:
    """Draw triangles into a picture.

    Args:
        points: (V, 3) projected vertices: pixel x, pixel y, z; see `geometry.camera`.
        triangles: (T, 3) vertex indices, counter-clockwise seen from the front.
        size: (height, width) of the picture.
        perspective: points come from a perspective camera (z < 0 in front of it), so depth and
            barycentrics are not linear in the picture; `Camera.perspective` says so.
        cull_back_faces: leave out triangles that are seen from behind.

    Triangles without area, with a vertex that is not finite or, under perspective, with one that
    is not in front of the camera are left out whole: nothing is clipped at the camera's plane.

    Raises:
        ValueError: shapes that do not fit.
        IndexError: triangles that name no vertex.
    """
    screen = np.asarray(points, dtype=np.float64)
    faces = np.asarray(triangles)
    if screen.ndim != 2 or screen.shape[1] != 3:
        raise ValueError(f"points must be (V, 3), got {screen.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"triangles must be (T, 3), got {faces.shape}")
    height, width = size
    corners = screen[faces]  # (T, 3 corners, 3 coordinates)
    columns = np.ascontiguousarray(corners.T)  # (3 coordinates, 3 corners, T): quicker to look up

    nearest = np.full(height * width, -np.inf)
    triangle = np.full(height * width, -1, np.int32)
    weights = np.zeros((height * width, 3))
    first = np.full(height * width, len(faces), np.int32)  # so again after each round
    usable = _usable(corners, perspective, cull_back_faces)
    for index, column, row in _pairs(corners, usable, height, width):
        edges = _edge_functions(columns, index, column + 0.5, row + 0.5)
        area = edges[0] + edges[1] + edges[2]
        inside = ((edges >= 0).all(axis=0) | (edges <= 0).all(axis=0)) & (area != 0)
        index, pixel = index[inside], row[inside] * width + column[inside]
        share = edges[:, inside] / area[inside]
        z = columns[2][:, index]
        if perspective:
            share = share / z
            depth = 1 / (share[0] + share[1] + share[2])
            share = share * depth
        else:
            depth = share[0] * z[0] + share[1] * z[1] + share[2] * z[2]

        # The nearest of this round, then the first in the list among equals.
        before = nearest[pixel]
        np.maximum.at(nearest, pixel, depth)
        wins = (depth == nearest[pixel]) & (depth > before)
        index, pixel, share = index[wins], pixel[wins], share[:, wins]
        np.minimum.at(first, pixel, index.astype(np.int32))
        wins = first[pixel] == index
        first[pixel] = len(faces)
        triangle[pixel[wins]] = index[wins]
        weights[pixel[wins]] = share[:, wins].T

    depth = np.where(triangle >= 0, nearest, np.nan)
    shape = (height, width)
    return Raster(triangle.reshape(shape), weights.reshape(*shape, 3), depth.reshape(shape), faces)


def _usable(corners: FloatArray, perspective: bool, cull_back_faces: bool) -> BoolArray:
    """(T,) bool: triangles that can be drawn at all."""
    usable: BoolArray = np.all(np.isfinite(corners), axis=(1, 2))
    if perspective:
        usable = usable & (corners[..., 2] < 0).all(axis=1)
    if cull_back_faces:
        # y runs down, so a triangle seen from the front has a negative area in pixels.
        with np.errstate(invalid="ignore"):
            ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
            usable = usable & (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0] < 0)
    return usable


def _pairs(
    corners: FloatArray, usable: BoolArray, height: int, width: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Triangle, column and row of all pixels whose centres are in a triangle's bounding box."""
    index = np.flatnonzero(usable)
    first, second, third = np.moveaxis(corners[index, :, :2], 1, 0)
    low = np.minimum(np.minimum(first, second), third)
    low = np.ceil(low - 0.5).clip(0, [width, height]).astype(np.intp)
    high = np.maximum(np.maximum(first, second), third)
    high = np.floor(high + 0.5).clip(0, [width, height]).astype(np.intp)
    wide, tall = (high - low).clip(0).T
    drawn = (wide > 0) & (tall > 0)
    index, left, top = index[drawn], low[drawn, 0], low[drawn, 1]
    wide, tall = wide[drawn], tall[drawn]
    count = wide * tall
    # Slices of the list with a bounded number of pairs; one triangle is never split.
    parts = (np.cumsum(count) - count) // PAIRS_AT_ONCE
    for part in np.split(np.arange(len(index)), np.flatnonzero(np.diff(parts)) + 1):
        owner, row = _counted(tall[part])
        owner = part[owner]
        line, column = _counted(wide[owner])
        owner, row = owner[line], row[line]
        yield index[owner], left[owner] + column, top[owner] + row


def _counted(counts: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every number i as often as `counts` (n,) says, and each time the number of it from 0 on."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def _edge_functions(
    columns: FloatArray, index: NDArray[np.intp], x: FloatArray, y: FloatArray
) -> FloatArray:
    """(3, P): twice the signed area that the pixel spans with the edge opposite each corner.

    a * d - b * c with both ends relative to the pixel: exchanging the ends changes the sign and
    not one bit more.
    """
    dx, dy = columns[0][:, index] - x, columns[1][:, index] - y
    return np.stack([dx[i] * dy[j] - dy[i] * dx[j] for i, j in ((1, 2), (2, 0), (0, 1))])
