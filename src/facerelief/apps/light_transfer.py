"""The light of one photographed face taken off its skin, and that of another laid on it.

All in logarithms of sRGB values, where light, skin and detail add up: `OFFSET` keeps black, and the
noise in it, from counting. No photograph can tell a slow change of light from one of skin, so all
slow changes are taken for light; what hard shadows and highlights leave stays with the skin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.light import fit_sh, shade_sh

OFFSET = 8.0  # sRGB values of 255
_RIDGE = 1e-3  # of the light's fit: half a sphere does not fix all nine harmonics
_COARSE = 256  # pixels along the side in which slow changes are computed, and up to twice that
_FAR = 0.02  # what places three times as far count, where the nearer ones tell nothing
_STEEPEST = np.log(3)  # of light within a face: beyond lie shadows, in which noise is most


def logs(values: NDArray[np.uint8] | FloatArray) -> NDArray[np.float32]:
    """Logarithms of sRGB values in 0 to 255."""
    return np.log(np.maximum(np.asarray(values, np.float32), 0) + np.float32(OFFSET))


def light_of(picture: NDArray[np.uint8], normals: FloatArray, skin: BoolArray) -> FloatArray:
    """(9, 3) harmonics of the logarithm of the light on a face, for `lit`, around its mean.

    Args:
        picture: (S, S, 3) of the face.
        normals: (S, S, 3) camera space.
        skin: (S, S) where they are seen, and skin is.

    All zero where hardly any skin is seen.
    """
    chosen = skin & (np.einsum("...i,...i", normals, normals) > 0.5)
    if chosen.sum() < 500:
        return np.zeros((9, 3))
    values = logs(picture[chosen])[::4]  # neighbours say the same
    return fit_sh(
        values - np.median(values, axis=0), normals[chosen][::4], ridge=_RIDGE, iterations=10
    )


def lit(normals: FloatArray, light: FloatArray) -> FloatArray:
    """(..., 3) logarithms of what `light` (9, 3), as of `light_of`, does on `normals` (..., 3)."""
    return np.clip(shade_sh(normals, light), -_STEEPEST, _STEEPEST)


def even(picture: NDArray[np.uint8], normals: FloatArray, skin: BoolArray) -> FloatArray:
    """(S, S, 3) logarithms of a face's colours without its light; arguments as of `light_of`."""
    return logs(picture) - lit(normals, light_of(picture, normals, skin)).astype(np.float32)


def slow(
    difference: NDArray[np.float32], weight: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Slow changes (S, S, C) of `difference` (S, S, C), from where `weight` (S, S) is above 0.

    Means over `sigma` pixels, and over three times as many where there is little to be had there.
    """
    step = max(len(weight) // _COARSE, 1)
    side = len(weight) / step
    amount, far = _blurred(weight, sigma, step)
    planes = []
    for channel in np.moveaxis(difference, -1, 0):
        near, rest = _blurred(channel * weight, sigma, step)
        mean = (near + _FAR * rest) / np.maximum(amount + _FAR * far, 1e-6)
        plane = Image.fromarray(mean)
        box = (0, 0, side, side)
        planes.append(np.asarray(plane.resize(weight.shape, Image.Resampling.BILINEAR, box)))
    return np.stack(planes, axis=-1)


def _blurred(
    values: NDArray[np.float32], sigma: float, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    small = np.asarray(Image.fromarray(values).reduce(step))
    near = gaussian_filter(small, sigma / step, mode="constant")
    return near, gaussian_filter(small, 3 * sigma / step, mode="constant")
