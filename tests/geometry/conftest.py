"""The sphere that every function of the geometry is held against."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest


class Sphere(NamedTuple):
    normals: np.ndarray  # (H, W, 3) float64 unit, zero outside
    mask: np.ndarray  # (H, W)
    depth: np.ndarray  # (H, W) pixels, zero at the silhouette
    radius: float  # pixels


@pytest.fixture(scope="session")
def sphere() -> Callable[..., Sphere]:
    """sphere(height, width=height, rim=1.0): as large as fits, cut off at `rim` of the radius."""

    def make(height: int, width: int | None = None, rim: float = 1.0) -> Sphere:
        width = width or height
        radius = min(height, width) / 2
        x = np.arange(width) + 0.5 - width / 2
        y = height / 2 - np.arange(height) - 0.5
        x, y = np.meshgrid(x, y)
        depth = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0))
        mask = np.hypot(x, y) < rim * radius
        normals = np.where(mask[..., None], np.stack([x, y, depth], axis=-1) / radius, 0)
        return Sphere(normals, mask, depth, radius)

    return make
