"""How alike two pictures are, up to their exposure: PSNR and SSIM within a region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief.arrays import BoolArray, FloatArray

_WHITE = 99  # percentile of the true picture that counts as its white
_WINDOW = 1.5  # pixels, standard deviation of SSIM's
_K1, _K2 = 0.01, 0.03


def aligned(
    picture: FloatArray, truth: FloatArray, mask: BoolArray, most: float = 1.0
) -> NDArray[np.float64]:
    """`picture` (H, W) at the exposure at which it is nearest to `truth` in `mask`, clipped.

    Least squares; `most` is the value at which the truth clips.
    """
    p, t = np.asarray(picture, np.float64)[mask], np.asarray(truth, np.float64)[mask]
    scale = float(p @ t) / max(float(p @ p), 1e-12)
    return np.clip(scale * np.asarray(picture, np.float64), 0, most)


def psnr(picture: FloatArray, truth: FloatArray, mask: BoolArray) -> float:
    """Decibels, over the pixels of `mask`; the peak is the truth's 99th percentile there."""
    square = float(np.mean((np.asarray(picture, np.float64) - truth)[mask] ** 2))
    return float(10 * np.log10(_peak(truth, mask) ** 2 / max(square, 1e-12)))


def ssim(picture: FloatArray, truth: FloatArray, mask: BoolArray) -> float:
    """Structural similarity, -1 to 1, averaged over `mask` (Wang, Bovik, Sheikh, Simoncelli, "Image
    quality assessment: from error visibility to structural similarity", TIP 2004, equation 13).

    What lies outside the mask is taken as equal.
    """
    peak = _peak(truth, mask)
    y = np.asarray(truth, np.float64)
    x = np.where(mask, picture, y)

    def mean(values: FloatArray) -> FloatArray:
        return gaussian_filter(values, _WINDOW)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    alike = (2 * mx * my + c1) * (2 * both + c2)
    alike /= (mx * mx + my * my + c1) * (vx + vy + c2)
    return float(alike[mask].mean())


def _peak(truth: FloatArray, mask: BoolArray) -> float:
    return max(float(np.percentile(truth[mask], _WHITE)), 1e-6)
