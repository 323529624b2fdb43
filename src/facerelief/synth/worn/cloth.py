"""Noise and cloth textures of hats, scarves and cut-outs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.arrays import FloatArray


def smooth_noise(g: np.random.Generator, size: int, scale: float) -> NDArray[np.float32]:
    """(size, size) noise of unit deviation whose spots are about `scale` pixels wide."""
    count = max(4, int(size / scale) + 1)
    small = Image.fromarray(g.standard_normal((count, count), dtype=np.float32))
    big = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))
    return (big / max(float(big.std()), 1e-6)).astype(np.float32)


def turned(x: FloatArray, y: FloatArray, angle: float) -> tuple[FloatArray, FloatArray]:
    """Coordinates along axes that are turned by `angle`, radians."""
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def cloth(g: np.random.Generator, size: int) -> NDArray[np.float32]:
    """(size, size, 3) sRGB 0 to 1 of a plain, striped or checked weave."""
    line = np.arange(size, dtype=np.float32)
    u, v = turned(line[None], line[:, None], g.uniform(0, np.pi))
    # Clothes are more often dull than bright.
    one, other = (_dull(g) for _ in range(2))
    period = size * g.uniform(0.04, 0.15)
    stripes = (np.sin(2 * np.pi * u / period) > 0).astype(np.float32)
    checks = 0.5 * stripes + 0.5 * (np.sin(2 * np.pi * v / period) > 0)
    mix = (np.zeros_like(u), stripes, checks)[g.choice(3, p=(0.7, 0.2, 0.1))][..., None]
    weave = 0.008 * smooth_noise(g, size, 1.6) + 0.02 * smooth_noise(g, size, size / 8)
    return np.clip(one + (other - one) * mix + weave[..., None], 0, 1).astype(np.float32)


def _dull(g: np.random.Generator) -> NDArray[np.float32]:
    """(3,) a colour of clothes."""
    grey = g.random() ** 1.3
    return np.clip(grey + (g.random(3) - 0.5) * g.random() ** 2 * 1.2, 0.02, 0.97).astype(
        np.float32
    )
