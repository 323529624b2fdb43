"""Pinhole cameras as their makers calibrate them, and two of them on one rig.

Camera space is x right, y up, z towards the viewer, millimetres; a camera is at its origin and
looks along -z. Pixels are x right, y down, and the centre of the first one is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import DoubleArray, FloatArray


@dataclass(frozen=True)
class Pinhole:
    """pixel = centre + focal * (x, -y) / -z, with pixels that need not be square.

    Raises ValueError for fields that are no camera's: see `problem`.
    """

    focal: tuple[float, float]  # pixels, across and down
    centre: tuple[float, float]  # principal point, pixels
    size: tuple[int, int]  # height and width of its picture, pixels

    def __post_init__(self) -> None:
        if (wrong := self.problem) is not None:
            raise ValueError(wrong)

    @property
    def problem(self) -> str | None:
        """What is wrong, or None."""
        values = (*self.focal, *self.centre, *self.size)
        if not np.isfinite(values).all() or min(*self.focal, *self.size) <= 0:
            return f"intrinsics need finite numbers and positive focal lengths and sizes: {values}"
        height, width = self.size
        if max(self.focal) > 1.2 * min(self.focal):
            return f"focal lengths of {self.focal[0]:g} and {self.focal[1]:g} pixels are not one's"
        if not 0.2 < max(self.focal) / max(self.size) < 20:
            return (f"a focal length of {self.focal[0]:g} pixels does not belong to a picture of "
                    f"{width} x {height}")  # fmt: skip
        if not (0 < self.centre[0] < width and 0 < self.centre[1] < height):
            return f"the principal point {self.centre} lies outside the picture"
        return None

    def scaled_to(self, size: tuple[int, int]) -> Pinhole:
        """The same camera where its picture is given in another (height, width).

        Raises ValueError for one of other proportions: that picture was cut.
        """
        down, across = (new / old for new, old in zip(size, self.size, strict=True))
        if abs(down / across - 1) > 0.02:
            raise ValueError(
                f"intrinsics of {self.size[1]} x {self.size[0]} pixels do not fit a picture of "
                f"{size[1]} x {size[0]}"
            )
        focal, centre = self.focal, self.centre
        return Pinhole(
            (focal[0] * across, focal[1] * down), (centre[0] * across, centre[1] * down), size
        )

    def rays(self, pixels: ArrayLike) -> DoubleArray:
        """(..., 3) camera space, z = -1, of pixels (..., 2): a point is distance times its ray."""
        at = (np.asarray(pixels, np.float64) - self.centre) / self.focal
        return np.stack([at[..., 0], -at[..., 1], np.full(at.shape[:-1], -1.0)], axis=-1)

    def project(self, points: ArrayLike) -> DoubleArray:
        """(..., 3) camera space, z < 0, to (..., 3): pixel x, pixel y and the same z."""
        x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            across = self.centre[0] - self.focal[0] * x / z
            down = self.centre[1] + self.focal[1] * y / z
        return np.stack([across, down, z], axis=-1)


@dataclass(frozen=True, eq=False)
class Rig:
    """A depth sensor and a camera: photo point = rotation @ depth point + translation, mm."""

    depth: Pinhole
    photo: Pinhole
    rotation: NDArray[np.float64]  # (3, 3)
    translation: NDArray[np.float64]  # (3,) mm

    @classmethod
    def of_one(cls, camera: Pinhole) -> Rig:
        """That of depth which lies over the photo already."""
        return cls(camera, camera, np.eye(3), np.zeros(3))

    def fitted_to(self, depth: tuple[int, int], photo: tuple[int, int]) -> Rig:
        """The same for pictures of other sizes. Raises ValueError for other proportions."""
        return replace(self, depth=self.depth.scaled_to(depth), photo=self.photo.scaled_to(photo))

    def moved(self, by: ArrayLike) -> Rig:
        """With the depth's points moved by (3,) mm in the photo's camera space."""
        return replace(self, translation=self.translation + np.asarray(by, np.float64))

    def points(self, distance: FloatArray) -> DoubleArray:
        """(H, W, 3) in the photo's camera space, mm, of a depth map (H, W) in mm along the axis."""
        height, width = distance.shape
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        seen = distance[..., None] * self.depth.rays(np.stack([x, y], axis=-1))
        return seen @ self.rotation.T + self.translation
