"""Soft edges."""

from __future__ import annotations

import numpy as np

from facerelief.arrays import FloatArray


def smooth_step(x: FloatArray, low: float = 0.0, high: float = 1.0) -> FloatArray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
