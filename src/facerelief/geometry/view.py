"""How a perspective camera sees a head in a crop: what systems of coefficients say of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.camera import Perspective


@dataclass(frozen=True, eq=False)
class View:
    """Head, camera and light in the frame of a crop: x right, y up, z towards the viewer, mm.

    The camera is at the origin and looks along -z through the crop's middle.
    """

    rotation: NDArray[np.float64]  # (3, 3) head space to camera space
    translation: NDArray[np.float64]  # (3,) mm, of the head's origin in camera space
    camera: Perspective  # to the crop's pixels
    harmonics: NDArray[np.float32]  # (9, 3) of the light, as `geometry.light` has them
    colours: NDArray[np.float32]  # (A,) coefficients of the skin's, as `geometry.albedo` has them

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Head-space points (..., 3), mm, in camera space, mm."""
        turned: FloatArray = np.asarray(points) @ self.rotation.T + self.translation
        return turned

    @property
    def scale(self) -> float:
        """Crop pixels that a mm has at the head's origin."""
        return float(self.camera.focal / -self.translation[2])

    def in_crop(self, points: ArrayLike) -> FloatArray:
        """Head-space points (..., 3), mm, as crop pixel x, y (down) and z.

        z is nearer than the head's origin by so many of the pixels that a mm has there.
        """
        seen = self.camera.project(self(points))
        seen[..., 2] = (seen[..., 2] - self.translation[2]) * self.scale
        return seen

    def enlarged(self, factor: float) -> View:
        """The same picture of a head that is `factor` times as large, as much farther away."""
        return replace(self, translation=factor * self.translation)

    @property
    def albedo(self) -> NDArray[np.float32]:
        """(S, S, 3) sRGB in [0, 1] of the skin, in the layout of the built-in head."""
        return albedo_basis().albedo(self.colours)
