"""Cameras: projection, its inverse, and agreement with OpenCV's intrinsics."""

import numpy as np
import pytest

from facerelief.geometry.camera import Perspective, WeakPerspective

CAMERAS = [
    WeakPerspective(),
    WeakPerspective(37.5, (128.0, 96.0)),
    Perspective(500.0, (320.0, 240.0)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("camera", CAMERAS, ids=repr)
def test_unproject_undoes_project(camera, dtype):
    points = np.random.default_rng(0).uniform(-1, 1, (4, 50, 3)).astype(dtype) - [0, 0, dtype(3)]
    points = points.astype(dtype)
    pixels = camera.project(points)
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels[..., 2], points[..., 2])
    np.testing.assert_allclose(camera.unproject(pixels), points, atol=3e-5)


@pytest.mark.parametrize("camera", CAMERAS, ids=repr)
def test_up_in_the_world_is_up_in_the_picture(camera):
    centre, right, up = camera.project([[0, 0, -2], [0.1, 0, -2], [0, 0.1, -2]])
    np.testing.assert_allclose(centre[:2], camera.centre)
    assert right[0] > centre[0] and right[1] == centre[1]
    assert up[1] < centre[1] and up[0] == centre[0]


def test_pixel_centres_are_at_a_half():
    camera = WeakPerspective(1, (2, 2))  # a picture of 4 x 4: its middle is a corner of pixels
    np.testing.assert_allclose(camera.project([-1.5, 1.5, 0])[:2], [0.5, 0.5])


def test_perspective_equals_the_pinhole_of_opencv():
    camera = Perspective(500.0, (320.0, 240.0))
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3)) - [0, 0, 3]
    opencv = points * [1, -1, -1]
    homogeneous = opencv @ camera.matrix.T
    np.testing.assert_allclose(
        camera.project(points)[:, :2], homogeneous[:, :2] / homogeneous[:, 2:]
    )


def test_far_things_look_smaller_and_things_behind_do_not_look_at_all():
    camera = Perspective(500.0, (0.0, 0.0))
    near, far, behind, level = camera.project([[1, 0, -1], [1, 0, -10], [1, 0, 1], [1, 0, 0]])
    assert near[0] == 500 and far[0] == 50
    assert np.isnan(behind[:2]).all() and np.isnan(level[:2]).all()


def test_field_of_view_spans_the_height():
    camera = Perspective.from_field_of_view(40, (200, 300))
    half = np.tan(np.radians(20))
    np.testing.assert_allclose(camera.project([0, half, -1.0])[:2], [150, 0], atol=1e-9)
    np.testing.assert_allclose(camera.project([0, -half, -1.0])[:2], [150, 200])


def test_fit_shows_the_whole_box_centred():
    low, high = np.array([-3.0, 1, -9]), np.array([1.0, 2, 9])
    camera = WeakPerspective.fit(low, high, (100, 200))
    corners = camera.project([low, high])[:, :2]
    np.testing.assert_allclose(corners.mean(axis=0), [100, 50])
    np.testing.assert_allclose(corners, [[0, 75], [200, 25]])


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_impossible_cameras_raise(value):
    with pytest.raises(ValueError, match="scale"):
        WeakPerspective(value)
    with pytest.raises(ValueError, match="focal"):
        Perspective(value, (0, 0))
    with pytest.raises(ValueError, match="field of view"):
        Perspective.from_field_of_view(180 if value == 0 else value, (2, 2))


def test_shapes_that_do_not_fit_raise():
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        WeakPerspective().project([[0, 1]])
    with pytest.raises(ValueError, match="scale"):
        WeakPerspective.fit([1, 1], [1, 1], (10, 10))
