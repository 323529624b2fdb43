"""Two photos of heads whose places are known: what lies where in the other."""

from dataclasses import replace

import numpy as np
import pytest

import posed_heads
from facerelief import correspond
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Face

CROP_A, CROP_B = Crop((150.0, 140.0), 256.0), Crop((120.0, 130.0), 192.0, angle=20)


def face(crop: Crop, **pose: float) -> Face:
    return posed_heads.face(posed_heads.uv_map(**pose), crop, (280, 300))


def test_the_same_vertex_is_the_same_skin() -> None:
    a, b = face(CROP_A, yaw=20), face(CROP_B, yaw=-50)
    found = correspond(a, b)
    kept = skin_mesh().face_mesh.kept
    for points, one in ((found.points_a, a), (found.points_b, b)):
        assert np.allclose(points, one.crop.to_photo(one.skin.points[kept, :2]), atol=1e-3)
    assert len(found.uv) == len(found.points_a)
    assert np.array_equal(found.visible, found.visible_a & found.visible_b)
    # One shows its right half, the other its left one: they share the middle.
    assert found.visible.mean() < min(found.visible_a.mean(), found.visible_b.mean()) - 0.05


def test_flow_leads_from_the_crop_to_the_other_photo() -> None:
    a, b = face(CROP_A, yaw=15), face(CROP_B, yaw=-10, scale=0.7)
    found = correspond(a, b)
    assert found.flow.shape == (256, 256, 2)
    assert np.array_equal(np.isnan(found.flow[..., 0]), np.isnan(found.flow[..., 1]))
    assert not np.isnan(found.flow[found.mask]).any() and 0.2 < found.mask.mean() < 0.8
    marks = skin_mesh().landmarks[[27, 30, 33, 48, 54, 8]]
    columns, rows = a.skin.points[marks, :2].astype(int).T
    expected = b.crop.to_photo(b.skin.points[marks, :2])
    assert np.abs(found.flow[rows, columns] - expected).max() < 2


def test_a_warped_photo_shows_the_other_face_in_place() -> None:
    photo = np.zeros((280, 300, 3), np.uint8)
    a, b = face(CROP_A, yaw=10), face(CROP_B)
    tip = skin_mesh().landmarks[30]
    x, y = b.crop.to_photo(b.skin.points[tip, :2]).astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = (250, 100, 50)
    warped = correspond(a, b).warp(photo)
    column, row = a.skin.points[tip, :2].astype(int)
    assert warped.shape == (256, 256, 3) and warped.dtype == np.uint8
    assert np.abs(warped[row, column].astype(int) - (250, 100, 50)).max() < 30
    assert not warped[: row - 30].any() and not warped[row + 30 :].any()


def test_a_face_is_itself() -> None:
    a = face(CROP_A, yaw=30)
    found = correspond(a, a)
    centres = np.stack(np.meshgrid(*[np.arange(256) + 0.5] * 2), -1)
    off = np.linalg.norm(found.flow - CROP_A.to_photo(centres), axis=-1)
    assert np.nanmax(off) < 1e-2


def test_faces_without_a_map_have_none() -> None:
    good, flat = face(CROP_A), posed_heads.face(np.zeros((256, 256, 3), np.float32), CROP_A, (9, 9))
    with pytest.raises(ValueError, match="collapsed"):
        correspond(good, flat)
    bare = replace(good, shape=None)
    with pytest.raises(ValueError, match="position maps"):
        correspond(bare, good)
