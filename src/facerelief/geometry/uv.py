"""Values of vertices as a picture in a texture layout, and back: UV maps (PRNet, section 3.1).

Row 0 of a map is v = 1 and texel centres lie at half-integers, so that a map is a texture as every
viewer reads it. A map of positions is a whole mesh: what is written for every texel of the charts
is read back at the vertices.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.ndimage import distance_transform_edt

from facerelief.arrays import FloatArray
from facerelief.geometry.raster import rasterise
from facerelief.once import once


class UVLayout:
    """Texels and vertices of a mesh.

    Args:
        uv: (U, 2) in [0, 1], v upwards.
        uv_triangles: (T, 3) into `uv`; triangles: (T, 3) of the mesh, the same ones.
        count: vertices of the mesh.
        size: pixels along the map's sides.

    Attributes:
        mask: (size, size) the texels that show a triangle.
        vertices: (count,) those that a triangle of the layout has; only they are read back.
    """

    def __init__(
        self, uv: ArrayLike, uv_triangles: ArrayLike, triangles: ArrayLike, count: int, size: int
    ) -> None:
        corners_uv, corners = np.asarray(uv_triangles), np.asarray(triangles)
        points = np.asarray(uv, np.float64) * (size, -size) + (0, size)
        flat = np.concatenate([points, np.zeros((len(points), 1))], 1)
        raster = rasterise(flat, corners_uv, (size, size))
        self.mask = raster.mask
        self.vertices = np.zeros(count, bool)
        self.vertices[corners] = True
        drawn = corners[raster.triangle[raster.mask]]
        rows = np.repeat(np.arange(len(drawn)), 3)
        shares = raster.barycentrics[raster.mask].astype(np.float32).ravel()
        self._write = sparse.csr_array((shares, (rows, drawn.ravel())), (len(drawn), count))
        self._points, self._corners_uv, self._corners = points, corners_uv, corners

    @cached_property
    def _read(self) -> sparse.csr_array:
        # Renderers only write: what reading needs is made when it is asked for.
        count = len(self.vertices)
        return _bilinear(self._points, self._corners_uv, self._corners, count, self.mask)

    def write(self, values: ArrayLike) -> NDArray[np.float32]:
        """(count, C) of vertices to a map (size, size, C); NaN off the charts."""
        given = np.asarray(values, np.float32)
        result = np.full((*self.mask.shape, given.shape[1]), np.nan, np.float32)
        result[self.mask] = self._write @ given
        return result

    def read(self, texels: ArrayLike) -> NDArray[np.float32]:
        """A map (size, size, C) to (count, C) of vertices; NaN for those off the charts."""
        given = np.asarray(texels, np.float32)
        result = self._read @ given[self.mask]
        result[~self.vertices] = np.nan
        return result

    def texels(self, vertices: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Where `read` finds vertices (n,): indices into the flat map, and shares, (n, k) each.

        Shares sum to 1 for every vertex of the layout; what fills up a row has none.
        """
        chosen = self._read[np.asarray(vertices)]
        counts = np.diff(chosen.indptr)
        width = int(counts.max(initial=1))
        index = np.zeros((len(counts), width), np.int64)
        share = np.zeros((len(counts), width), np.float32)
        place = np.arange(width) < counts[:, None]
        index[place] = np.flatnonzero(self.mask)[chosen.indices]
        share[place] = chosen.data
        return index, share


def filled(texels: FloatArray) -> NDArray[np.float32]:
    """A map (S, S, C) whose NaN texels, off the charts, take the value of the nearest that is not.

    So maps can be resampled without a thought of the charts' edges.
    """
    rows, columns = _nearest(np.isnan(texels[..., 0]).tobytes(), len(texels))
    return texels[rows, columns].astype(np.float32)


@lru_cache(maxsize=4)
def _nearest(missing: bytes, size: int) -> NDArray[np.int64]:
    mask = np.frombuffer(missing, np.bool_).reshape(size, size)
    nearest: NDArray[np.int64] = distance_transform_edt(
        mask, return_distances=False, return_indices=True
    )
    return nearest


@once(maxsize=4)
def skin_layout(subdivisions: int = 1, size: int = 256) -> UVLayout:
    """The skin of the built-in head: neither eyes nor teeth nor tongue. Shared: do not change it.

    Raises:
        ValueError: subdivisions outside 0 to 3.
    """
    from facerelief.geometry.head import builtin_head

    head = builtin_head(subdivisions, bases=False)
    skin = head.regions["skin"][head.triangles].all(axis=1)
    return UVLayout(head.uv, head.uv_triangles[skin], head.triangles[skin], len(head.mean), size)


def _bilinear(
    points: FloatArray, uv_triangles: NDArray, triangles: NDArray, count: int, mask: NDArray
) -> sparse.csr_array:
    """(count, texels) weights: bilinear among texels of the charts, else the nearest of them.

    A vertex that lies on a seam has a place in every chart and takes their mean.
    """
    # Single numbers sort many times faster than pairs.
    places = np.unique(triangles.ravel().astype(np.int64) * len(points) + uv_triangles.ravel())
    vertices, corners = np.divmod(places, len(points))
    at = points[corners] - 0.5
    low = np.floor(at).astype(int)
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(np.count_nonzero(mask))
    size = mask.shape[0]
    columns, weights = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            corner = low + np.array([dx, dy])
            share = np.prod(1 - np.abs(at - corner), axis=1)
            x, y = np.clip(corner, 0, size - 1).T
            columns.append(number[y, x])
            weights.append(np.where(number[y, x] >= 0, share, 0))
    column, weight = np.stack(columns, 1), np.stack(weights, 1)
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    x, y = np.clip(np.rint(at).astype(int), 0, size - 1).T
    alone = weight.sum(1) < 1e-3
    column[alone, 0] = number[nearest[0], nearest[1]][y, x][alone]
    weight[alone] = (1, 0, 0, 0)
    rows = np.repeat(vertices, 4)
    total = np.bincount(rows, weight.ravel(), count)
    shares = (weight.ravel() / total[rows]).astype(np.float32)
    return sparse.csr_array((shares, (rows, np.maximum(column, 0).ravel())), (count, mask.sum()))
