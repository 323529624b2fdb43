"""Photometric stereo gives a sphere's normals back, whatever spoils some of its pictures."""

from collections.abc import Callable

import numpy as np
import pytest

from facerelief.geometry.light import direction
from facerelief.geometry.normals import angular_error
from facerelief.geometry.photometric_stereo import (
    near_light_photometric_stereo,
    near_lights,
    photometric_stereo,
)

LIGHTS = np.stack(
    [
        direction(float(azimuth), float(elevation))
        for azimuth in (-50, -25, 0, 25, 50)
        for elevation in (-35, 0, 35)
    ]
)


@pytest.fixture(scope="module")
def ball(sphere: Callable):
    return sphere(64, rim=0.8)


@pytest.fixture(scope="module")
def albedo() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.3, 0.9, (64, 64))


def shade(lights: np.ndarray, normals: np.ndarray, albedo: np.ndarray) -> np.ndarray:
    """(K, H, W) Lambertian images under (K, 3) or (K, H, W, 3) lights."""
    lights = lights[:, None, None] if lights.ndim == 2 else lights
    return np.maximum((lights * normals).sum(-1), 0) * albedo


def test_far_lights_give_normals_and_albedo_back(ball, albedo: np.ndarray) -> None:
    images = shade(LIGHTS, ball.normals, albedo)
    found = photometric_stereo(images, LIGHTS, valid=images > 0)
    assert angular_error(found.normals, ball.normals)[ball.mask].max() < 0.05
    assert np.allclose(found.albedo[ball.mask], albedo[ball.mask], rtol=1e-3)
    assert found.mask()[ball.mask].all()


def test_outliers_are_left_out(ball, albedo: np.ndarray) -> None:
    images = shade(LIGHTS, ball.normals, albedo)
    rng = np.random.default_rng(1)
    spoiled = images.copy()
    for pixel in np.argwhere(ball.mask):
        for light in rng.choice(len(LIGHTS), 2, replace=False):  # a highlight and a cast shadow
            spoiled[light, pixel[0], pixel[1]] += rng.choice([-0.6, 0.8])
    spoiled = np.maximum(spoiled, 0)
    robust = photometric_stereo(spoiled, LIGHTS, valid=spoiled > 0)
    plain = photometric_stereo(spoiled, LIGHTS, valid=spoiled > 0, iterations=1)
    error = angular_error(robust.normals, ball.normals)[ball.mask]
    assert np.median(error) < 0.5
    assert np.median(error) < np.median(angular_error(plain.normals, ball.normals)[ball.mask]) / 5


def test_pixels_that_no_normal_explains_are_not_trusted(ball, albedo: np.ndarray) -> None:
    images = shade(LIGHTS, ball.normals, albedo)
    images[:, 30:34, 30:34] = np.random.default_rng(2).uniform(0, 1, (len(LIGHTS), 4, 4))
    mask = photometric_stereo(images, LIGHTS, valid=images > 0).mask()
    assert not mask[30:34, 30:34].any()
    assert mask[ball.mask].mean() > 0.95


def test_near_lights_need_the_near_solver(ball, albedo: np.ndarray) -> None:
    """A sphere of 120 mm under lights 500 mm away."""
    pixel = 120 / 64
    x = (np.arange(64) + 0.5 - 32) * pixel
    points = np.stack([*np.meshgrid(x, -x), ball.depth * pixel], -1)
    # The solver's plane of depth zero is where the surface's depth is zero on average.
    points[..., 2] -= points[..., 2][ball.mask].mean()
    images = shade(near_lights(LIGHTS * 500, points, 500), ball.normals, albedo)
    options = {"valid": images > 0, "light_distance": 500.0, "pixel_size": pixel}
    near = near_light_photometric_stereo(images, LIGHTS, passes=3, **options)
    far = photometric_stereo(images, LIGHTS, valid=images > 0)
    solved = angular_error(near.normals, ball.normals)[ball.mask].mean()
    assert solved < 0.5
    assert solved < angular_error(far.normals, ball.normals)[ball.mask].mean() / 5


def test_light_of_a_near_lamp_falls_with_the_square() -> None:
    points = np.array([[[0.0, 0, 0], [0, 0, 500]]])
    vectors = near_lights(np.array([[0.0, 0, 1000]]), points, 1000)
    assert np.allclose(vectors[0, 0], [[0, 0, 1], [0, 0, 4]])


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_images_are_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="at least three images"):
        photometric_stereo(np.zeros((count, 4, 4)), np.zeros((count, 3)))


def test_lights_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        photometric_stereo(np.zeros((5, 4, 4)), np.zeros((4, 3)))
