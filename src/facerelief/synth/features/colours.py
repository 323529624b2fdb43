"""Helpers of made textures: soft edges, and colours as bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray


def smooth_step(x: FloatArray, low: float, high: float) -> FloatArray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def opaque(colour: FloatArray) -> NDArray[np.uint8]:
    """(H, W, 4) bytes of RGB (H, W, 3) in [0, 1]."""
    full = np.full((*colour.shape[:2], 4), 255, np.uint8)
    full[..., :3] = np.clip(colour * 255, 0, 255).astype(np.uint8)
    return full
