"""Faces from coefficients: what the camera sees, the names, and the files."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

import facerelief as fr
from facerelief.apps.mesh import describe_coefficients
from facerelief.coefficients import EXPRESSIONS, OUTPUTS, from_coefficients, vertices
from facerelief.decoders import DECODERS
from facerelief.geometry import position
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.face_model import face_model, face_vertices
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import check_mesh
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Place


def told(count: int = 1, distance: float = 500.0, yaw: float = 30.0, **weights: float) -> dict:
    """What a network may say: a smiling head that is turned to the picture's right."""
    g = np.random.default_rng(0)
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    expression = face_model().expression_weights(**(weights or {"mouthSmileLeft": 0.7}))
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    light = np.zeros((9, 3))
    light[0] = np.sqrt(4 * np.pi)
    one = {
        "identity": g.normal(size=80), "expression": expression, "rotation": turn,
        "camera": [120.0, 100.0, 1.3, distance], "light": light, "albedo": g.normal(size=80),
    }  # fmt: skip
    return {k: np.repeat(np.asarray(v, np.float32)[None], count, 0) for k, v in one.items()}


def test_names_and_counts_are_the_models() -> None:
    assert face_model().expression_names == EXPRESSIONS
    assert face_model().identity.shape[0] == OUTPUTS["identity"][0]
    assert len(albedo_basis().components) == OUTPUTS["albedo"][0]
    assert dict(DECODERS["coefficients"].outputs) == OUTPUTS
    moved = vertices(jawOpen=0.5) - vertices()
    jaw = face_model().expression[EXPRESSIONS.index("jawOpen")]
    assert np.allclose(moved, 0.5 * jaw, atol=1e-4)
    with pytest.raises(ValueError, match="has no expression 'grin'; it has: browDownLeft"):
        vertices(grin=1.0)


def test_shapes_added_up_before_they_are_subdivided_are_those_of_the_model() -> None:
    g = np.random.default_rng(3)
    given = g.normal(size=(2, 80)), g.uniform(size=(2, len(EXPRESSIONS)))
    for part in (given, (given[0], None), (None, None)):
        assert np.allclose(face_vertices(*part), face_model().vertices(*part), atol=1e-3)


def test_the_model_is_mirror_symmetric_and_knows_people_who_were_scanned() -> None:
    model = face_model()
    mirrored = model.mean[model.symmetry] * (-1, 1, 1)
    assert np.abs(mirrored - model.mean).max() < 0.05  # mm
    outer = np.unique(skin_mesh().source[skin_mesh().outer])
    spread = np.linalg.norm(model.identity[:, outer], axis=-1).mean(axis=1)
    assert spread[0] > 2 * spread[20] > 2 * spread[79] > 0


def test_the_view_projects_as_a_pinhole() -> None:
    (shape,) = from_coefficients(told(), 256).shapes
    view, skin = shape.view, shape.skin
    assert view.scale == pytest.approx(1.3)
    assert np.allclose(view.in_crop(np.zeros(3)), (120, 100, 0), atol=1e-4)
    own = face_model().vertices(shape.coefficients["identity"], shape.coefficients["expression"])
    head = position.spread(own)[skin_mesh().source]
    assert np.allclose(skin.points[:, :2], view.camera.project(view(head))[:, :2], atol=1e-3)
    # The nose is larger than parallel rays would show it, and nothing else changes.
    tip = skin_mesh().landmarks[30]
    nearer = 500 / (500 - skin.solid[tip, 2] / 1.3)
    off = skin.points[tip, :2] - 128  # the crop's middle, where the axis goes
    assert np.allclose(off, (skin.solid[tip, :2] - 128) * nearer, atol=1e-3) and nearer > 1.05
    edges = np.linalg.norm(skin.solid[1:] - skin.solid[:-1], axis=1)
    assert np.allclose(edges, 1.3 * np.linalg.norm(head[1:] - head[:-1], axis=1), atol=1e-3)


def test_a_face_has_what_coefficients_tell() -> None:
    estimate = from_coefficients(told(2), 256)
    assert estimate.normals.shape == (2, 256, 256, 3) and estimate.mask.any(axis=(1, 2)).all()
    crop = Crop((300.0, 200.0), 512.0)
    place = Place(crop, (0, 0, 1, 1), 1.0, np.zeros((5, 2)), (1000, 1000))
    shape = estimate.shapes[0].at(place)
    assert shape.problem is None and shape.angles[0] == pytest.approx(30, abs=3)
    check_mesh(shape.mesh.vertices, shape.mesh.triangles)
    face = fr.Face(place, shape.surface, shape, "toy")
    assert face.view is shape.view and face.coefficients is shape.coefficients
    marks = skin_mesh().landmarks
    assert np.allclose(face.landmarks[:, :2], crop.to_photo(shape.skin.points[marks, :2]))
    seen = face.mesh.vertices @ face.pose[:, :3].T + face.pose[:, 3]
    found = seen[skin_mesh().face_mesh.landmarks, :2] * (1, -1)
    assert np.abs(found - face.landmarks[:, :2]).max() < 0.05 * crop.side
    assert face.view.albedo.shape == (128, 128, 3)
    # Normals are those of the head, and not of its picture.
    turned = replace(shape, skin=replace(shape.skin, solid=None))
    assert np.abs(turned.surface.normals - face.normals).max() > 0.02


def test_the_sidecar_has_arkits_names_in_their_order() -> None:
    (shape,) = from_coefficients(told(jawOpen=0.4), 256).shapes
    made = json.loads(json.dumps(describe_coefficients(shape)))
    assert list(made["expression"]) == made["expression_order"] == list(EXPRESSIONS)
    assert made["expression"]["jawOpen"] == pytest.approx(0.4)
    assert all(0 <= weight <= 1 for weight in made["expression"].values())
    again = vertices(made["identity"], **made["expression"])
    head = position.spread(again)[skin_mesh().face_mesh.source]
    assert np.abs(head - shape.mesh.vertices).max() < 0.02  # mm, what rounding leaves
    camera = head @ np.transpose(made["head_to_camera"]["rotation"])
    camera = camera + made["head_to_camera"]["translation"]
    x = made["camera"]["centre"][0] + made["camera"]["focal"] * camera[:, 0] / -camera[:, 2]
    assert np.abs(x - shape.skin.points[skin_mesh().face_mesh.kept, 0]).max() < 0.05
    assert np.shape(made["light"]) == (9, 3)
    with pytest.raises(ValueError, match="has no coefficients"):
        describe_coefficients(replace(shape, view=None))


def test_millimetres_are_those_of_the_mesh_file() -> None:
    """With the distance of the eyes known, camera and mesh go on belonging together."""
    (shape,) = from_coefficients(told(jawOpen=0.4), 256).shapes
    larger = shape.metric(1.25 * shape.eye_distance).metric(1.1 * shape.eye_distance)
    plain, made = describe_coefficients(shape), describe_coefficients(larger)
    assert plain["size"] == 1 and made["size"] == pytest.approx(1.1, abs=1e-4)
    for name in ("expression", "identity", "camera", "light", "albedo"):
        assert made[name] == plain[name]
    for one, said in ((shape, plain), (larger, made)):
        turned = one.mesh.vertices @ np.transpose(said["head_to_camera"]["rotation"])
        camera = turned + said["head_to_camera"]["translation"]
        x = said["camera"]["centre"][0] + said["camera"]["focal"] * camera[:, 0] / -camera[:, 2]
        assert np.abs(x - shape.skin.points[skin_mesh().face_mesh.kept, 0]).max() < 0.05
    face = fr.Face(larger.place, larger.surface, larger, "toy")
    assert np.allclose(face.view.translation, 1.1 * shape.view.translation)
    model = vertices(made["identity"], **made["expression"]) * made["size"]
    head = position.spread(model)[skin_mesh().face_mesh.source]
    assert np.abs(head - larger.mesh.vertices).max() < 0.02


def test_another_head_is_driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for weight in (0.0, 0.8):
        (shape,) = from_coefficients(told(jawOpen=weight, yaw=20.0), 256).shapes
        file, out = tmp_path / f"{weight}.json", tmp_path / f"{weight}.obj"
        file.write_text(json.dumps(describe_coefficients(shape)))
        arguments = ["drive.py", str(file), "-o", str(out), "--identity", "2,-1"]
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(Path(__file__).parents[1] / "examples/drive.py"), run_name="__main__")
        made[weight] = trimesh.load(out, process=False).vertices
    head = builtin_head()
    turn = told(yaw=20.0)["rotation"][0]
    moved = (made[0.8] - made[0.0]) @ turn
    jaw = head.expression[head.expression_names.index("jawOpen")]
    used = np.unique(head.triangles)  # lashes hang on vertices of no triangle
    assert np.allclose(moved, 0.8 * jaw[used], atol=0.02)
    own = (head.vertices([2, -1]) @ turn.T)[used]
    assert np.abs(made[0.0] - own).max() < 0.02
