"""What a picture shows of a face's skin, whose every point's place in it is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.camera import camera_space
from facerelief.geometry.mesh import face_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.pose import pose, problem
from facerelief.geometry.raster import Raster, rasterise
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import skin_mesh, skin_normals

_BEHIND = 0.03  # of the face's height: how far behind the nearest surface is still seen
_FOLD = 3  # edges from a vertex to one that is turned to the camera, in a fold


@dataclass(frozen=True, eq=False)
class Skin:
    """The skin of a face in a picture of (size, size) pixels. What it shows is drawn when asked.

    Where `problem` says that it is no face, nothing of it is seen.
    """

    points: NDArray[np.float32]  # (M, 3) vertices of `skin_mesh`: pixel x, pixel y (down), z
    size: int
    covered: BoolArray | None = None  # (M,) something else is before it, where a system can tell
    outside: BoolArray | None = None  # (M,) beyond the edge of the photo that the picture is of
    #: (M, 3) the points as parallel rays would show them, where a system knows the perspective that
    #: makes what is near larger: the shape itself, in pixels.
    solid: NDArray[np.float32] | None = None

    @property
    def shape(self) -> NDArray[np.float32]:
        """(M, 3) the points without perspective, where that is known."""
        return self.points if self.solid is None else self.solid

    @cached_property
    def problem(self) -> str | None:
        """Why it is no face, or None."""
        return problem(self.points, self.size, lambda _: self.pose)

    @cached_property
    def pose(self) -> Similarity:
        """That of the mean head."""
        return pose(self.points)

    @cached_property
    def in_view(self) -> BoolArray:
        """(M,) in the picture and the photo, turned to it, and hidden by no other part of it."""
        if self.problem is not None:
            return np.zeros(len(self.points), bool)
        seen = _visible(self.points, self._drawn[0], self.size)
        return seen if self.outside is None else seen & ~self.outside

    @cached_property
    def visible(self) -> BoolArray:
        """(M,) in view, and not covered by something else."""
        return self.in_view if self.covered is None else self.in_view & ~self.covered

    @cached_property
    def mask(self) -> BoolArray:
        """(size, size) the face, without what lies between lids and lips; nor what is before it."""
        if self.problem is not None:
            return np.zeros((self.size, self.size), bool)
        raster, _ = self._drawn
        shows: BoolArray = skin_mesh().outer_triangles[raster.triangle] & raster.mask
        return shows

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """(size, size, 3) in camera space, zero where there is no face."""
        if self.problem is not None:
            return np.zeros((self.size, self.size, 3), np.float32)
        turned = normalise(self._drawn[0].interpolate(skin_normals(self.shape)))
        return np.where(self.mask[..., None], turned.astype(np.float32), 0)

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """(size, size) z in pixels, NaN where there is no face."""
        if self.problem is not None:
            return np.full((self.size, self.size), np.nan, np.float32)
        return np.where(self.mask, self._drawn[0].depth, np.nan).astype(np.float32)

    @cached_property
    def _drawn(self) -> tuple[Raster, BoolArray]:
        return drawn(self.points, self.size)


def drawn(points: FloatArray, size: int) -> tuple[Raster, BoolArray]:
    """Points (M, 3) of `skin_mesh` in a picture of (size, size) pixels: the whole skin, z-buffered.

    And where it shows the face, with what lies between lids and lips, and no neck or scalp.
    """
    mesh = skin_mesh()
    raster = rasterise(points, mesh.triangles, (size, size), cull_back_faces=True)
    shows_face: BoolArray = raster.mask & mesh.face_triangles[raster.triangle]
    return raster, shows_face


def _visible(points: FloatArray, raster: Raster, size: int) -> BoolArray:
    """(M,) in the picture, turned to it and hidden by no other."""
    x, y = np.floor(points[:, :2]).astype(int).T
    inside: BoolArray = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    nearest = np.nan_to_num(raster.depth[y.clip(0, size - 1), x.clip(0, size - 1)], nan=-np.inf)
    mesh = skin_mesh()
    room = _BEHIND * np.ptp(points[mesh.landmarks][:, :2], axis=0).max()
    # In a fold, as the corner of an eye, all round a vertex may be turned away: what is next to
    # something that is turned to the camera, and as near, is seen.
    triangles = mesh.triangles
    turned = np.zeros(len(points), bool)
    turned[triangles[face_normals(camera_space(points), triangles)[:, 2] > 0]] = True
    for _ in range(_FOLD):
        turned[triangles[turned[triangles].any(axis=1)]] = True
    return inside & (points[:, 2] >= nearest - room) & turned
