"""Colours of made textures, as bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray


def opaque(colour: FloatArray) -> NDArray[np.uint8]:
    """(H, W, 4) bytes of RGB (H, W, 3) in [0, 1]."""
    full = np.full((*colour.shape[:2], 4), 255, np.uint8)
    full[..., :3] = np.clip(colour * 255, 0, 255).astype(np.uint8)
    return full
