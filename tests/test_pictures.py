"""The pictures, on a sphere."""

import numpy as np
import pytest

from facerelief import pictures
from facerelief.apps.doctor import sphere
from facerelief.geometry.light import seven_lights, shade
from facerelief.types import Crop, Face, Place, Surface


def test_shading_row_lights_the_side_that_the_light_is_on() -> None:
    normals, mask = sphere(64)
    row = pictures.shading_row(normals, mask)
    size = len(mask)
    assert row.shape == (size, 7 * size) and row.dtype == np.uint8
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    # Azimuth > 0 is the picture's left, elevation > 0 is above: docs/conventions.md.
    azimuths, elevations = (0, -60, -30, 30, 60, 0, 0), (0, 0, 0, 0, 0, -45, 45)
    for panel, azimuth, elevation in zip(np.hsplit(row, 7), azimuths, elevations, strict=True):
        weight = panel / panel.sum()
        assert np.sign(np.round((weight * x).sum(), 3)) == -np.sign(azimuth)
        assert np.sign(np.round((weight * y).sum(), 3)) == -np.sign(elevation)
        assert not panel[~mask].any()


def test_error_colours_brighten_with_the_error_and_end_at_the_scale() -> None:
    colours = pictures.colour_error(np.array([0, 10, 20, 30, 40, 90, np.inf]))
    brightness = colours.astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness[:5]) > 10).all()
    assert (colours[4] == colours[5]).all() and (colours[4] == colours[6]).all()


def test_error_picture_has_the_scale_beside_it() -> None:
    error, mask = np.full((256, 256), 20.0), np.zeros((256, 256), bool)
    mask[100:150, 100:150] = True
    picture = pictures.error_picture(error, mask)
    assert picture.shape[0] == 256 and picture.shape[1] > 256
    assert (picture[~np.pad(mask, ((0, 0), (0, picture.shape[1] - 256)))][:100] == 255).all()
    middle = pictures.colour_error(np.array(20.0))
    assert (picture[120, 120] == middle).all()
    bar = picture[:, 256 + 20].astype(int)  # the colour of 20 degrees is on the scale
    assert np.abs(bar - middle).sum(axis=1).min() < 12


def face_of(crop: Crop, photo_size: tuple[int, int]) -> Face:
    normals, mask = sphere(128)
    place = Place(crop, (10, 10, 40, 50), 0.9, np.zeros((5, 2)), photo_size)
    return Face(place, Surface(normals.astype(np.float32), mask), None, "sphere")


@pytest.mark.parametrize("angle", [0.0, 90.0, 33.0])
def test_overlay_paints_the_photos_frame(angle: float) -> None:
    """However the crop is turned, a sphere stays a sphere: red right, green up."""
    photo = np.full((200, 300, 3), 7, np.uint8)
    face = face_of(Crop((150.0, 100.0), 120.0, angle), photo.shape[:2])
    picture = pictures.overlay(photo, [face]).astype(int)
    assert picture.shape == photo.shape
    assert picture[100, 190, 0] > 200 > 70 > picture[100, 110, 0]  # right, left
    assert picture[60, 150, 1] > 200 > 70 > picture[140, 150, 1]  # up, down
    assert (picture[100, 150] > (110, 110, 250)).all()
    assert (picture[5, 5] == 7).all()


def test_overlay_of_a_large_photo_is_small_and_in_proportion() -> None:
    photo = np.zeros((3200, 2000, 3), np.uint8)
    face = face_of(Crop((1000.0, 2400.0), 800.0), photo.shape[:2])
    picture = pictures.overlay(photo, [face])
    assert picture.shape == (1600, 1000, 3)
    assert (np.abs(picture[1200, 500].astype(int) - (128, 128, 255)) < 3).all()


def test_shading_row_equals_geometrys_shading() -> None:
    normals, mask = sphere(32)
    panels = np.hsplit(pictures.shading_row(normals, mask), 7)
    for panel, light in zip(panels, seven_lights(), strict=True):
        np.testing.assert_array_equal(panel[mask], np.rint(255 * shade(normals, light))[mask])
