"""Relief from shading: on surfaces whose relief, light and paint are known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from facerelief.geometry.light import direction, directional_to_sh, shade_sh
from facerelief.geometry.normals import normalise
from facerelief.geometry.shading_detail import NoLightError, shading_detail

SIZE = 160
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] + 0.5
X, Y = (COLUMNS - SIZE / 2) / 100, -(ROWS - SIZE / 2) / 100
MASK = X**2 + Y**2 < 0.5
SPHERE = normalise(np.stack([X, Y, np.sqrt(np.maximum(1 - X**2 - Y**2, 0.01))], -1)).astype("f4")


def with_relief(relief):
    """Normals of the sphere (radius 100 pixels) with `relief` (pixels) towards the viewer on it."""
    depth = 100 * np.sqrt(np.maximum(1 - X**2 - Y**2, 0.01)) + relief
    down, right = np.gradient(depth)
    return normalise(np.stack([-right, down, np.ones_like(depth)], -1)).astype(np.float32)


def photographed(normals, azimuth, elevation=10, albedo=0.7):
    light = 0.8 * directional_to_sh(direction(azimuth, elevation))
    light[0] += 0.2 * np.sqrt(4 * np.pi)
    shading = np.maximum(shade_sh(normals, light), 0)
    return (np.broadcast_to(albedo, MASK.shape) * shading)[..., None].repeat(3, -1)


def error(a, b, where=MASK):
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))[where].mean()


def bumps(seed=0, width=2.5, height=6):
    noise = np.random.default_rng(seed).standard_normal(MASK.shape)
    return gaussian_filter(noise, width) * height


@pytest.mark.parametrize("azimuth", [-50, 0, 50])
def test_a_relief_that_is_lit_is_found(azimuth):
    truth = with_relief(bumps(height=3))
    photo = photographed(truth, azimuth)
    found = shading_detail(photo, SPHERE, MASK, 1.0, hollows=0.0, stiffness=0.1)
    before, after = error(SPHERE, truth), error(found.normals, truth)
    assert before > 4
    assert after < 0.75 * before


def test_bumps_come_out_as_bumps_and_slopes_face_the_light():
    bump = 3 * np.exp(-((COLUMNS - 80) ** 2 + (ROWS - 80) ** 2) / (2 * 4**2))
    found = shading_detail(photographed(with_relief(bump), 45), SPHERE, MASK, 1.5)
    assert found.relief[80, 80] > found.relief[80, 70] and found.relief[80, 80] > 0
    assert found.normals[80, 76, 0] < SPHERE[80, 76, 0]  # its left side looks to the left
    assert found.normals[76, 80, 1] > SPHERE[76, 80, 1]  # its upper side upwards


def test_what_is_dark_all_round_is_deep_where_light_comes_from_the_front():
    photo = photographed(SPHERE, 0, 0)
    line = np.exp(-((ROWS - 80) ** 2) / (2 * 1.5**2))
    found = shading_detail(photo * (1 - 0.15 * line)[..., None], SPHERE, MASK, 1.0)
    assert found.relief[80, 80] < found.relief[74, 80] - 0.05


def test_a_smooth_face_stays_smooth():
    found = shading_detail(photographed(SPHERE, 30), SPHERE, MASK, 1.0)
    assert error(found.normals, SPHERE) < 0.6


def test_a_mole_is_raised_far_less_than_its_contrast_would_say():
    mole = np.where((COLUMNS - 80) ** 2 + (ROWS - 80) ** 2 < 16, 0.25, 1.0)
    spot = MASK & ((COLUMNS - 80) ** 2 + (ROWS - 80) ** 2 < 64)
    faint = np.where(mole < 1, 0.9, 1.0)
    strong = shading_detail(photographed(SPHERE, 40, albedo=0.7 * mole), SPHERE, MASK, 1.0)
    weak = shading_detail(photographed(SPHERE, 40, albedo=0.7 * faint), SPHERE, MASK, 1.0)
    # Thirteen times the contrast.
    ratio = error(strong.normals, SPHERE, spot) / error(weak.normals, SPHERE, spot)
    assert ratio < 4


def test_what_is_left_out_stays_as_it_is():
    truth = with_relief(bumps(height=3))
    left_out = (ROWS < 80).astype(np.float32)
    found = shading_detail(photographed(truth, 40), SPHERE, MASK, 1.0, left_out)
    upper, lower = MASK & (ROWS < 68), MASK & (ROWS > 92)
    assert error(found.normals, SPHERE, upper) < 0.15 * error(found.normals, SPHERE, lower)


def test_twice_the_size_is_the_same_surface():
    truth = with_relief(bumps(width=4, height=12))
    photo = photographed(truth, 40)
    small = shading_detail(photo, SPHERE, MASK, 1.0).normals
    double = [np.kron(a, np.ones((2, 2, 1))) for a in (photo, SPHERE)]
    large = shading_detail(*double, np.kron(MASK, np.ones((2, 2))) > 0, 2.0).normals
    assert error(large[::2, ::2], small) < 0.35 * error(small, SPHERE)


def test_no_light_is_said():
    for value in (0.0, 1.0):
        with pytest.raises(NoLightError, match="light"):
            shading_detail(np.full((*MASK.shape, 3), value), SPHERE, MASK, 1.0)
    with pytest.raises(NoLightError):
        shading_detail(photographed(SPHERE, 0), SPHERE, np.zeros_like(MASK), 1.0)


def test_shapes_and_scales_that_do_not_fit():
    photo = photographed(SPHERE, 0)
    with pytest.raises(ValueError, match="fit"):
        shading_detail(photo[1:], SPHERE, MASK, 1.0)
    with pytest.raises(ValueError, match="scale"):
        shading_detail(photo, SPHERE, MASK, 0.0)


def test_normals_are_unit_in_the_mask_and_zero_off_it():
    found = shading_detail(photographed(with_relief(bumps()), 20), SPHERE, MASK, 1.0)
    assert np.allclose(np.linalg.norm(found.normals[MASK], axis=-1), 1, atol=1e-5)
    assert not found.normals[~MASK].any()
    assert np.isfinite(found.relief).all()
