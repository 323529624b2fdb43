"""Poses turn as they say, and cameras show the design's crop."""

import numpy as np
import pytest

from facerelief.synth.setting.camera import PoseRange, draw_pose, rotation_matrix
from facerelief.types import Crop


def face() -> np.ndarray:
    """68 points on the front of an ellipsoid, mm."""
    g = np.random.default_rng(0)
    directions = g.normal(size=(68, 3)) * (1, 1, 0.3) + (0, 0, 1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (directions * (75, 110, 95)).astype(np.float32)


def test_angles_turn_the_nose_as_named() -> None:
    nose = np.array([0, 0, 1.0])
    assert (rotation_matrix(30, 0, 0) @ nose)[0] == pytest.approx(0.5)
    assert (rotation_matrix(0, 30, 0) @ nose)[1] == pytest.approx(0.5)
    crown = np.array([0, 1.0, 0])
    assert (rotation_matrix(0, 0, 30) @ crown)[0] == pytest.approx(-0.5)
    turned = rotation_matrix(37, -20, 11)
    assert turned @ turned.T == pytest.approx(np.eye(3)) and np.linalg.det(turned) > 0


@pytest.mark.parametrize("margin", [1.0, 1.25])
def test_the_picture_is_the_crop(margin: float) -> None:
    points = face()
    for seed in range(20):
        pose = draw_pose(np.random.default_rng(seed), points, 256, PoseRange(), margin)
        pixels = pose.camera.project(points @ pose.rotation.T + pose.translation)
        crop = Crop.from_landmarks(pixels[:, :2])
        assert crop.centre == pytest.approx((128, 128), abs=0.01)
        assert crop.side * margin == pytest.approx(256, rel=1e-4)


def test_limits_hold_and_are_reached() -> None:
    limits = PoseRange(yaw=40, pitch=10, roll=0)
    drawn = np.array(
        [draw_pose(np.random.default_rng(s), face(), 64, limits, 1.0).angles for s in range(300)]
    )
    assert np.abs(drawn).max(0) == pytest.approx((40, 10, 0), abs=0.5)
    assert np.median(np.abs(drawn[:, 0])) < 15


def test_poses_can_be_drawn_evenly() -> None:
    limits = PoseRange(yaw=80, pitch=20, roll=10, anywhere=1)
    drawn = np.array(
        [draw_pose(np.random.default_rng(s), face(), 64, limits, 1.0).angles for s in range(300)]
    )
    assert np.median(np.abs(drawn), axis=0) == pytest.approx((40, 10, 5), rel=0.15)
    frontal = PoseRange(yaw=80, anywhere=0)
    yaws = [
        draw_pose(np.random.default_rng(s), face(), 64, frontal, 1.0).angles[0] for s in range(300)
    ]
    assert np.median(np.abs(yaws)) < 15


@pytest.mark.parametrize(
    "bad", [{"yaw": 400}, {"pitch": -1}, {"focal": (50, 20)}, {"anywhere": 1.5}]
)
def test_absurd_ranges_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        PoseRange(**bad)
