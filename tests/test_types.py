"""Crop: an invertible similarity that resamples without aliasing and turns normals with it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerelief.types import CROP_MARGIN, Crop, Face, Light, Place, Surface

crops = st.builds(
    Crop,
    centre=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    side=st.floats(1, 1e4),
    angle=st.floats(-360, 360),
    size=st.sampled_from([1, 64, 256]),
)
POINTS = np.random.default_rng(0).uniform(-300, 600, (50, 2))


def sphere(x, y, centre, radius):
    """Normals (..., 3) and mask of a sphere seen at photo pixels x, y."""
    nx, ny = (x - centre[0]) / radius, (centre[1] - y) / radius
    squared = nx**2 + ny**2
    mask = squared < 1
    nz = np.sqrt(np.maximum(1 - squared, 0))
    return np.where(mask[..., None], np.stack([nx, ny, nz], axis=-1), 0), mask


def sphere_in_crop(crop, centre, radius):
    """The sphere's normals in the crop's frame, exactly, pixel by pixel."""
    grid = np.stack(np.meshgrid(*2 * [np.arange(crop.size) + 0.5]), axis=-1)
    normals, mask = sphere(*np.moveaxis(crop.to_photo(grid), -1, 0), centre, radius)
    return crop.rotate_normals_to_crop(normals).astype(np.float32), mask


def sphere_face(crop, photo_size, centre, radius):
    normals, mask = sphere_in_crop(crop, centre, radius)
    place = Place(crop, (0, 0, 1, 1), 1.0, np.zeros((5, 2)), photo_size)
    return Face(place, Surface(normals, mask), None, "none")


def degrees_between(a, b):
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(cross, np.sum(a * b, axis=-1)))


@given(crops)
def test_crop_inverts_exactly(crop):
    reach = max(crop.side, *map(abs, crop.centre), 1) * max(1, 1 / crop.scale)
    assert np.abs(crop.to_crop(crop.to_photo(POINTS)) - POINTS).max() < 1e-9 + 1e-12 * reach
    whole = [np.vstack([m, [0, 0, 1]]) for m in (crop.matrix, crop.inverse_matrix)]
    scale = np.abs(whole[0]).max() * np.abs(whole[1]).max()
    np.testing.assert_allclose(whole[0] @ whole[1], np.eye(3), atol=1e-12 * (1 + scale))


@given(crops)
def test_crop_matrices_are_its_functions(crop):
    homogeneous = np.column_stack([POINTS, np.ones(len(POINTS))])
    for matrix, function in ((crop.matrix, crop.to_photo), (crop.inverse_matrix, crop.to_crop)):
        expected = function(POINTS)
        atol = 1e-9 * (1 + np.abs(matrix).max())
        np.testing.assert_allclose(homogeneous @ matrix.T, expected, atol=atol)


@given(crops)
def test_crop_axes_turn_counter_clockwise(crop):
    """The crop's x axis is (cos a, -sin a) in the photo, whose y axis points down."""
    origin, right, down = crop.to_photo([[0, 0], [1, 0], [0, 1]])
    a = np.radians(crop.angle)
    atol = 1e-9 * (1 + crop.scale)
    axis = np.array([np.cos(a), -np.sin(a)])
    np.testing.assert_allclose(right - origin, crop.scale * axis, atol=atol)
    np.testing.assert_allclose(down - origin, crop.scale * np.array([-axis[1], axis[0]]), atol=atol)


@pytest.mark.parametrize("side", [0.0, -1.0, np.nan, np.inf])
def test_crop_refuses_a_side_that_is_none(side):
    with pytest.raises(ValueError, match="positive side"):
        Crop((0.0, 0.0), side)


def test_crop_from_landmarks_is_the_designs():
    points = np.array([[10.0, 20.0], [50.0, 40.0], [30.0, 100.0]])
    crop = Crop.from_landmarks(points)
    assert crop.centre == (30.0, 60.0)
    assert crop.side == pytest.approx(CROP_MARGIN * 80)
    assert (crop.angle, crop.size) == (0.0, 256)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_extract_of_whole_pixels_copies_them(dtype, channels):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (40, 50, *channels)).astype(dtype)
    picture = Crop((25.0, 20.0), 32.0, size=32).extract(photo)
    assert picture.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    np.testing.assert_array_equal(picture, photo[4:36, 9:41])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_extract_of_quarter_turns_copies_pixels(turns):
    """A face turned counter-clockwise in the photo comes out upright."""
    upright = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    photo = np.rot90(upright, turns)
    crop = Crop((16.0, 16.0), 32.0, 90.0 * turns, 32)
    np.testing.assert_array_equal(crop.extract(photo), upright)


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_extract_does_not_alias(angle):
    """Single-pixel checks of a 2000 pixel face blend into grey."""
    photo = np.indices((2000, 2000)).sum(axis=0).astype(np.uint8) % 2 * np.uint8(255)
    inside = Crop((1000.0, 1000.0), 1300.0, angle).extract(photo)
    assert np.abs(inside.astype(int) - 127).max() <= 4


@pytest.mark.parametrize("angle", [0.0, 20.0, 135.0])
@pytest.mark.parametrize("side", [40.0, 250.0, 700.0])
def test_extract_equals_slow_average(angle, side):
    """Against the mean over a fine grid in each crop pixel, on a smooth picture."""
    size, fine = 32, 8
    y, x = np.mgrid[:400, :500] + 0.5
    crop = Crop((240.0, 210.0), side, angle, size)

    def value(x, y):
        wave = 30 + 3 * crop.scale
        return 0.5 + 0.2 * np.sin(x / wave) + 0.2 * np.cos(y / wave)

    steps = (np.arange(size * fine) + 0.5) / fine
    grid = crop.to_photo(np.stack(np.meshgrid(steps, steps), axis=-1))
    slow = value(*np.moveaxis(grid, -1, 0)).reshape(size, fine, size, fine).mean(axis=(1, 3))
    edge = 2 * crop.scale + 2
    inside = np.all((grid > edge) & (grid < np.array([500, 400]) - edge), axis=-1)
    inside = inside.reshape(size, fine, size, fine).all(axis=(1, 3))
    assert inside.sum() > 100
    assert np.abs(crop.extract(value(x, y)) - slow)[inside].max() < 0.01


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_extract_is_black_past_the_photo(angle):
    photo = np.full((100, 100, 3), 200, np.uint8)
    crop = Crop((100.0, 50.0), 80.0, angle, 64)
    picture = crop.extract(photo)
    points = crop.to_photo(np.stack(np.meshgrid(*2 * [np.arange(64) + 0.5]), axis=-1))
    photo_edge = np.abs(points - 50).max(axis=-1)  # 50 at the photo's border
    assert (picture[photo_edge > 53] == 0).all()
    assert (picture[photo_edge < 47] == 200).all()
    away = Crop((500.0, 50.0), 80.0, angle, 64).extract(photo)
    assert away.shape == (64, 64, 3)
    assert not away.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(angle=st.floats(-720, 720))
def test_normals_turn_with_the_crop_and_back(dtype, angle):
    crop = Crop((0.0, 0.0), 1.0, angle)
    normals = np.random.default_rng(0).normal(size=(20, 3)).astype(dtype)
    turned = crop.rotate_normals_to_photo(normals)
    assert turned.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps
    back = crop.rotate_normals_to_crop(turned)
    np.testing.assert_allclose(back, normals, atol=tolerance)
    # The crop's x axis, as a normal (y up), lies where the photo shows that axis (y down).
    right, down = crop.rotation[:, 0]
    axis = crop.rotate_normals_to_photo(np.array([1, 0, 0], dtype))
    np.testing.assert_allclose(axis, [right, -down, 0], atol=tolerance)


@pytest.mark.parametrize("angle", [0.0, 35.0, 90.0, -160.0])
@pytest.mark.parametrize("side", [90.0, 256.0, 520.0])
def test_normals_in_photo_are_the_spheres(angle, side):
    photo_size, centre, radius = (420, 500), (230.0, 200.0), 0.4 * side
    crop = Crop((235.0, 190.0), side, angle)
    pasted, mask = sphere_face(crop, photo_size, centre, radius).normals_in_photo()
    assert pasted.shape == (*photo_size, 3)
    assert pasted.dtype == np.float32
    y, x = np.mgrid[: photo_size[0], : photo_size[1]] + 0.5
    expected, on_sphere = sphere(x, y, centre, radius)
    in_crop = crop.to_crop(np.stack([x, y], axis=-1))
    shown = np.all((in_crop > 0) & (in_crop < crop.size), axis=-1)
    assert (mask == (on_sphere & shown)).mean() > 0.985
    assert not pasted[~mask].any()
    np.testing.assert_allclose(np.linalg.norm(pasted[mask], axis=-1), 1, atol=1e-5)
    inner = mask & (expected[..., 2] > 0.5)
    error = degrees_between(pasted[inner], expected[inner])
    assert np.median(error) < 0.3
    assert error.max() < 4


def test_normals_in_photo_of_a_crop_outside_are_none():
    face = sphere_face(Crop((900.0, 50.0), 100.0, 10.0), (100, 120), (900.0, 50.0), 40.0)
    normals, mask = face.normals_in_photo()
    assert normals.shape == (100, 120, 3)
    assert not normals.any()
    assert not mask.any()


def test_paste_does_not_let_what_lies_outside_the_mask_leak_in():
    crop = Crop((64.0, 64.0), 50.0, 20.0, 128)
    mask = np.zeros((128, 128), bool)
    mask[32:96, 40:90] = True
    values = np.where(mask, 3.0, np.nan)
    pasted, where = crop.paste(values, mask, (128, 128))
    assert where.any()
    np.testing.assert_allclose(pasted[where], 3.0, rtol=1e-5)
    assert not pasted[~where].any()


def test_paste_works_on_the_crops_rectangle_only():
    """Of a 12-megapixel photo no copy is made besides the result."""
    crop = Crop((2000.0, 1500.0), 300.0, 15.0)
    face = sphere_face(crop, (3000, 4000), crop.centre, 120.0)
    tracemalloc.start()
    normals, mask = face.normals_in_photo()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - normals.nbytes - mask.nbytes < 20e6


@pytest.mark.parametrize(
    ("azimuth", "elevation", "expected"),
    [(0, 0, (0, 0, 1)), (90, 0, (-1, 0, 0)), (0, 90, (0, 1, 0)), (-60, 0, (3**0.5 / 2, 0, 0.5))],
)
def test_light_from_angles(azimuth, elevation, expected):
    """Positive azimuth lights the left of the picture, as in the Extended Yale Database B."""
    light = Light.from_angles(azimuth, elevation, ambient=0.1)
    np.testing.assert_allclose(light.direction, expected, atol=1e-12)
    assert light.ambient == (0.1, 0.1, 0.1)
