"""Cameras: points in camera space (x right, y up, z towards the viewer) to photo pixels and back.

Pixels are x right, y down, and the centre of the first one is (0.5, 0.5). `project` keeps z as a
third coordinate, so its result is what the rasterisers take: larger z is nearer.
"""

from dataclasses import dataclass
from math import isfinite, radians, tan
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray


class Camera(Protocol):
    """What every camera does."""

    #: Whether nearer things are larger; tells a rasteriser how to interpolate.
    perspective: bool

    def project(self, points: ArrayLike) -> FloatArray:
        """(..., 3) camera space to (..., 3): pixel x, pixel y and the same z."""
        ...

    def unproject(self, points: ArrayLike) -> FloatArray:
        """(..., 3) pixel x, pixel y and z to camera space (..., 3): inverse of `project`."""
        ...


def camera_space(points: FloatArray) -> FloatArray:
    """Pixel x, pixel y (down) and z as camera space: y up."""
    return points * np.array([1, -1, 1], points.dtype)


@dataclass(frozen=True)
class WeakPerspective:
    """Parallel rays: pixel = centre + scale * (x, -y). With scale 1 it is orthographic.

    Raises ValueError for a scale that is not positive.
    """

    scale: float = 1.0  # pixels per unit of length
    centre: tuple[float, float] = (0.0, 0.0)  # pixel that the axis x = y = 0 goes through
    perspective = False

    def __post_init__(self) -> None:
        _check_positive("scale", self.scale)

    @classmethod
    def fit(cls, low: ArrayLike, high: ArrayLike, size: tuple[int, int]) -> "WeakPerspective":
        """The camera that shows the box from `low` to `high` (2 or 3,) whole and centred.

        `size` is the picture's (height, width). Raises ValueError for a box without extent.
        """
        low, high = np.asarray(low, np.float64)[:2], np.asarray(high, np.float64)[:2]
        height, width = size
        with np.errstate(divide="ignore"):
            scale = float(np.min(np.array([width, height]) / (high - low)))
        x, y = scale * (low + high) / 2
        return cls(scale, (width / 2 - float(x), height / 2 + float(y)))

    def project(self, points: ArrayLike) -> FloatArray:
        """(..., 3) camera space to (..., 3): pixel x, pixel y and the same z."""
        x, y, z = _components(points)
        return np.stack(
            [self.centre[0] + self.scale * x, self.centre[1] - self.scale * y, z], axis=-1
        )

    def unproject(self, points: ArrayLike) -> FloatArray:
        """(..., 3) pixel x, pixel y and z to camera space (..., 3)."""
        x, y, z = _components(points)
        return np.stack(
            [(x - self.centre[0]) / self.scale, (self.centre[1] - y) / self.scale, z], axis=-1
        )


@dataclass(frozen=True)
class Perspective:
    """A pinhole at the origin that looks along -z: pixel = centre + focal * (x, -y) / -z.

    What it sees has z < 0; points with z >= 0 project to NaN. Raises ValueError for a focal length
    that is not positive.
    """

    focal: float  # pixels
    centre: tuple[float, float]  # principal point, pixels
    perspective = True

    def __post_init__(self) -> None:
        _check_positive("focal", self.focal)

    @classmethod
    def from_field_of_view(cls, angle: float, size: tuple[int, int]) -> "Perspective":
        """The centred camera whose picture (height, width) is `angle` degrees high."""
        height, width = size
        if not 0 < angle < 180:
            raise ValueError(f"a field of view is between 0 and 180 degrees, got {angle}")
        return cls(height / 2 / tan(radians(angle) / 2), (width / 2, height / 2))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) intrinsics as OpenCV has them, for points with y down and z away."""
        return np.array(
            [[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1]]
        )

    def project(self, points: ArrayLike) -> FloatArray:
        """(..., 3) camera space to (..., 3): pixel x, pixel y and the same z."""
        x, y, z = _components(points)
        zoom = np.divide(self.focal, -z, out=np.full_like(z, np.nan), where=z < 0)
        return np.stack([self.centre[0] + zoom * x, self.centre[1] - zoom * y, z], axis=-1)

    def unproject(self, points: ArrayLike) -> FloatArray:
        """(..., 3) pixel x, pixel y and z to camera space (..., 3)."""
        x, y, z = _components(points)
        reach = -z / self.focal
        return np.stack([(x - self.centre[0]) * reach, (self.centre[1] - y) * reach, z], axis=-1)


def _components(points: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    array = np.asarray(points)
    if array.shape[-1:] != (3,):
        raise ValueError(f"points must be (..., 3), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    return array[..., 0], array[..., 1], array[..., 2]


def _check_positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive, got {value}")
