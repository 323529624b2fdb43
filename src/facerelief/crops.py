"""Squares cut out of photos: similarities between their pixels and the photo's.

Pixel coordinates are x right, y down, and the centre of the first pixel is (0.5, 0.5). Angles are
in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.normals import cos_sin, rotate_in_plane
from facerelief.photo_files import Picture
from facerelief.sampling import resample

#: Side of a landmark crop over the longer side of the tightest box round the landmarks.
CROP_MARGIN = 1.2


@dataclass(frozen=True)
class Crop:
    """A square cut out of a photo: a similarity between crop pixels and photo pixels.

    `angle` turns the crop's axes counter-clockwise as seen in the photo: its x axis points along
    (cos a, -sin a) in photo pixels. A face that is upright in the crop appears turned by `angle`
    counter-clockwise in the photo.

    Raises ValueError for a side or size that is not positive, or a field that is not finite.
    """

    centre: tuple[float, float]  # photo pixels
    side: float  # photo pixels
    angle: float = 0.0  # degrees
    size: int = 256  # crop pixels

    def __post_init__(self) -> None:
        values = (*self.centre, self.side, self.angle)
        if not all(isfinite(value) for value in values) or self.side <= 0 or self.size < 1:
            raise ValueError(f"a crop needs finite fields and a positive side and size: {self}")

    @classmethod
    def from_landmarks(cls, points: ArrayLike, size: int = 256) -> Crop:
        """The landmark crop of `points` (N, 2), photo pixels.

        An upright square of side 1.2 l centred on the tightest box round the points, l being the
        longer side of that box.
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        x, y = (low + high) / 2
        return cls((float(x), float(y)), CROP_MARGIN * float(max(high - low)), size=size)

    @property
    def scale(self) -> float:
        """Photo pixels per crop pixel."""
        return self.side / self.size

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(2, 2), turns pixel vectors (x right, y down) of the crop into those of the photo."""
        c, s = cos_sin(self.angle)
        return np.array([[c, s], [-s, c]])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3), takes (x, y, 1) in crop pixels to photo pixels."""
        linear = self.scale * self.rotation
        offset = np.asarray(self.centre) - linear @ np.full(2, self.size / 2)
        return np.column_stack([linear, offset])

    @property
    def inverse_matrix(self) -> NDArray[np.float64]:
        """(2, 3), takes (x, y, 1) in photo pixels to crop pixels."""
        linear = self.rotation.T / self.scale
        offset = np.full(2, self.size / 2) - linear @ np.asarray(self.centre)
        return np.column_stack([linear, offset])

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) photo pixels: top left, top right, bottom right, bottom left of the crop."""
        return self.to_photo(self.size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]]))

    def to_photo(self, points: ArrayLike) -> NDArray[np.float64]:
        """Crop pixels (..., 2) to photo pixels (..., 2)."""
        offset = np.asarray(points, dtype=np.float64) - self.size / 2
        return (offset * self.scale) @ self.rotation.T + np.asarray(self.centre)

    def to_crop(self, points: ArrayLike) -> NDArray[np.float64]:
        """Photo pixels (..., 2) to crop pixels (..., 2)."""
        offset = np.asarray(points, dtype=np.float64) - np.asarray(self.centre)
        return (offset @ self.rotation) / self.scale + self.size / 2

    def extract(self, photo: NDArray[Any] | Picture) -> NDArray[Any]:
        """The crop's picture (size, size, ...) of `photo` (H, W) or (H, W, C), black outside it.

        Antialiased. uint8 gives uint8, anything else float32.
        """
        return resample(photo, self.matrix, (self.size, self.size))

    def paste(
        self, values: FloatArray, mask: BoolArray, photo_size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], BoolArray]:
        """Carry per-pixel `values` (size, size) or (size, size, C) to the photo's pixels.

        Only pixels of `mask` (size, size) count. Returns values (H, W) or (H, W, C) float32, zero
        outside the second return, the mask (H, W). Antialiased; works on the crop's bounding
        rectangle only. Vectors are not turned: see `rotate_normals_to_photo`.
        """
        window = self.window(photo_size)
        part, inside = self.paste_window(values, mask, window)
        pasted = np.zeros((*photo_size, *part.shape[2:]), np.float32)
        pasted_mask = np.zeros(photo_size, np.bool_)
        pasted[window], pasted_mask[window] = part, inside
        return pasted, pasted_mask

    def paste_window(
        self, values: FloatArray, mask: BoolArray, window: tuple[slice, slice]
    ) -> tuple[NDArray[np.float32], BoolArray]:
        """As `paste`, for some rows and columns of the photo alone."""
        channels = values.reshape(*mask.shape, -1)
        rows, columns = window
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        pasted = np.zeros((*shape, channels.shape[-1]), np.float32)
        matrix = self.window_to_crop(window)

        # Weighting by the mask before resampling keeps what lies outside it from leaking in.
        weight = resample(mask.astype(np.float32), matrix, shape)
        inside = weight > 0.5
        gain = np.divide(1, weight, out=np.zeros_like(weight), where=inside)
        for index in range(channels.shape[-1]):
            layer = np.where(mask, channels[..., index], 0).astype(np.float32)
            np.multiply(resample(layer, matrix, shape), gain, out=pasted[..., index])
        return pasted.reshape(*shape, *values.shape[2:]), inside

    def inside(self, photo_size: tuple[int, int]) -> BoolArray:
        """(size, size): which pixel centres lie in a photo of (height, width)."""
        height, width = photo_size
        corners = self.corners
        if corners.min() >= 0 and corners[:, 0].max() <= width and corners[:, 1].max() <= height:
            return np.ones((self.size, self.size), np.bool_)
        centres = np.arange(self.size) + 0.5
        points = self.to_photo(np.stack(np.meshgrid(centres, centres), axis=-1))
        x, y = points[..., 0], points[..., 1]
        return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)

    def window(self, photo_size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of the photo (height, width) that the crop touches; may be empty."""
        height, width = photo_size
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        top, left = (max(floor(value), 0) for value in (low[1], low[0]))
        bottom, right = max(min(ceil(high[1]), height), top), max(min(ceil(high[0]), width), left)
        return slice(top, bottom), slice(left, right)

    def window_to_crop(self, window: tuple[slice, slice]) -> NDArray[np.float64]:
        """(2, 3), takes (x, y, 1) in pixels of a `window` of the photo to crop pixels."""
        rows, columns = window
        matrix = self.inverse_matrix
        matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
        return matrix

    def rotate_normals_to_photo(self, normals: FloatArray) -> FloatArray:
        """Turn normals (..., 3) of the crop's frame into the photo's frame."""
        return rotate_in_plane(normals, self.angle)

    def rotate_normals_to_crop(self, normals: FloatArray) -> FloatArray:
        """Turn normals (..., 3) of the photo's frame into the crop's frame."""
        return rotate_in_plane(normals, -self.angle)
