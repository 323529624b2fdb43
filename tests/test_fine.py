"""Faces at other sizes than the networks': shape as it was, and detail where the photo has it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from facerelief.fine import MOST, fine_surface, native_size
from facerelief.geometry.light import direction, directional_to_sh, linear_to_srgb, shade_sh
from facerelief.geometry.normals import normalise
from facerelief.types import Crop, Face, Place, Surface

SIDE = 640  # photo pixels of the crop
POINTS = np.array([[220, 260], [420, 260], [320, 360], [250, 440], [390, 440]], float)


def ball(size, relief=0.0):
    """Normals (size, size, 3) of a ball with `relief` (SIDE, SIDE) photo pixels on it, and mask."""
    y, x = (np.mgrid[:size, :size] + 0.5 - size / 2) / (size / 2 / 1.15)
    z = np.sqrt(np.maximum(1.0 - x**2 - y**2, 0.01)) * SIDE / 2 / 1.15 + relief
    down, right = np.gradient(z, SIDE / size)
    return normalise(np.stack([-right, down, np.ones_like(z)], -1)).astype("f4"), x**2 + y**2 < 0.8


def face_of(normals, mask, photo_size=(SIDE, SIDE), points=POINTS):
    crop = Crop((SIDE / 2, SIDE / 2), SIDE)
    place = Place(crop, (0, 0, SIDE, SIDE), 1.0, points, photo_size)
    return Face(place, Surface(normals, mask), None, "ball")


def photographed(normals):
    light = 0.7 * directional_to_sh(direction(40, 10))
    light[0] += 0.2 * np.sqrt(4 * np.pi)
    shading = 0.7 * np.maximum(shade_sh(normals, light), 0)
    return np.round(linear_to_srgb(shading) * 255).astype(np.uint8)[..., None].repeat(3, -1)


def error(a, b, where):
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))[where].mean()


@pytest.fixture(scope="module")
def rough():
    noise = np.random.default_rng(1).standard_normal((SIDE, SIDE))
    return ball(SIDE, gaussian_filter(noise, 4) * 12)


def test_detail_of_the_photo_is_found_and_enlarging_alone_finds_none(rough):
    truth, mask = rough
    face, photo = face_of(*ball(256)), photographed(truth)
    plain = fine_surface(face, photo, detail=False)
    fine = fine_surface(face, photo)
    assert fine.normals.shape == (SIDE, SIDE, 3)
    cheeks = mask & fine.mask
    cheeks[: SIDE * 55 // 100] = False  # eyes and brows are left out
    assert error(fine.normals, truth, cheeks) < 0.9 * error(plain.normals, truth, cheeks)
    assert plain.relief is None
    assert fine.relief.shape == (SIDE, SIDE)


def test_enlarged_normals_are_those_of_the_surface():
    normals, mask = ball(SIDE)
    fine = fine_surface(face_of(*ball(256)), photographed(normals), detail=False)
    assert error(fine.normals, normals, fine.mask & mask) < 0.2
    assert (fine.mask != mask).mean() < 0.005


def test_eyes_brows_and_lips_are_left_alone(rough):
    truth, _ = rough
    face = face_of(*ball(256))
    plain = fine_surface(face, photographed(truth), detail=False)
    fine = fine_surface(face, photographed(truth))
    changed = np.degrees(np.arccos(np.clip((plain.normals * fine.normals).sum(-1), -1, 1)))
    eye, cheek = changed[250:270, 210:230].mean(), changed[370:400, 210:230].mean()
    assert eye < 0.3 * cheek


def test_a_face_whose_points_are_not_known_is_looked_at_all_over(rough):
    truth, _ = rough
    face = face_of(*ball(256), points=np.full((5, 2), np.nan))
    assert fine_surface(face, photographed(truth)).relief is not None


def test_no_larger_than_the_estimate_there_is_no_detail():
    normals, _ = ball(SIDE)
    assert fine_surface(face_of(*ball(256)), photographed(normals), 256).relief is None


def test_a_black_photo_says_so():
    fine = fine_surface(face_of(*ball(256)), np.zeros((SIDE, SIDE, 3), np.uint8))
    assert fine.relief is None
    assert fine.warnings[0].startswith("no detail")
    assert fine.normals[fine.mask].any()


def test_sizes():
    face = face_of(*ball(256))
    assert native_size(face) == SIDE
    for size in (0, MOST + 1):
        with pytest.raises(ValueError, match="size"):
            fine_surface(face, np.zeros((SIDE, SIDE, 3), np.uint8), size)


def test_alpha_is_soft_and_above_a_half_in_the_mask(rough):
    truth, mask = rough
    photo = np.where(mask[..., None], photographed(truth), 30).astype(np.uint8)
    normals, small = ball(256)
    likely = np.clip(gaussian_filter(small.astype(np.float32), 4), 0, 1)
    face = face_of(normals, small)
    soft = Face(face.place, Surface(normals, small, probability=likely), None, "ball")
    for one in (face, soft):
        fine = fine_surface(one, photo, 512)
        assert fine.alpha.shape == (512, 512)
        assert fine.alpha.min() >= 0 and fine.alpha.max() <= 1
        assert np.array_equal(fine.alpha > 0.5, fine.mask)
        assert ((fine.alpha > 0.05) & (fine.alpha < 0.95)).any()
