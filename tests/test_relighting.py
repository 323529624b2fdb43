"""Faces of photos under new light."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import facerelief as fr
from facerelief import relighting
from facerelief.geometry.light import direction, linear_to_srgb
from facerelief.geometry.mirror import Mirror
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


def test_large_windows_are_worked_on_smaller_and_keep_their_detail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo, face = ball(direction(10, 10))
    rng = np.random.default_rng(0)
    photo = np.clip(photo + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)
    light = Light.from_angles(40, 0)
    whole = relight(photo, face, light).astype(float)
    monkeypatch.setattr(relighting, "MOST", 100)
    ready = Relighting.of(photo, face)
    assert ready.factor == 2 and ready.pixels.shape == (100, 100, 3)
    found = relight(photo, face, light).astype(float)
    lit = np.hypot(*(np.indices((SIZE, SIZE)) - np.reshape((100, 60), (2, 1, 1)))) < 35
    assert np.abs(found - whole)[lit].mean() < 5
    fine = [np.diff(one[..., 1], axis=1)[lit[:, 1:]] for one in (found, whole)]
    assert np.corrcoef(*fine)[0, 1] > 0.9


def test_a_turned_face_is_mirrored_about_its_own_axis() -> None:
    """Half of a ball in deep shadow gets the albedo of its other half, however it is turned."""
    centres = (np.arange(120) + 0.5) / 60 - 1
    x, y = np.meshgrid(centres, -centres)
    inside = np.hypot(x, y) < 0.9
    z = np.sqrt(np.clip(0.81 - x**2 - y**2, 0, None))
    normals = np.where(inside[..., None], np.dstack([x, y, z]) / 0.9, 0).astype(np.float32)
    for angle in (0.0, 30.0, -75.0):
        mirror = Mirror.of(normals, inside, angle)
        assert mirror is not None
        spot = np.zeros((120, 120), np.float32)
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        # 30 pixels along the face's own x axis, to its right and then to its left.
        spot[round(59.5 - 30 * s), round(59.5 + 30 * c)] = 1
        row, column = np.unravel_index(gaussian_filter(mirror.image(spot), 1).argmax(), (120, 120))
        assert np.hypot(row - (59.5 + 30 * s), column - (59.5 - 30 * c)) < 3
    assert Mirror.of(np.where(x[..., None] > 0, normals, 0), inside & (x > 0)) is None
