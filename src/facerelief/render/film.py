"""From linear light to the bytes of a photograph."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from facerelief.geometry.light import linear_to_srgb
from facerelief.render.compiled import kernels
from facerelief.render.scene import Film

_REACH = 2.5  # standard deviations of a blur that are summed


def develop(radiance: NDArray[np.float32], film: Film, g: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB bytes of linear radiance (H, W, 3).

    In a camera's order: exposure and white balance, lens blur, noise of photons and of reading,
    the encoding curve, contrast, saturation, compression.
    """
    light = radiance * (film.exposure * np.asarray(film.white_balance, np.float32))
    if film.blur > 0:
        light = _blurred(light, film.blur)
    if film.noise > 0:
        # Half of it grows with the root of the light, half is always there.
        sigma = film.noise * np.sqrt(0.25 + 0.75 * light.clip(0, 1))
        light = light + sigma * g.standard_normal(light.shape, np.float32) * 0.5
    encoded = linear_to_srgb(light.clip(0, 1)).astype(np.float32)
    if film.contrast != 1:
        encoded = (0.5 + (encoded - 0.5) * film.contrast).clip(0, 1)
    if film.saturation != 1:
        grey = encoded @ np.array([0.299, 0.587, 0.114], np.float32)
        encoded = (grey[..., None] + (encoded - grey[..., None]) * film.saturation).clip(0, 1)
    photo = np.rint(255 * encoded).astype(np.uint8)
    if film.jpeg is None:
        return photo
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=film.jpeg)
    return np.asarray(Image.open(buffer))


def _blurred(light: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """(H, W, 3) under a Gaussian of `sigma` pixels."""
    if compiled := kernels():
        reach = int(_REACH * sigma + 0.5)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        weights = (weights / weights.sum()).astype(np.float32)
        made: NDArray[np.float32] = compiled.blur(np.ascontiguousarray(light), weights)
        return made
    return gaussian_filter(light, (sigma, sigma, 0), mode="nearest", truncate=_REACH)
