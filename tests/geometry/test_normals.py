"""Normal fields: encodings, frames, rotation and angles, mostly as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from facerelief.geometry.normals import (
    FRAMES,
    angular_error,
    convert,
    decode,
    encode,
    normalise,
    rotate_in_plane,
    smooth,
    tangent_frames,
)

DTYPES = (np.float32, np.float64)


def directions(count=500, seed=0):
    return normalise(np.random.default_rng(seed).normal(size=(count, 3)))


def test_normalise_gives_unit_length_at_any_scale():
    vectors = directions() * np.logspace(-300, 300, 500)[:, None]
    np.testing.assert_allclose(normalise(vectors), directions(), atol=1e-14)
    assert normalise(np.float32([1e-30, 0, 0])).tolist() == [1, 0, 0]
    assert normalise([0, 3, 4]).dtype == np.float32


def test_normalise_maps_zero_and_nonsense_to_zero():
    vectors = [[0, 0, 0], [np.nan, 1, 0], [np.inf, 0, 1], [0, 0, 2]]
    assert normalise(vectors).tolist() == [[0, 0, 0]] * 3 + [[0, 0, 1]]


def test_normalise_leaves_its_input_alone():
    vectors = np.array([[0.0, 3, 4]])
    normalise(vectors)
    assert vectors.tolist() == [[0, 3, 4]]


def test_colours_are_those_of_the_conventions_page(sphere):
    facing, right, up = encode([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert facing.tolist() == [128, 128, 255]
    assert right.tolist() == [255, 128, 128]
    assert up.tolist() == [128, 255, 128]
    ball = sphere(64)
    picture = encode(ball.normals).astype(int)
    assert picture[32, -1, 0] > 250 and picture[32, 0, 0] < 5  # right edge red
    assert picture[0, 32, 1] > 250 and picture[-1, 32, 1] < 5  # top green


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("bits", "limit"), [(8, 0.4), (16, 0.002)])
def test_decode_undoes_encode(bits, limit, dtype):
    normals = directions(5000).astype(dtype).reshape(50, 100, 3)
    pixels = encode(normals, bits)
    assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    back = decode(pixels)
    assert back.dtype == np.float32 and back.shape == normals.shape
    np.testing.assert_allclose(np.linalg.norm(back, axis=-1), 1, atol=1e-6)
    assert angular_error(back, normals).max() < limit


@pytest.mark.parametrize("bits", [8, 16])
def test_no_normal_stays_no_normal(bits):
    nothing = np.array([[0, 0, 0], [np.nan, 0, 1], [0, np.inf, 0]])
    assert not decode(encode(nothing, bits)).any()


def test_encode_clips_what_rounding_left_over_one():
    assert encode([1.0000001, -1.0000001, 0]).tolist() == [255, 0, 128]


def test_bad_pixels_raise():
    with pytest.raises(ValueError, match="bits"):
        encode([0, 0, 1], 12)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        decode(np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        decode(np.zeros((2, 2, 4), np.uint8))


@pytest.mark.parametrize("dtype", DTYPES)
@given(angle=st.floats(-720, 720))
@settings(max_examples=30, deadline=None)
def test_rotation_is_about_the_viewing_axis(angle, dtype):
    normals = directions(50).astype(dtype)
    turned = rotate_in_plane(normals, angle)
    assert turned.dtype == dtype
    twin = Rotation.from_euler("z", angle, degrees=True).apply(normals)
    np.testing.assert_allclose(turned, twin, atol=1e-6 if dtype is np.float32 else 1e-12)
    np.testing.assert_allclose(rotate_in_plane(turned, -angle), normals, atol=1e-6)


def test_turning_picture_and_vectors_gives_the_sphere_again(sphere):
    ball = sphere(32)
    turned = rotate_in_plane(np.rot90(ball.normals), 90)  # rot90 is counter-clockwise
    np.testing.assert_allclose(turned, ball.normals, atol=1e-12)


def test_frames_have_the_axes_that_they_are_known_for():
    normal = np.array([0.6, 0.48, 0.64])
    assert convert(normal, "opengl", "directx").tolist() == [0.6, -0.48, 0.64]
    assert convert(normal, "opengl", "opencv").tolist() == [0.6, -0.48, -0.64]
    assert convert(normal, "directx", "opencv").tolist() == [0.6, 0.48, -0.64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("source", FRAMES)
@pytest.mark.parametrize("target", FRAMES)
def test_converting_there_and_back_changes_nothing(source, target, dtype):
    normals = directions(100).astype(dtype).reshape(4, 25, 3)
    frames = tangent_frames(directions(100, seed=1).reshape(4, 25, 3))
    there = convert(normals, source, target, frames)
    assert there.dtype == dtype
    back = convert(there, target, source, frames)
    np.testing.assert_allclose(back, normals, atol=1e-6 if dtype is np.float32 else 1e-12)


def test_a_surface_is_flat_in_its_own_tangent_space(sphere):
    ball = sphere(32)
    frames = tangent_frames(ball.normals)
    flat = convert(ball.normals, "opengl", "tangent", frames)[ball.mask]
    np.testing.assert_allclose(flat, np.broadcast_to([0, 0, 1], flat.shape), atol=1e-12)
    via_opencv = convert(convert(ball.normals, "opengl", "opencv"), "opencv", "tangent", frames)
    np.testing.assert_allclose(via_opencv[ball.mask], flat, atol=1e-12)


@given(st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_tangent_frames_are_right_handed_and_orthonormal(normal):
    frame = tangent_frames(np.array(normal, np.float64))
    np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-9)
    assert np.linalg.det(frame) == pytest.approx(1)
    np.testing.assert_allclose(frame[:, 2], normalise(np.array(normal, np.float64)))


def test_tangent_frames_are_the_smallest_rotation_from_the_view():
    normals = directions()
    normals = normals[normals[:, 2] > -0.9]
    for normal, frame in zip(normals, tangent_frames(normals), strict=True):
        twin, _ = Rotation.align_vectors([normal], [[0, 0, 1]])
        np.testing.assert_allclose(frame, twin.as_matrix(), atol=1e-7)
    np.testing.assert_allclose(tangent_frames([0.0, 0, -1])[:, 2], [0, 0, -1])
    np.testing.assert_allclose(tangent_frames([0.0, 0, 0]), np.eye(3))


def test_convert_says_what_is_wrong():
    with pytest.raises(ValueError, match="opengl, directx, opencv, tangent"):
        convert([0, 0, 1], "opengl", "vulkan")
    with pytest.raises(ValueError, match="tbn"):
        convert([0, 0, 1], "opengl", "tangent")
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        convert([0, 1], "opengl", "opencv")


def test_converting_to_the_same_frame_gives_a_copy():
    normals = np.array([[0.0, 0, 1]])
    same = convert(normals, "opengl", "opengl")
    same[0] = 5
    assert normals.tolist() == [[0, 0, 1]]


def test_smoothing_takes_the_noise_and_leaves_the_shape(sphere):
    ball = sphere(128, rim=0.8)
    rng = np.random.default_rng(0)
    noisy = normalise(ball.normals + 0.2 * rng.normal(size=ball.normals.shape))
    noisy[~ball.mask] = -1, 0, 0  # must not leak in
    base = smooth(noisy, ball.mask, 3)
    assert not base[~ball.mask].any()
    off = angular_error(base, ball.normals)[ball.mask]
    # At its border a blur is one-sided: less than a standard deviation, on a slope of 0.6.
    assert np.median(off) < 1.5 and off.max() < np.degrees(3 / ball.radius / 0.6) + 5
    assert np.median(angular_error(noisy, ball.normals)[ball.mask]) > 10


@pytest.mark.parametrize("dtype", DTYPES)
def test_angular_error_is_right_at_every_size_of_angle(dtype):
    angles = np.concatenate([np.logspace(-5, 2, 50), [0, 45, 90, 135, 179.9, 180]])
    first = np.broadcast_to(np.array([0, 0, 1], dtype), (len(angles), 3))
    rad = np.radians(angles)
    second = np.stack([np.sin(rad), 0 * rad, np.cos(rad)], axis=-1).astype(dtype)
    error = angular_error(first, second)
    np.testing.assert_allclose(error, angles, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(angular_error(3 * first, 0.1 * second), error, rtol=1e-5, atol=2e-5)


def test_angular_error_equals_the_arccos_twin_and_broadcasts():
    first, second = directions(300), directions(300, seed=7)
    twin = [[np.degrees(np.arccos(np.clip(a @ b, -1, 1))) for b in second[:20]] for a in first]
    result = angular_error(first[:, None], second[:20])
    np.testing.assert_allclose(result, twin, atol=1e-6)


def test_angular_error_of_nothing_is_nan():
    assert np.isnan(angular_error([[0, 0, 0], [0, 0, 1]], [[0, 0, 1], [np.nan, 0, 1]])).all()
