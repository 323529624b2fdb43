"""Depth from normals and back, on a sphere, on planes and against a slow dense twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerelief.geometry.integrate import MIN_NORMAL_Z, depth_to_normals, normals_to_depth
from facerelief.geometry.normals import angular_error, normalise


def centred(depth, mask):
    return np.where(mask, depth - depth[mask].mean(), np.nan)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("height", "width"), [(192, 168), (256, 256), (40, 90)])
def test_depth_of_a_sphere_comes_back_to_its_very_rim(sphere, height, width, dtype):
    ball = sphere(height, width)
    depth = normals_to_depth(ball.normals.astype(dtype), ball.mask)
    assert depth.shape == (height, width) and depth.dtype == np.float64
    assert np.isnan(depth[~ball.mask]).all()
    # 1 % of the radius is asked for; but the chords of a sphere are exactly perpendicular to its
    # mean normals, so that only rounding is left.
    error = np.abs(depth - centred(ball.depth, ball.mask))[ball.mask]
    assert error.max() < (1e-6 if dtype is np.float32 else 1e-10) * ball.radius


def test_depth_is_in_the_unit_of_the_pixel_size(sphere):
    ball = sphere(32)
    depth = normals_to_depth(ball.normals, ball.mask)
    np.testing.assert_allclose(
        normals_to_depth(ball.normals, ball.mask, pixel_size=0.25), depth / 4
    )


def test_a_surface_rises_towards_where_its_normal_leans_away_from():
    right = normals_to_depth(np.broadcast_to(normalise([-0.5, 0, 1]), (5, 7, 3)))
    np.testing.assert_allclose(np.diff(right, axis=1), 0.5)
    np.testing.assert_allclose(np.diff(right, axis=0), 0, atol=1e-12)
    up = normals_to_depth(np.broadcast_to(normalise([0, -0.5, 1]), (5, 7, 3)))
    np.testing.assert_allclose(np.diff(up, axis=0), -0.5)  # rows run down


def dense_twin(normals, mask, weights):
    """The same least squares written down pair by pair and solved densely."""
    pixels = [tuple(p) for p in np.argwhere(mask)]
    number = {pixel: k for k, pixel in enumerate(pixels)}
    rows, right = [], []
    for r, c in pixels:
        for other, step in (((r, c + 1), (1, 0)), ((r + 1, c), (0, -1))):
            if other not in number:
                continue
            n = normals[r, c] + normals[other]
            w = (weights[r, c] * weights[other]) ** 0.25
            row = np.zeros(len(pixels))
            row[number[other]], row[number[r, c]] = n[2] * w, -n[2] * w
            rows.append(row)
            right.append(-w * (n[0] * step[0] + n[1] * step[1]))
    solution = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    depth = np.full(mask.shape, np.nan)
    depth[mask] = solution - solution.mean()
    return depth


def test_equals_the_dense_least_squares_twin():
    rng = np.random.default_rng(0)
    normals = normalise(rng.normal(size=(9, 8, 3)) * [1, 1, 0.2] + [0, 0, 1.5])
    assert normals[..., 2].min() > MIN_NORMAL_Z
    mask = np.ones((9, 8), bool)
    mask[:3, :2] = mask[5, 3:6] = False
    weights = rng.uniform(0.1, 1, mask.shape)
    depth = normals_to_depth(normals, mask, weights)
    np.testing.assert_allclose(depth, dense_twin(normals, mask, weights), atol=1e-9)


def test_parts_that_do_not_touch_each_have_mean_zero(sphere):
    ball = sphere(48)
    mask = ball.mask.copy()
    mask[:, 20:24] = False
    mask[0, 0] = True  # a pixel alone
    normals = ball.normals.copy()
    normals[0, 0] = 0, 0, 1
    depth = normals_to_depth(normals, mask)
    for part in (np.s_[:, :20], np.s_[:, 24:]):
        inside = ball.mask[part] & mask[part]
        assert depth[part][inside].mean() == pytest.approx(0, abs=1e-9)
        truth = ball.depth[part][inside]
        np.testing.assert_allclose(depth[part][inside], truth - truth.mean(), atol=1e-6)
    assert depth[0, 0] == 0


def test_normals_that_face_away_or_lie_flat_do_no_harm(sphere):
    ball = sphere(64, rim=0.9)
    normals = ball.normals.copy()
    normals[30, 20] = 1, 0, 0
    normals[40, 40] = 0, 0.6, -0.8
    depth = normals_to_depth(normals, ball.mask)
    error = np.abs(depth - centred(ball.depth, ball.mask))[ball.mask]
    assert np.isfinite(error).all()
    assert np.median(error) < 0.01 * ball.radius and error.max() < 0.1 * ball.radius


def test_a_whole_band_seen_edge_on_still_joins_its_two_sides():
    normals = np.broadcast_to(normalise([0.0, 0, 1]), (12, 16, 3)).copy()
    normals[:, 6:9] = 1, 0, 0
    depth = normals_to_depth(normals)
    assert np.isfinite(depth).all()
    np.testing.assert_allclose(np.diff(depth[:, :6], axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(depth[:, 9:], axis=1), 0, atol=1e-9)
    # Facing right, it falls to the right, as steeply as is believed.
    np.testing.assert_allclose(np.diff(depth[:, 6:9], axis=1), -1 / MIN_NORMAL_Z, rtol=1e-3)


def test_pixels_without_a_normal_leave_the_mask(sphere):
    ball = sphere(32)
    normals = ball.normals.copy()
    normals[10, 10], normals[20, 12] = np.nan, 0
    depth = normals_to_depth(normals, ball.mask)
    assert np.isnan(depth[10, 10]) and np.isnan(depth[20, 12])
    assert np.isfinite(depth).sum() == ball.mask.sum() - 2
    assert np.isnan(normals_to_depth(np.zeros((4, 4, 3)))).all()


def test_weight_keeps_a_bad_patch_from_spoiling_the_rest(sphere):
    ball = sphere(64, rim=0.95)
    patch = np.s_[20:34, 12:30]
    normals, weights = ball.normals.copy(), np.ones(ball.mask.shape)
    normals[patch] = normalise([0.9, 0.2, 0.3])
    weights[patch] = 0
    rest = ball.mask.copy()
    rest[patch] = False

    def error(**options):
        depth = normals_to_depth(normals, ball.mask, **options)
        gap = (depth - ball.depth)[rest]
        return np.abs(gap - np.median(gap)).max() / ball.radius

    assert error(weights=weights) < 0.001
    assert error() > 0.05


def ledge(size=96):
    """A ball that merges into a slope on its left and hangs over it on its right."""
    x = np.arange(size) + 0.5 - size / 2
    x, y = np.meshgrid(x, -x)
    radius = 0.2 * size
    ball = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0))
    slope = -0.6 * x
    front = (np.hypot(x, y) < radius) & (ball > slope)
    of_ball = np.stack([x, y, ball], axis=-1) / radius
    normals = np.where(front[..., None], of_ball, normalise([0.6, 0, 1]))
    return normals, np.where(front, ball, slope)


def test_discontinuities_are_kept_where_asked_for():
    normals, truth = ledge()

    def error(**options):
        gap = normals_to_depth(normals, **options) - truth
        return np.median(np.abs(gap - np.median(gap)))

    plain = error()
    assert error(discontinuities=True) < 0.75 * plain
    assert error(discontinuities=True, stiffness=10) < 0.05 * plain


def test_asking_for_discontinuities_does_not_break_a_smooth_surface(sphere):
    ball = sphere(64)
    rng = np.random.default_rng(1)
    noisy = normalise(ball.normals + 0.03 * rng.normal(size=ball.normals.shape))
    depth = normals_to_depth(noisy, ball.mask, discontinuities=True)
    error = np.abs(depth - centred(ball.depth, ball.mask))[ball.mask]
    assert np.sqrt((error**2).mean()) < 0.01 * ball.radius


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_smooth_surfaces_come_back_from_their_normals(seed, pixel_size):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :36] / 40.0
    waves = [
        np.sin(rng.uniform(0, 6) * x + rng.uniform(0, 6) * y + rng.uniform(0, 6)) for _ in range(4)
    ]
    truth = 5 * pixel_size * sum(waves)
    mask = np.ones(truth.shape, bool)
    mask[rng.integers(0, 30) :, : rng.integers(1, 20)] = False
    back = normals_to_depth(depth_to_normals(truth, mask, pixel_size), mask, pixel_size=pixel_size)
    span = np.ptp(truth[mask])
    assert np.abs(back - centred(truth, mask))[mask].max() < 0.02 * max(span, pixel_size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals_of_a_sphere(sphere, dtype):
    ball = sphere(256)
    normals = depth_to_normals(ball.depth.astype(dtype), ball.mask)
    assert normals.dtype == np.float32
    assert not normals[~ball.mask].any()
    off = angular_error(normals, ball.normals)[ball.normals[..., 2] > 0.44]
    assert off.max() < 0.3 and np.median(off) < 0.02


def test_normals_of_a_plane_are_exact_up_to_the_border():
    y, x = np.mgrid[:6, :9]
    normals = depth_to_normals(0.3 * x - 0.7 * y, pixel_size=2.0)
    np.testing.assert_allclose(
        normals, np.broadcast_to(normalise([-0.15, -0.35, 1]), (6, 9, 3)), atol=1e-6
    )


def test_nothing_outside_the_mask_enters_the_normals():
    y, x = np.mgrid[:6, :9]
    depth = 0.5 * x + 0.0 * y
    mask = np.ones(depth.shape, bool)
    mask[2:4, 4:6] = False
    mask[:, 8] = False
    depth[~mask] = 1e6
    depth[0, 0] = np.nan
    normals = depth_to_normals(depth, mask)
    mask[0, 0] = False
    np.testing.assert_allclose(
        normals[mask], np.broadcast_to(normalise([-0.5, 0, 1]), (mask.sum(), 3)), atol=1e-6
    )
    assert not normals[~mask].any()


def test_a_pixel_alone_is_level():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    assert depth_to_normals(np.arange(9.0).reshape(3, 3), mask)[1, 1].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 4),), "normals must be"),
        (((4, 4, 3), np.ones((4, 5))), "mask must be"),
        (((4, 4, 3), np.ones((4, 4)), np.ones((3, 4))), "weights must be"),
        (((4, 4, 3), None, -np.ones((4, 4))), "not negative"),
        (((4, 4, 3), None, np.full((4, 4), np.nan)), "finite"),
        (((4, 4, 3), None, None, 0.0), "pixel_size"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, message):
    shape, *rest = arguments
    with pytest.raises(ValueError, match=message):
        normals_to_depth(np.ones(shape), *rest)


@pytest.mark.parametrize(
    ("shape", "mask", "pixel_size"), [((4,), None, 1), ((4, 4), np.ones(4), 1), ((4, 4), None, -1)]
)
def test_bad_depth_arguments_raise(shape, mask, pixel_size):
    with pytest.raises(ValueError):
        depth_to_normals(np.ones(shape), mask, pixel_size)
