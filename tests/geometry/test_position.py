"""Faces from position maps: pose, what is seen, and maps that are no face."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

import posed_heads
from facerelief.geometry import position
from facerelief.geometry.camera import camera_space
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import check_mesh, vertex_normals
from facerelief.geometry.normals import angular_error
from facerelief.geometry.pose import height, pose, problem, residual
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import skin_mesh, skin_normals


def read(*args, **named) -> np.ndarray:
    return position.read(posed_heads.uv_map(*args, **named))


def test_the_skin_is_a_mesh_with_every_landmark_on_the_face() -> None:
    mesh = skin_mesh()
    check_mesh(mesh.mean, mesh.triangles)
    assert (mesh.uv >= 0).all() and (mesh.uv <= 1).all()
    assert mesh.face[mesh.landmarks].all() and not mesh.inner[mesh.landmarks].any()
    face = mesh.face_mesh
    check_mesh(face.mean, face.triangles)
    assert np.array_equal(face.mean[face.landmarks], mesh.mean[mesh.landmarks])
    assert np.array_equal(face.mean, mesh.mean[face.kept])
    head = builtin_head(1)
    assert np.array_equal(mesh.mean[mesh.landmarks], head.mean[head.landmarks])
    # Ears belong to it, the back of the head and the throat do not.
    of_head = np.zeros(len(head.mean), bool)
    of_head[mesh.source] = mesh.face
    assert of_head[head.regions["ears"]].all() and of_head[head.regions["nose"]].all()
    assert not of_head[head.mean[:, 2] < -100].any()
    assert not of_head[head.mean[:, 1] < -140].any()


def test_what_is_read_is_what_was_written() -> None:
    mesh, expected = skin_mesh(), posed_heads.points(yaw=30)
    apart = np.linalg.norm(read(yaw=30) - expected[mesh.source], axis=1)
    plain = builtin_head(1).regions["face"][mesh.source] & ~mesh.inner
    assert apart[plain].mean() < 0.08 and np.percentile(apart[plain], 99) < 0.5
    assert apart[mesh.face & ~mesh.inner].mean() < 0.25  # folds of the ears are small in the layout
    with pytest.raises(ValueError, match=r"\(S, S, 3\)"):
        position.read(np.zeros((4, 5, 3)))


def test_skin_is_spread_between_the_lids_and_between_the_lips() -> None:
    mesh, points = skin_mesh(), read()
    assert not mesh.inner[mesh.landmarks].any() and 0.1 < mesh.inner.mean() < 0.4
    view = Skin(points, 256)
    assert view.visible[mesh.inner].mean() > 0.6  # not hidden behind lids and lips
    eye = mesh.inner & (points[:, 0] < 125) & (points[:, 1] < 140)
    lids = points[mesh.landmarks[36:42]]
    assert points[eye, 2].min() > lids[:, 2].min() - 5 and points[eye, 2].max() < lids[:, 2].max()
    low, high = lids[:, :2].min(0) - 3, lids[:, :2].max(0) + 3
    assert ((points[eye, :2] > low) & (points[eye, :2] < high)).all()


@pytest.mark.parametrize("angles", [(0, 0, 0), (50, 10, -20), (-85, -25, 40), (10, 40, 170)])
def test_pose_of_a_turned_head(angles: tuple[float, float, float]) -> None:
    found = pose(read(*angles, scale=0.8))
    assert found.angles == pytest.approx(angles, abs=0.3)
    assert found.scale == pytest.approx(0.8, rel=5e-3)
    assert residual(read(*angles, scale=0.8), found) < 0.02 * height(found)
    mesh = skin_mesh()
    camera = mesh.mean @ found.matrix[:, :3].T + found.matrix[:, 3]
    off = camera_space(camera) - posed_heads.points(*angles, scale=0.8)[mesh.source]
    assert np.abs(off[mesh.face]).max() < 1
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_signs_of_the_angles() -> None:
    mesh = skin_mesh()
    tip, bridge = mesh.landmarks[[30, 27]]
    straight = read()
    right, down, leaning = read(yaw=30), read(pitch=30), read(roll=30)
    assert right[tip, 0] > straight[tip, 0] + 5  # the nose points to the picture's right
    assert down[tip, 1] > straight[tip, 1] + 5  # and down, where y is larger
    assert leaning[bridge, 0] < leaning[mesh.landmarks[8], 0] - 20  # chin to the right of the top


def test_normals_are_those_of_the_mesh_and_face_the_viewer() -> None:
    head = builtin_head(1)
    for yaw in (0, 40):
        points = read(yaw=yaw)
        seen = Skin(points, 256)
        assert seen.mask[128, 128] and not seen.mask[:4].any()
        assert np.allclose(np.linalg.norm(seen.normals[seen.mask], axis=1), 1, atol=1e-5)
        assert (seen.normals[seen.mask][:, 2] > -0.3).all()
        assert not seen.normals[~seen.mask].any() and np.isnan(seen.depth[~seen.mask]).all()
        whole = posed_heads.points(yaw=yaw)
        expected = vertex_normals(whole * (1, -1, 1), head.triangles)[skin_mesh().source]
        off = angular_error(skin_normals(points), expected)
        plain = head.regions["face"] & ~head.regions["eyelids"] & ~head.regions["nostrils"]
        assert np.nanmedian(off[plain[skin_mesh().source]]) < 1
    # Turned to the picture's right, the nose looks there.
    tip = skin_normals(points)[skin_mesh().landmarks[30]]
    assert 0.3 < tip[0] < 0.9 and tip[2] > 0.4


def test_the_farther_side_is_not_seen() -> None:
    mesh = skin_mesh()
    left, right = mesh.landmarks[[45, 36]]  # outer corners of the subject's eyes
    straight = Skin(read(), 256).visible
    assert straight[[left, right]].all()
    turned = Skin(read(yaw=75), 256).visible  # to the picture's right: his right is seen
    assert turned[right] and not turned[left]
    assert turned[mesh.face].mean() < straight[mesh.face].mean()
    # What lies outside of the picture is not seen either.
    beside = read() + np.array([150, 0, 0], np.float32)
    assert not Skin(beside, 256).visible[beside[:, 0] > 256].any()


def test_maps_that_are_no_face_are_told() -> None:
    good = read(yaw=20)
    assert problem(good, 256) is None
    assert "not finite" in problem(np.where(good > 200, np.nan, good), 256)
    assert "collapsed" in problem(good * 1e-3 + 100, 256)
    assert "outside" in problem(good + np.array([500, 0, 0], np.float32), 256)
    noise = np.random.default_rng(0).uniform(0, 256, good.shape).astype(np.float32)
    assert "no face" in problem(noise, 256)
    flat = good * np.array([1, 1, 0], np.float32)
    assert "no face" in problem(flat, 256)


def test_other_people_are_faces_too() -> None:
    head, g = builtin_head(1), np.random.default_rng(1)
    for _ in range(5):
        identity = g.normal(size=len(head.identity))
        expression = head.expression_weights(jawOpen=0.7, mouthSmileLeft=0.5)
        vertices = head.vertices(identity, expression)
        points = read(yaw=g.uniform(-80, 80), vertices=vertices)
        assert problem(points, 256) is None


def test_the_face_has_one_border_and_no_hole() -> None:
    """Every other edge has two triangles, between lids and lips too."""
    triangles = skin_mesh().face_mesh.triangles
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    border = known[count == 1]
    links = sparse.coo_array(
        (np.ones(len(border)), tuple(border.T)), shape=(triangles.max() + 1,) * 2
    )
    parts = connected_components(links, directed=False)[1][border[:, 0]]
    assert count.max() == 2 and len(np.unique(parts)) == 1
