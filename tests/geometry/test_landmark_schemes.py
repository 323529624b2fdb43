"""Points of other schemes on the head: where they should be, and the same on both sides."""

from dataclasses import replace

import numpy as np
import pytest

import posed_heads
from facerelief import landmarks
from facerelief.geometry import landmark_schemes
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop

HEAD = builtin_head(1)


def places(name: str) -> np.ndarray:
    return landmark_schemes.scheme(name).of(HEAD.mean)


@pytest.mark.parametrize(
    ("name", "count"), [("ibug68", 68), ("jd106", 106), ("facemesh468", 468), ("facemesh478", 478)]
)
def test_every_point_is_on_the_skin_and_has_a_mirror_image(name: str, count: int) -> None:
    anchors = landmark_schemes.scheme(name)
    assert len(anchors) == count
    assert np.allclose(anchors.weights.sum(1), 1, atol=1e-5) and (anchors.weights >= 0).all()
    for topology, mesh in (("skin", skin_mesh()), ("face", skin_mesh().face_mesh)):
        there = landmark_schemes.scheme(name, topology)
        assert np.array_equal(mesh.source[there.vertices], anchors.vertices)
        index, shares = there.in_triangles(mesh.triangles)
        found = np.einsum("nk,nkc->nc", shares, mesh.mean[mesh.triangles[index]])
        np.testing.assert_allclose(found, there.of(mesh.mean), atol=1e-4)
    found = places(name)
    away = np.linalg.norm(found[:, None] - found * (-1, 1, 1), axis=-1).min(1)
    assert np.percentile(away, 95) < 1 and away.max() < 4  # mm


def test_schemes_agree_where_they_name_the_same_place() -> None:
    ibug, jd, mesh = places("ibug68"), places("jd106"), places("facemesh478")
    assert np.array_equal(jd[list(landmark_schemes.JD106_OF_68)], ibug)
    # Corners of eyes and mouth, the tip of the nose, the chin.
    ours, theirs = [36, 39, 42, 45, 48, 54, 30, 8], [33, 133, 362, 263, 61, 291, 4, 152]
    assert np.linalg.norm(ibug[ours] - mesh[theirs], axis=1).max() < 9
    assert np.linalg.norm(ibug[ours[:6]] - mesh[theirs[:6]], axis=1).mean() < 4


def test_the_106_points_are_in_order() -> None:
    points = places("jd106")
    steps = np.linalg.norm(np.diff(points[:33], axis=0), axis=1)
    assert steps.max() < 3.5 * steps.min()  # along the jaw, one by one
    assert (points[:16, 0] < 0).all() and (points[17:33, 0] > 0).all()
    for upper, lower in ((range(34, 38), (41, 40, 39, 38)), (range(42, 46), (50, 49, 48, 47))):
        assert (points[list(upper), 1] > points[list(lower), 1]).all()  # of the brows
    assert points[68, 1] > points[74, 1] > points[72, 1]  # lid, pupil, lid
    assert np.array_equal(points[74], points[104]) and np.array_equal(points[83], points[105])
    assert points[104, 0] < 0 < points[105, 0]


def test_landmarks_of_a_face_are_in_the_photo() -> None:
    crop = Crop((200.0, 180.0), 128.0, angle=10)
    face = posed_heads.face(posed_heads.uv_map(yaw=60), crop, (400, 400))
    points, visible = landmarks(face)
    assert np.allclose(points, face.landmarks, atol=1e-3)
    assert np.array_equal(visible, face.landmarks_visible)
    more, seen = landmarks(face, "facemesh478")
    assert more.shape == (478, 3) and seen.shape == (478,) and 0.2 < seen.mean() < 0.9
    # Turned to the picture's right: his right, the picture's left, is seen.
    assert seen[[33, 133, 61]].all() and not seen[[454, 323]].any()
    # The irises lie between the lids, where the skin is spread.
    for iris, corners in ((468, (33, 133)), (473, (362, 263))):
        middle = more[list(corners)].mean(0)
        assert np.linalg.norm(more[iris, :2] - middle[:2]) < 6


def test_places_on_no_triangle_are_told() -> None:
    anchors = landmark_schemes.scheme("facemesh468", "face")
    with pytest.raises(ValueError, match="none of these triangles has place 0 on meshes of"):
        anchors.in_triangles(np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match="no photo's mesh is 'head'; one of skin, face"):
        landmark_schemes.topology_mesh("head")


def test_what_has_no_landmarks() -> None:
    crop = Crop((200.0, 180.0), 128.0)
    face = posed_heads.face(posed_heads.uv_map(), crop, (400, 400))
    with pytest.raises(ValueError, match="ibug68, jd106"):
        landmarks(face, "300w")
    bare = replace(face, shape=None)
    with pytest.raises(ValueError, match="position map"):
        landmarks(bare)
