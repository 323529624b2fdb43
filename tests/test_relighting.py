"""Faces of photos under new light."""

from pathlib import Path

import numpy as np
import pytest

import facerelief as fr
from facerelief.geometry.light import direction, linear_to_srgb
from facerelief.geometry.normals import angular_error
from facerelief.relighting import Relighting, relight
from facerelief.types import Crop, Face, Light, Place, Surface

SIZE = 200


def ball(light: np.ndarray, ambient: float = 0.1) -> tuple[np.ndarray, Face]:
    """A photo (200, 200, 3) of a skin-coloured ball before a blue wall, and it as a face."""
    centres = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(centres, -centres)
    inside = x**2 + y**2 < 0.8**2
    z = np.sqrt(np.clip(0.8**2 - x**2 - y**2, 0, None))
    normals = np.where(inside[..., None], np.dstack([x, y, z]) / 0.8, 0).astype(np.float32)
    skin = np.array([0.6, 0.4, 0.3])
    shading = np.maximum(normals @ light, 0) + ambient
    linear = np.where(inside[..., None], skin * shading[..., None], (0.1, 0.2, 0.5))
    photo = np.rint(linear_to_srgb(np.clip(linear, 0, 1)) * 255).astype(np.uint8)
    place = Place(Crop((100.0, 100.0), 200.0, 0.0, SIZE), (20, 20, 180, 180), 1.0,
                  np.full((5, 2), np.nan), (SIZE, SIZE))  # fmt: skip
    return photo, Face(place, Surface(normals, inside), None, "ball")


def test_the_light_is_found_and_the_photo_comes_back() -> None:
    light = direction(30, 20)
    photo, face = ball(light)
    ready = Relighting.of(photo, face)
    (found,) = ready.lights.directions
    assert angular_error(found, light) < 4
    same = ready.under(ready.lights, keep=0).astype(int)
    inner = ready.alpha > 0.99
    assert np.abs(same - photo)[inner].mean() < 5


def test_new_light_is_that_of_the_same_ball_under_it() -> None:
    photo, face = ball(direction(20, 10))
    truth, _ = ball(direction(-50, 15))
    found = relight(photo, face, Light.from_angles(-50, 15, ambient=0.1), keep=0)
    inner = np.hypot(*(np.indices((SIZE, SIZE)) - 99.5)) < 60
    off = np.abs(found.astype(int) - truth)[inner].mean()
    assert off < 0.35 * np.abs(photo.astype(int) - truth)[inner].mean()


def test_what_is_no_face_stays_as_it_is() -> None:
    photo, face = ball(direction(0, 0))
    found = relight(photo, face, Light.from_angles(70, 0))
    outside = np.hypot(*(np.indices((SIZE, SIZE)) - 99.5)) > 84
    assert np.array_equal(found[outside], photo[outside])
    assert not np.array_equal(found, photo)


def test_light_from_behind_and_none_leave_what_is_kept() -> None:
    photo, face = ball(direction(0, 0))
    middle = slice(80, 120), slice(80, 120)
    for light in (Light((0, 0, -1)), Light(colour=(0, 0, 0))):
        dark = relight(photo, face, light, keep=0)[middle]
        kept = relight(photo, face, light, keep=1)[middle]
        assert dark.max() <= 1
        assert np.abs(kept.astype(int) - photo[middle]).max() <= 1


def test_an_environment_is_as_bright_as_the_photos_light() -> None:
    photo, face = ball(direction(0, 0))
    sky = np.zeros((32, 64, 3), np.float32)
    sky[:, 44:52] = 40.0  # at the picture's right
    found = relight(photo, face, sky, keep=0).astype(int)
    right, left = found[100, 160].mean(), found[100, 40].mean()
    assert right > 3 * left + 20
    assert abs(np.percentile(found[60:140, 60:170].mean(-1), 95) - 205) < 40


@pytest.mark.parametrize("keep", [-0.1, 1.1, np.nan])
def test_shares_of_the_old_light_are_checked(keep: float) -> None:
    photo, face = ball(direction(0, 0))
    with pytest.raises(ValueError, match="from 0 to 1"):
        relight(photo, face, Light(), keep=keep)


def test_light_that_is_not_finite_and_photos_without_light_are_told() -> None:
    photo, face = ball(direction(0, 0))
    with pytest.raises(ValueError, match="not finite"):
        relight(photo, face, Light((0, float("nan"), 1)))
    with pytest.raises(ValueError, match="does not reach"):
        relight(photo, face, np.zeros((32, 64, 3), np.float32))
    with pytest.raises(ValueError, match="too dark"):
        relight(np.zeros_like(photo), face, Light())


def test_the_astronauts_side_without_light_is_darker(astronaut: Path) -> None:
    photo = fr.load_photo(astronaut)
    estimator = fr.load("default")
    (face,) = estimator(photo, max_faces=1)
    (around,) = estimator.estimate(photo, [face.place.enlarged(1.5)])
    found = relight(photo, face, Light.from_angles(70, 0), around).astype(int)
    (left, right), y = face.points[:2, 0].astype(int), int(face.points[2, 1])
    lit, dark = (found[y : y + 8, x - 6 : x + 6].mean() for x in (left - 6, right + 6))
    assert lit > dark + 60
    assert np.array_equal(found[350:], photo[350:])
