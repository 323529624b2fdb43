"""The skin as a texture: what the photo shows, its mirror image, and what is made up."""

import numpy as np
import pytest

import posed_heads
from facerelief.apps.texture import FILLED, MIRRORED, SEEN, unwrap
from facerelief.geometry import position
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Face

CROP = Crop((150.0, 140.0), 256.0)


def face(found: np.ndarray, crop: Crop = CROP) -> Face:
    return posed_heads.face(found, crop, gradient().shape[:2])


def gradient() -> np.ndarray:
    """A photo whose red is the column and whose green is the row; blue is even."""
    y, x = np.mgrid[:280, :300]
    return np.stack([x * 0.8, y * 0.8, np.full_like(x, 90)], -1).astype(np.uint8)


def at(texels: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """A texture's values at vertices of the skin's mesh."""
    size = len(texels)
    x, y = (skin_mesh().uv[vertices] * (1, -1) + (0, 1)).T * size
    return texels[y.astype(int), x.astype(int)].astype(float)


@pytest.mark.parametrize("size", [256, 1024])
def test_what_is_seen_has_the_photos_colours(size: int) -> None:
    found = posed_heads.uv_map(yaw=10, roll=5)
    made = unwrap(gradient(), face(found), size)
    assert made.colours.shape == (size, size, 3) and made.source.shape == (size, size)
    mesh = skin_mesh()
    points = CROP.to_photo(position.read(found)[:, :2])
    marks = mesh.landmarks[[27, 28, 29, 33, 8, 19, 24]]  # bridge, tip, chin, brows
    assert (at(made.source, marks) > 240).all()
    assert np.abs(at(made.colours, marks)[:, :2] - 0.8 * points[marks]).max() < 5


def test_the_farther_side_is_the_mirror_image_of_the_nearer() -> None:
    made = unwrap(gradient(), face(posed_heads.uv_map(yaw=60)), 256)
    mesh = skin_mesh()
    near, far = mesh.landmarks[[2, 14]]  # of the jaw: the subject's right is seen
    near, far = np.array([near]), np.array([far])
    assert at(made.source, near) > 200 and at(made.source, far) == pytest.approx(MIRRORED, abs=12)
    # Alike but for the gain that its colours get.
    red = made.colours[..., 0].astype(float)
    own, other = at(red, near), at(red, far)
    half = made.source > 240
    assert half[:, :128].mean() > 0.5 > 0.2 > half[:, 140:].mean()
    assert other / own == pytest.approx(other[0] / own[0])
    seen, image = (made.source == SEEN), (abs(made.source.astype(int) - MIRRORED) < 3)
    pairs = seen & image[:, ::-1]
    gain = red[:, ::-1][pairs] / np.maximum(red[pairs], 1)
    assert pairs.sum() > 2000 and np.std(gain[red[pairs] > 20]) < 0.05


def test_what_no_side_shows_is_filled_from_around_it() -> None:
    made = unwrap(gradient(), face(posed_heads.uv_map()), 256)
    rest = made.source == FILLED
    assert 0.1 < rest.mean() < 0.8
    assert abs(made.colours[rest][:, 2].mean() - 90) < 3  # neither black nor anything else
    assert (made.colours[rest][:, 2] > 80).all()


def test_what_lies_outside_of_the_photo_is_not_seen() -> None:
    beside = Crop((10.0, 140.0), 256.0)
    made = unwrap(gradient(), face(posed_heads.uv_map(), beside), 256)
    left = skin_mesh().landmarks[[1, 2]]  # picture's left, beyond the photo's edge
    assert (at(made.source, left) < 240).all()


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="multiple of 256"):
        unwrap(gradient(), face(posed_heads.uv_map()), 300)


def test_faces_without_a_shape() -> None:
    with pytest.raises(ValueError, match="no shape"):
        unwrap(gradient(), face(np.zeros((256, 256, 3), np.float32)), 256)
