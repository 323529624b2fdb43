"""Renderings without a renderer, for tests of what is done with them."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np

from facerelief.samples.rendering import Rendering


def sphere(index: int, size: int = 64) -> Rendering:
    """A ball under light from the upper left; its colours and place depend on `index` alone."""
    rng = np.random.default_rng(index)
    centre, radius = rng.uniform(0.4, 0.6, 2) * size, 0.35 * size
    rows, columns = np.mgrid[:size, :size] + 0.5
    x, y = (columns - centre[0]) / radius, (centre[1] - rows) / radius
    mask = x**2 + y**2 < 1
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    normals = (np.dstack([x, y, z]) * mask[..., None]).astype(np.float32)
    shading = np.clip(normals @ [-0.5, 0.5, 0.7], 0.05, None)[..., None] * rng.uniform(0.5, 2, 3)
    albedo = np.broadcast_to(rng.integers(60, 250, 3), (size, size, 3)).astype(np.uint8)
    photo = np.clip(albedo * shading + rng.normal(0, 4, shading.shape), 0, 255).astype(np.uint8)
    depth = np.where(mask, 600 - 80 * z, np.nan).astype(np.float32)
    occluder = mask & (rows < size / 3)
    return Rendering(
        photo=photo,
        normals=normals * ~occluder[..., None],
        normals_smooth=normals,
        depth=depth,
        albedo=albedo,
        shading=shading.astype(np.float16),
        mask=mask & ~occluder,
        occluder=occluder,
        position=np.dstack(
            [np.where(mask, v, np.nan) for v in (columns, rows, -600 - 80 * z)]
        ).astype(np.float32),
        landmarks=rng.uniform(0, size, (68, 2)).astype(np.float32),
        landmarks_visible=rng.random(68) < 0.8,
        rotation=np.eye(3, dtype=np.float32),
        translation=np.array([0.1, 3, -600], np.float32),
        focal=700.0,
        centre=np.array([31.5, 40.25], np.float32),
        irradiance=rng.normal(size=(9, 3)).astype(np.float32),
        coefficients={
            "yaw": float(rng.uniform(-90, 90)),
            "identity": rng.normal(size=5).astype(np.float32),
            "skin": "procedural",
            "glasses": None,
        },
    )


class Spheres:
    """Draws spheres of one size; picklable, as workers need it."""

    def __init__(self, size: int = 64, slow: float = 0.0) -> None:
        self.size, self.slow = size, slow

    def __call__(self, index: int) -> Rendering:
        time.sleep(self.slow)
        return sphere(index, self.size)


class Fails(Spheres):
    """Fails at one index, once for each marker file that is not there yet."""

    def __init__(self, at: int, marker: Path, kill: bool = False) -> None:
        super().__init__()
        self.at, self.marker, self.kill = at, marker, kill

    def __call__(self, index: int) -> Rendering:
        if index == self.at and not self.marker.exists():
            self.marker.touch()
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError("no memory for this head")
        return super().__call__(index)


def random_heads(assets, options, seed, renderer, paths):  # type: ignore[no-untyped-def]
    """Stands in for `facerelief.synth.produce.random_heads`."""
    return partial(_of_seed, options.size, seed)


def _of_seed(size: int, seed: int, index: int) -> Rendering:
    return sphere(1000 * seed + index, size)
