"""Normals over the photo: where the faces are, unit, softly ended, the same in bands as at once."""

from dataclasses import replace

import numpy as np
import pytest

from facerelief.apps.doctor import sphere
from facerelief.geometry.normals import angular_error
from facerelief.normal_png import decode_png
from facerelief.photo_frame import bands, normals_in_photo, soft_mask, to_photo_png
from facerelief.types import Crop, Face, Place, Surface

ALL = np.ones((256, 256), np.bool_)


def face(crop: Crop, size: tuple[int, int], normals: np.ndarray, mask: np.ndarray = ALL) -> Face:
    x, y = crop.centre
    half = crop.side / 2
    place = Place(crop, (x - half, y - half, x + half, y + half), 1.0, np.zeros((5, 2)), size)
    return Face(place, Surface(normals.astype(np.float32), mask), None, "test")


def facing(x: float) -> np.ndarray:
    return np.tile(np.array([x, 0, np.sqrt(1 - x * x)], np.float32), (256, 256, 1))


def ball(angle: float = 0.0) -> Face:
    """A sphere that fills half of its crop, turned by `angle` in its photo."""
    normals, mask = sphere(128)
    crop = Crop((150, 120), 160.0, angle)
    return face(crop, (260, 310), crop.rotate_normals_to_crop(normals), mask)


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_a_sphere_lies_where_its_crop_does(angle: float) -> None:
    normals, alpha = normals_in_photo([ball(angle)])
    expected, seen = ball(angle).normals_in_photo()
    both = seen & (alpha > 0.5)
    assert alpha.shape == (260, 310) and both.sum() > 0.7 * seen.sum()
    assert angular_error(normals, expected)[both].max() < 2
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1)[alpha > 0], 1, atol=1e-5)
    assert not normals[alpha == 0].any() and not alpha[~seen & (alpha > 0.6)].any()


@pytest.mark.parametrize("angle", [0.0, 20.0])
def test_no_crop_ends_in_a_straight_line(angle: float) -> None:
    """The whole square is face: as where a crop cuts a forehead."""
    crop = Crop((300, 250), 256.0, angle)  # a pixel of the crop is one of the photo
    _, alpha = normals_in_photo([face(crop, (600, 600), facing(0))])
    assert max(np.abs(np.diff(alpha, axis=axis)).max() for axis in (0, 1)) < 0.1
    centres = np.arange(600) + 0.5
    places = crop.to_crop(np.stack(np.meshgrid(centres, centres), axis=-1))
    inwards = np.minimum(places, 256 - places).min(axis=-1)
    assert not alpha[inwards < 3].any() and (alpha[inwards > 22] > 0.999).all()


def test_the_landmarks_box_keeps_its_full_alpha() -> None:
    points = np.array([[100, 120], [300, 120], [200, 340.0]])
    crop = Crop.from_landmarks(points)
    x, y = crop.to_crop([[200, 122], [200, 338]]).astype(int).T
    assert (soft_mask(ALL)[y, x] > 0.99).all() and soft_mask(ALL)[0].max() == 0


def test_the_larger_face_lies_on_top() -> None:
    small = face(Crop((100, 100), 80.0), (200, 200), facing(0.6))
    large = face(Crop((100, 100), 160.0), (200, 200), facing(-0.6))
    for faces in ([small, large], [large, small]):
        normals, alpha = normals_in_photo(faces)
        np.testing.assert_allclose(normals[100, 100], (-0.6, 0, 0.8), atol=1e-4)
        assert alpha[100, 100] == 1


def test_a_larger_crop_is_seen_where_the_usual_one_ends_alone() -> None:
    usual = face(Crop((100, 100), 80.0), (200, 200), facing(0.6), ~np.tri(256, dtype=bool))
    around = face(Crop((100, 100), 120.0), (200, 200), facing(-0.6))
    normals, alpha = normals_in_photo([usual], [around])
    np.testing.assert_allclose(normals[90, 110], (0.6, 0, 0.8), atol=1e-4)
    np.testing.assert_allclose(normals[55, 100], (-0.6, 0, 0.8), atol=1e-4)
    assert alpha[55, 100] > 0.3  # beyond the usual crop
    assert alpha[110, 90] == 0  # what the usual crop says is no face
    normals = normals[55:95, 100]
    assert np.abs(np.diff(normals, axis=0)).max() < 0.5  # one gives way to the other


@pytest.mark.parametrize("rows", [16, 48])
def test_bands_are_the_whole(rows: int) -> None:
    faces = [ball(30.0), face(Crop((60, 60), 33.0, 70.0), (260, 310), facing(0.2))]
    around = [replace(one, place=one.place.enlarged(1.4)) for one in faces]
    normals, alpha = normals_in_photo(faces, around)
    found = np.concatenate(list(bands(faces, around, rows)))
    np.testing.assert_allclose(found[..., 3], alpha, atol=2e-3)
    near = alpha > 0.05
    np.testing.assert_allclose(found[near, :3], normals[near], atol=0.02)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_keeps_normals_and_alpha(bits: int, tmp_path) -> None:
    faces = [ball(30.0)]
    (tmp_path / "a.png").write_bytes(to_photo_png(faces, bits=bits))
    read = decode_png(tmp_path / "a.png")
    normals, alpha = normals_in_photo(faces)
    assert read.frame == "opengl" and read.bits == bits and read.mask.shape == (260, 310)
    np.testing.assert_allclose(read.alpha, alpha, atol=0.51 / (2**bits - 1))
    seen = read.mask & (alpha > 0)
    assert angular_error(read.normals, normals)[seen].max() < (0.6 if bits == 8 else 0.01)


def test_faces_beyond_the_photo_and_of_other_photos() -> None:
    gone = face(Crop((-500, -500), 80.0), (100, 120), facing(0))
    normals, alpha = normals_in_photo([gone])
    assert normals.shape == (100, 120, 3) and not alpha.any()
    with pytest.raises(ValueError, match="faces of one photo"):
        normals_in_photo([])
    with pytest.raises(ValueError, match="faces of one photo"):
        normals_in_photo([gone, ball()])
    with pytest.raises(ValueError):
        normals_in_photo([gone], [gone, gone])
