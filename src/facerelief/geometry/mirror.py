"""Where the two halves of a face mirror each other in its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.normals import cos_sin, rotate_in_plane

_FARTHEST = 0.12  # of the picture's width: how far the axis is from the middle at most
_ALIKE = 0.75  # mean cosine of mirrored normals: less is no face seen from the front
_COARSE = 64  # pixels of a side that the axis is searched in
_TURNED = 0.3  # what sideways slopes have in common with their mirror images
_LEAST = 0.3  # of the mask that has a mirror image in it


@dataclass(frozen=True, eq=False)
class Mirror:
    """A line in a picture, about which a face is symmetric."""

    places: NDArray[np.float64]  # (2, H, W) rows and columns of the mirror images

    @classmethod
    def of(cls, normals: FloatArray, mask: BoolArray, angle: float = 0.0) -> Mirror | None:
        """That of a face by its own normals; None where it is turned away too far to have one.

        Args:
            normals: (H, W, 3) unit; mask: (H, W).
            angle: degrees by which the face is turned counter-clockwise in the picture.
        """
        step = max(len(mask) // _COARSE, 1)
        upright = rotate_in_plane(normals[::step, ::step], -angle)
        flipped = upright * np.array([-1, 1, 1], np.float32)
        weight = mask[::step, ::step].astype(np.float32)
        best, found = _ALIKE, None
        for share in np.linspace(-_FARTHEST, _FARTHEST, 25):
            mirror = cls(_mirrored(weight.shape, angle, float(share)))
            both = weight * (mirror.image(weight) > 0.5)
            if both.sum() < _LEAST * weight.sum():
                continue
            image = mirror.image(flipped)
            mean = float((np.einsum("...i,...i", image, upright) * both).sum() / both.sum())
            # Slopes to the side must turn over: those of a face in profile do not.
            across, own = image[..., 0] * upright[..., 0] * both, upright[..., 0] ** 2 * both
            if mean > best and across.sum() > _TURNED * own.sum():
                best, found = mean, float(share)
        return None if found is None else cls(_mirrored(mask.shape, angle, found))

    def image(self, layer: FloatArray) -> NDArray[np.float32]:
        """The mirror image of a layer (H, W) or (H, W, C); zero where it is off the picture."""
        if layer.ndim == 2:
            return map_coordinates(layer.astype(np.float32), self.places, order=1)
        return np.stack([self.image(one) for one in np.moveaxis(layer, -1, 0)], axis=-1)


def _mirrored(shape: tuple[int, int], angle: float, share: float) -> NDArray[np.float64]:
    """(2, H, W) rows and columns, mirrored about a line, `share` widths from the middle."""
    rows, columns = np.indices(shape, dtype=np.float64)
    c, s = cos_sin(angle)
    # The face's own x axis in the picture's columns and rows.
    middle = (np.asarray(shape) - 1) / 2
    across = (columns - middle[1]) * c - (rows - middle[0]) * s - share * shape[1]
    return np.stack([rows + 2 * across * s, columns - 2 * across * c])
