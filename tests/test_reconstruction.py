"""Faces in three dimensions: where they are in the photo, and what is said of bad ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import posed_heads
from facerelief import load
from facerelief.geometry import position
from facerelief.geometry.mesh import check_mesh
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import load_photo
from facerelief.reconstruction import from_positions
from facerelief.types import Crop

CROP = Crop((300.0, 200.0), 180.0, angle=25.0)


@pytest.mark.parametrize("whole", [False, True])
def test_the_pose_takes_the_mesh_to_the_photo(whole: bool) -> None:
    skin = position.skin(posed_heads.uv_map(yaw=30))
    points, made = skin.points, posed_heads.shape(skin, CROP)
    made = made.whole() if whole else made
    check_mesh(made.mesh.vertices, made.mesh.triangles)
    camera = made.mesh.vertices @ made.pose[:, :3].T + made.pose[:, 3]
    mesh = skin_mesh()
    part = mesh if whole else mesh.face_mesh
    kept = np.arange(len(points)) if whole else part.kept
    expected = np.column_stack([CROP.to_photo(points[kept, :2]), points[kept, 2] * CROP.scale])
    off = np.abs(camera * (1, -1, 1) - expected)
    assert off[part.face].max() < 1e-2 and off.mean() < 0.3  # scalp and neck are the model's
    assert len(made.visible) == len(made.mesh.vertices) == len(made.mesh.uv)
    assert made.mesh.scale == "assumed"
    # In the head's own space it looks along z, as large as the mean head.
    off = made.mesh.vertices - part.mean
    assert np.linalg.norm(off, axis=1)[part.face & ~part.inner].mean() < 0.5
    marks = CROP.to_photo(points[mesh.landmarks, :2])
    assert np.allclose(made.landmarks[:, :2], marks, atol=1e-2)
    assert made.landmarks_visible.dtype == bool and 30 < made.landmarks_visible.sum() < 68
    # A crop that is turned by 25 degrees to the left turns the head with it.
    assert made.angles[2] == pytest.approx(25, abs=12)
    assert made.warnings == ()


def test_a_face_of_which_little_is_seen_comes_with_a_warning() -> None:
    points = position.read(posed_heads.uv_map()) + np.array([150, 0, 0], np.float32)
    made = posed_heads.shape(Skin(points, 256), CROP)
    assert "little of the face" in made.warnings[0]


def test_what_lies_beyond_the_photo_is_not_visible() -> None:
    half = Crop((10.0, 128.0), 256.0)  # the photo's left edge cuts the face in two
    face = posed_heads.face(posed_heads.uv_map(), half, (256, 256))
    beyond = face.landmarks[:, 0] < 0
    assert 20 < beyond.sum() < 48 and not face.landmarks_visible[beyond].any()
    assert face.landmarks_visible[~beyond].mean() > 0.7


def test_maps_that_are_no_face_have_an_empty_mask() -> None:
    maps = np.stack([posed_heads.uv_map(), np.zeros((256, 256, 3))]).astype(np.float32)
    found = from_positions(maps)
    assert found.mask[0].any() and not found.mask[1].any() and not found.normals[1].any()
    assert all(np.shares_memory(shape.position, maps) for shape in found.shapes)
    assert [shape.problem is None for shape in found.shapes] == [True, False]
    assert not found.shapes[1].visible.any() and np.isnan(found.shapes[1].depth).all()


def test_a_system_of_position_maps_gives_meshes(tmp_path: Path, astronaut: Path) -> None:
    estimator = load(posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=-20)))
    assert estimator.makes_shapes
    (face,) = estimator(astronaut)
    assert face.mask.any() and face.normals.shape == (256, 256, 3)
    assert face.mesh is not None and len(face.visible) == len(face.mesh.vertices)
    assert face.angles == pytest.approx((-20, 0, face.crop.angle), abs=0.5)
    assert face.landmarks.shape == (68, 3) and face.position.shape == (256, 256, 3)
    inside = face.crop.to_crop(face.landmarks[:, :2])
    assert ((inside > 0) & (inside < 256)).all()
    assert face.pose.shape == (3, 4) and face.warnings == ()
    assert np.array_equal(~np.isnan(face.depth), face.skin.mask)
    nose = face.skin.points[skin_mesh().landmarks[30]]
    assert face.depth[int(nose[1]), int(nose[0])] == pytest.approx(nose[2], abs=1)
    empty = estimator.estimate_crops(np.zeros((0, 256, 256, 3), np.uint8))
    assert empty.shapes == [] and empty.mask.shape == (0, 256, 256)
    assert len(load_photo(astronaut)) == face.photo_size[0]


def test_a_system_that_answers_with_nonsense_gives_a_face_with_a_warning(
    tmp_path: Path, astronaut: Path
) -> None:
    estimator = load(posed_heads.network(tmp_path / "flat.onnx", np.zeros((256, 256, 3))))
    (face,) = estimator(astronaut)
    assert face.mesh is None and face.landmarks is None and not face.mask.any()
    assert "collapsed" in face.warnings[0]


def test_nothing_is_drawn_that_nobody_asks_for(tmp_path: Path, astronaut: Path) -> None:
    estimator = load(posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=-20)))
    (face,) = estimator(astronaut)
    assert not {"mesh", "landmarks", "pose", "warnings"} & set(vars(face.shape))
    assert len(face.landmarks) == 68 and len(face.mesh.vertices) and face.pose.shape == (3, 4)
    assert "_drawn" not in vars(face.skin) and not {"normals", "mask"} & set(vars(face.surface))
    assert face.normals is face.normals and face.mesh is face.mesh  # made once
    assert face.mask.any() and "_drawn" in vars(face.skin)


def test_what_a_whole_head_is(astronaut: Path) -> None:
    crop = Crop((256.0, 200.0), 180.0)
    face = posed_heads.face(posed_heads.uv_map(yaw=10), crop, (512, 512))
    whole = face.whole()
    assert len(whole.mesh.vertices) == len(whole.visible) > len(face.mesh.vertices)
    assert np.array_equal(whole.landmarks, face.landmarks) and whole.place is face.place
    bare = replace(face, shape=None)
    assert bare.whole().mesh is bare.mesh is bare.landmarks is bare.pose is None
    assert bare.warnings == () and bare.normals is face.normals
    with pytest.raises(ValueError, match=r"lace: the face has no shape; .*prnet"):
        bare.need_shape("lace")


def test_a_map_can_be_made_of_a_skin() -> None:
    texels = posed_heads.uv_map(yaw=25)
    skin = position.skin(texels)
    made = posed_heads.shape(skin, CROP)
    again = position.read(made.position)
    assert np.abs(again - skin.points)[skin_mesh().outer].mean() < 0.1
