"""A ball before a depth camera: its distances and normals are known."""

import numpy as np
import pytest

from facerelief.geometry.depth_fusion import FusionOptions, fused, rotated
from facerelief.geometry.depth_registration import blurred, laid, shift_between, surface_normals
from facerelief.geometry.normals import angular_error, normalise
from facerelief.geometry.pinhole import Pinhole, Rig

SIZE, RADIUS, AWAY = 128, 90.0, 600.0
CAMERA = Pinhole((500.0, 500.0), (64.0, 64.0), (SIZE, SIZE))
X, Y = np.meshgrid(*[np.arange(SIZE) + 0.5] * 2)
RAYS = CAMERA.rays(np.stack([X, Y], axis=-1))


def ball(centre=(0.0, 0.0, -AWAY)):
    """Distances (mm, NaN off it) and normals."""
    middle = np.array(centre)
    a, b = (RAYS**2).sum(-1), RAYS @ middle
    root = b**2 - a * (middle @ middle - RADIUS**2)
    seen = root > 0
    distance = np.where(seen, (b - np.sqrt(np.where(seen, root, 0))) / a, np.nan)
    return distance, normalise(np.nan_to_num(distance[..., None] * RAYS - middle))


DISTANCE, NORMALS = ball()
MASK = np.isfinite(DISTANCE) & (NORMALS[..., 2] > 0.4)


def error(normals, mask=MASK):
    return float(np.nanmean(angular_error(normals, NORMALS)[mask]))


def noisy(seed=0):
    """As a Kinect has it: noise, steps of 2 mm, and holes."""
    random = np.random.default_rng(seed)
    distance = 2 * np.round((DISTANCE + random.normal(0, 1.5, DISTANCE.shape)) / 2)
    distance[40:60, 50:64] = np.nan
    return np.where(random.random(DISTANCE.shape) < 0.05, np.nan, distance)


def smoothed(distance, sigma):
    known = np.isfinite(distance).astype(float)
    smooth, weight = blurred(np.nan_to_num(distance), known, sigma)
    return surface_normals(np.where(weight > 1e-3, smooth, np.nan), RAYS)


def test_surface_normals_are_the_balls() -> None:
    inner = MASK & (NORMALS[..., 2] > 0.5)
    assert error(surface_normals(DISTANCE, RAYS), inner) < 0.6


def test_noise_goes_and_holes_are_filled() -> None:
    measured = noisy()
    bumpy = normalise(NORMALS + 0.05 * np.sin(X / 2)[..., None] * [1, 0, 0])
    made = fused(measured, bumpy, MASK, RAYS)
    best = min(error(smoothed(measured, sigma)) for sigma in (1, 2, 4, 6, 8, 12))
    assert error(made.normals) < 0.75 * best
    assert np.isfinite(made.distance[MASK]).all() and np.isnan(made.distance[~MASK]).all()
    assert made.filled[45:55, 53:60].all()
    off = np.abs(made.distance - DISTANCE)[MASK]
    assert np.median(off) < 0.5 and off.max() < 6  # at the rim


def test_slow_errors_of_normals_are_made_good_in_part() -> None:
    tilted = normalise(NORMALS + np.array([0.15, 0, 0]))
    wrong = error(tilted)
    exact = np.where(MASK, DISTANCE, np.nan)
    half = error(fused(exact, tilted, MASK, RAYS, FusionOptions(share=0.5)).normals)
    none = error(fused(exact, tilted, MASK, RAYS, FusionOptions(share=0, length=1e3)).normals)
    assert half < 0.7 * wrong < 0.8 * none


def test_a_sensor_that_fails_by_steps_is_not_followed() -> None:
    measured = DISTANCE.copy()
    measured[50:60, 80:90] += 60
    made = fused(measured, NORMALS, MASK, RAYS)
    assert np.abs(made.distance - DISTANCE)[MASK].max() < 5
    assert made.filled[52:58, 82:88].all()


def test_resolution_changes_nothing() -> None:
    coarse = fused(noisy()[::2, ::2], NORMALS[::2, ::2], MASK[::2, ::2], RAYS[::2, ::2])
    fine = fused(noisy(), NORMALS, MASK, RAYS)
    both = np.isfinite(coarse.distance)
    assert np.abs(coarse.distance - fine.distance[::2, ::2])[both].mean() < 0.5


def test_nothing_measured_is_said() -> None:
    with pytest.raises(ValueError, match="too little"):
        fused(np.full_like(DISTANCE, np.nan), NORMALS, MASK, RAYS)


def test_rotation_is_the_smallest_one() -> None:
    random = np.random.default_rng(1)
    start, end, other = (normalise(random.normal(size=(50, 3))) for _ in range(3))
    end = normalise(start + 0.5 * end)
    turned = rotated(other, start, end)
    np.testing.assert_allclose(rotated(start, start, end), end, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), 1)
    axis = np.cross(start, end)
    np.testing.assert_allclose((axis * turned).sum(-1), (axis * other).sum(-1), atol=1e-12)
    assert (rotated(other, start, 0 * end) == other).all()


def test_depth_is_laid_where_the_other_camera_sees_it() -> None:
    """A ball seen from 40 mm beside, drawn into the first camera, is the ball seen from there."""
    beside = np.array([40.0, -10.0, 0.0])
    seen, _ = ball(np.array([0, 0, -AWAY]) - beside)
    rig = Rig(CAMERA, CAMERA, np.eye(3), beside)
    found = laid(rig.points(seen), rig.photo.project, (SIZE, SIZE))
    inner = np.isfinite(found) & (NORMALS[..., 2] > 0.6)
    assert inner.sum() > 9000  # the rest is out of its sight
    assert np.abs(found - DISTANCE)[inner].max() < 0.3


def test_two_surfaces_are_not_joined() -> None:
    step = np.where(X < 64, 500.0, 900.0)
    found = laid(Rig.of_one(CAMERA).points(step), CAMERA.project, (SIZE, SIZE))
    assert set(np.unique(np.round(found[np.isfinite(found)]))) == {500, 900}


@pytest.mark.parametrize("move", [(9, -4), (-17, 12), (0, 0)])
def test_a_shift_is_found(move) -> None:
    right, down = move
    bumpy = normalise(NORMALS + 0.3 * np.stack([np.sin(X / 5), np.sin(Y / 7), 0 * X], -1))
    bumpy[~MASK] = 0
    moved = np.roll(bumpy, (-down, -right), (0, 1))
    found = shift_between(moved, bumpy, MASK, 24)
    np.testing.assert_allclose(found.pixels, move, atol=0.5)
    assert found.agreement > 0.99 and not found.at_end


def test_no_depth_within_reach_is_no_shift() -> None:
    assert shift_between(np.zeros_like(NORMALS), NORMALS, MASK, 8) is None
