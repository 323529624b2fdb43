"""The classical baseline: it finds shape where shading tells it, and else stays at the mean."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.evaluate.shape_from_shading import Settings, estimate  # noqa: E402
from facerelief.geometry.light import direction, shade  # noqa: E402
from facerelief.geometry.normals import angular_error, normalise  # noqa: E402

SIZE = 256


def bump(height: float) -> np.ndarray:
    """Normals (256, 256, 3) of a broad bump with a ridge across it, `height` times as high."""
    axis = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    broad = np.exp(-2 * (x**2 + y**2))
    ridge = np.exp(-(((y - 0.2) / 0.15) ** 2) - 2 * x**2)
    slope_x = height * (-4 * x * broad - 0.6 * x * ridge)
    slope_y = height * (-4 * y * broad - 0.15 * 2 * (y - 0.2) / 0.15**2 * ridge)
    return normalise(np.dstack([-slope_x, -slope_y, np.ones_like(x)])).astype(np.float32)


def photo(normals: np.ndarray, azimuth: float) -> np.ndarray:
    shading = 0.1 + 0.8 * shade(normals, direction(azimuth, 10))
    grey = np.clip(shading, 0, 1) ** (1 / 2.2)
    return np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, -1)


def test_an_even_albedo_tells_the_shape_that_the_mean_lacks() -> None:
    truth, mean = bump(0.6), bump(0.3)
    crops = np.stack([photo(truth, azimuth) for azimuth in (-40, 0, 40)])
    # On faces the mean is worth more and the albedo less than here.
    found = estimate(crops, mean, Settings(prior=0.02, edge=0.1, steps=300))
    middle = np.s_[48:208, 48:208]
    before = angular_error(mean, truth)[middle].mean()
    for normals in found.normals:
        assert angular_error(normals, truth)[middle].mean() < 0.85 * before
    assert found.mask.all() and found.normals.shape == (3, SIZE, SIZE, 3)
    assert np.allclose(np.linalg.norm(found.normals, axis=-1), 1, atol=1e-4)


def test_a_photo_without_shading_gives_the_mean() -> None:
    mean = bump(0.3)
    found = estimate(np.full((1, SIZE, SIZE, 3), 128, np.uint8), mean)
    assert angular_error(found.normals[0], mean).mean() < 3


def test_photos_do_not_disturb_each_other() -> None:
    mean = bump(0.3)
    crops = np.stack([photo(bump(0.6), azimuth) for azimuth in (-40, 40)])
    settings = Settings(steps=20)
    together = estimate(crops, mean, settings).normals
    alone = np.concatenate([estimate(one[None], mean, settings).normals for one in crops])
    assert angular_error(together, alone).mean() < 0.05
