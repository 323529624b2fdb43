"""Renderings of scans: poses and lights as promised, and a ball as it must look."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.data.basel import Scan, load_scan
from facerelief.evaluate import basel_pictures
from facerelief.evaluate.basel_pictures import DISTANCE, SIZE, Light, Pose, poses, show
from facerelief.geometry.camera import Perspective
from facerelief.geometry.light import srgb_to_linear
from facerelief.geometry.normals import angular_error, normalise
from facerelief.types import Crop

RADIUS = 80.0  # mm, of the ball
AHEAD = np.eye(3)
NO_FILL = np.zeros(3)


def lamp(*direction: float, fill: np.ndarray = NO_FILL) -> Light:
    return Light("lamp", np.ones(3), normalise(np.array(direction, float)), fill)


def degrees_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def test_poses_are_the_protocols() -> None:
    listed = poses()
    turned, random = ([p for p in listed if p.protocol == part] for part in ("yaw", "random"))
    assert [pose.group for pose in turned] == ["-60°", "-30°", "0°", "+30°", "+60°"]
    for pose, yaw in zip(turned, (-60, -30, 0, 30, 60), strict=True):
        nose = pose.rotation[:, 2]  # where the face looks, camera space
        expected = [np.sin(np.radians(yaw)), 0, np.cos(np.radians(yaw))]
        np.testing.assert_allclose(nose, expected, atol=1e-12)
    assert len(random) == 24
    angles = [np.degrees(np.arccos((np.trace(p.rotation) - 1) / 2)) for p in random]
    assert max(angles) < 45 and min(angles) < 15 < 30 < max(angles)
    limits = {"up to 22.5°": (0, 22.5), "up to 45°": (22.5, 45)}
    for pose, angle in zip(random, angles, strict=True):
        low, high = limits[pose.group]
        assert low <= angle <= high
        np.testing.assert_allclose(pose.rotation @ pose.rotation.T, AHEAD, atol=1e-12)
        assert np.linalg.det(pose.rotation) > 0


def test_lamps_stand_where_their_group_says_and_reach_the_face() -> None:
    expected = {"frontal": 8, "30°": 30, "60°": 60}
    for pose in poses():
        if pose.protocol != "yaw":
            continue
        groups = [one.group for one in pose.lights]
        assert groups == ["frontal", "30°", "30°", "60°", "60°", "environment", "environment"]
        for one in pose.lights[:5]:
            assert np.isclose(degrees_between(one.direction, AHEAD[2]), expected[one.group])
            assert degrees_between(one.direction, pose.rotation[:, 2]) < 75
        for one in pose.lights[5:]:
            assert not one.lamp.any() and len(one.spots) == 3


def test_the_same_every_time() -> None:
    for first, second in zip(poses(), poses(), strict=True):
        np.testing.assert_array_equal(first.rotation, second.rotation)
        for one, other in zip(first.lights, second.lights, strict=True):
            np.testing.assert_array_equal(one.direction, other.direction)
            np.testing.assert_array_equal(one.fill, other.fill)


@pytest.fixture
def lens(ball: Scan) -> Perspective:
    """The camera of the ball's landmark crop, worked out from a wide picture."""
    focal, middle = 1000.0, 500.0
    points = Perspective(focal, (middle, middle)).project(ball.landmarks - (0, 0, DISTANCE))
    crop = Crop.from_landmarks(points[:, :2], SIZE)
    x, y = crop.to_crop((middle, middle))
    return Perspective(focal / crop.scale, (float(x), float(y)))


def seen(lens: Perspective) -> np.ndarray:
    """Normals (256, 256, 3) of the ball at the pixels' centres, by intersecting rays; 0 off it."""
    ticks = np.arange(SIZE) + 0.5
    x, y = np.meshgrid(ticks, ticks)
    rays = normalise(lens.unproject(np.stack([x, y, np.full_like(x, -1.0)], axis=-1)))
    along = -DISTANCE * rays[..., 2]
    square = along**2 - DISTANCE**2 + RADIUS**2
    points = (along - np.sqrt(np.maximum(square, 0)))[..., None] * rays + (0, 0, DISTANCE)
    return np.where(square[..., None] > 0, points / RADIUS, 0)


def test_truth_of_a_ball(ball: Scan, lens: Perspective) -> None:
    turned = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]).T
    plain, aside = show(ball, [Pose("yaw", g, r, (lamp(0, 0, 1),)) for g, r in
                               (("0°", AHEAD), ("90°", turned))])  # fmt: skip
    truth = seen(lens)
    assert plain.mask.mean() > 0.5 and plain.names == ("ball_yaw000",)
    assert aside.names == ("ball_yaw001",)
    assert angular_error(plain.normals, truth)[plain.mask].max() < 0.6
    assert not plain.normals[~plain.mask].any()
    # Seen from the side, the face is half of the ball.
    assert aside.normals[aside.mask][:, 0].min() * turned[0, 2] > -0.35


@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 1), (-0.5, 1, 1)])
def test_a_ball_is_shaded_by_its_cosine(
    ball: Scan, lens: Perspective, direction: tuple[float, ...]
) -> None:
    light = lamp(*direction)
    (shown,) = show(ball, [Pose("yaw", "0°", AHEAD, (light,))])
    linear = srgb_to_linear(shown.photos[0] / 255).mean(axis=-1)
    cosine = np.maximum(seen(lens) @ light.direction, 0)
    known = shown.mask & (cosine > 0.25) & (linear < 0.99)
    ratio = linear[known] / cosine[known]
    assert np.ptp(ratio) < 0.06 * ratio.mean()
    assert linear[shown.mask & (cosine == 0)].max(initial=0) < 0.02
    corners = shown.photos[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()  # black behind


def test_light_from_everywhere_is_even(ball: Scan) -> None:
    sky = Light("sky", fill=np.array([0.5, 0.5, 0.5]))
    (shown,) = show(ball, [Pose("yaw", "0°", AHEAD, (sky,))])
    inside = shown.photos[0][shown.mask].astype(float)
    assert np.ptp(inside) < 12


def test_the_sky_is_in_camera_space(ball: Scan) -> None:
    """A spot at the picture's left lights the left, however the head is turned."""
    spot = Light("sky", fill=NO_FILL, spots=((np.array([-1.0, 0, 0]), np.ones(3)),))
    turned = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float)
    for rotation in (AHEAD, turned):
        (shown,) = show(ball, [Pose("yaw", "0°", rotation, (spot,))])
        left, right = np.split(shown.photos[0].mean(axis=-1), 2, axis=1)
        assert left.mean() > 1.5 * right.mean()


def test_the_cache_gives_the_same(balls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [Pose("yaw", "0°", AHEAD, (lamp(0, 0, 1), lamp(1, 0, 1)))]
    monkeypatch.setattr(basel_pictures, "poses", lambda: listed)
    cache = balls / "cache"
    fresh = basel_pictures.load(balls, "basel_b")
    made = basel_pictures.load(balls, "basel_b", cache)
    kept = basel_pictures.load(balls, "basel_b", cache)
    assert len(list(cache.iterdir())) == 1
    for other in (made, kept):
        for first, second in zip(fresh, other, strict=True):
            assert first.names == second.names and first.scan == second.scan
            np.testing.assert_array_equal(first.photos, second.photos)
            np.testing.assert_array_equal(first.mask, second.mask)
            apart = angular_error(first.normals[first.mask], second.normals[first.mask])
            assert apart.max() < 0.06
    assert load_scan(balls, "basel_b").vertices[:, 0].max() > 1.1 * RADIUS
