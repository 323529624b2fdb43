"""`facerelief enhance`: the astronaut's own mesh, as other programs might have written it."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

import facerelief as fr
from cli_lines import names, one_line
from facerelief.cli import app
from facerelief.mesh_reading import read_asset
from facerelief.mesh_writing import Asset, to_glb, to_obj, to_ply
from facerelief.types import Mesh


@pytest.fixture(scope="module")
def shape(astronaut):
    (face,) = fr.load("prnet")(astronaut, max_faces=1)
    return face.shape


def run(mesh, photo, out, *more):
    call = ["enhance", mesh, photo, "-o", out, *more]
    return CliRunner().invoke(app, [str(part) for part in call])


def written(files, folder):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def told(folder):
    return json.loads((folder / "astronaut_enhanced.json").read_text())


def test_a_bare_mesh_is_placed_by_landmarks(astronaut, shape, tmp_path) -> None:
    given = Mesh(shape.mesh.vertices, shape.mesh.triangles, uv=shape.mesh.uv)
    mesh = written(to_obj(Asset(given), "head"), tmp_path)
    out = tmp_path / "out"
    result = run(mesh, astronaut, out, "--format", "glb,ply", "--size", "512")
    assert result.exit_code == 0, result.output
    wanted = {f"astronaut_enhanced{e}" for e in (".glb", ".ply", ".json", "_tangent_normal.png")}
    assert names(out) == wanted
    said = told(out)
    found = np.array(said["camera_from_model"])
    middle = np.append(given.vertices.mean(0), 1)
    off = np.linalg.norm((found - shape.pose)[:2] @ middle) / np.cbrt(np.linalg.det(found[:, :3]))
    assert off < 5  # mm
    before, after = said["angle_to_photo"]
    assert after < before - 0.8
    assert read_asset(out / "astronaut_enhanced.glb").normal_map is not None


def test_another_unit_another_up_and_no_texture(astronaut, shape, tmp_path) -> None:
    turn = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # z is up
    mesh = Mesh(shape.mesh.vertices @ turn.T / 25.4, shape.mesh.triangles)
    path = written(to_ply(Asset(mesh), "head"), tmp_path)
    result = run(path, astronaut, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "astronaut_enhanced_tangent_normal.png" not in names(tmp_path / "out")
    assert told(tmp_path / "out")["mesh"]["mm"] == pytest.approx(25.4, rel=0.15)
    result = run(path, astronaut, tmp_path / "other", "--geometry", "coarse")
    assert result.exit_code == 1
    one_line(result, "no texture coordinates")
    assert not names(tmp_path / "other")


def test_a_pose_file_is_believed(astronaut, shape, tmp_path) -> None:
    path = written(to_glb(Asset(shape.mesh), "head"), tmp_path)
    pose = tmp_path / "pose.json"
    pose.write_text(json.dumps({"camera_from_model": shape.pose.tolist()}))
    result = run(path, astronaut, tmp_path / "out", "--pose", pose, "--geometry", "coarse")
    assert result.exit_code == 0, result.output
    said = told(tmp_path / "out")
    np.testing.assert_allclose(said["camera_from_model"], shape.pose, atol=1e-4)
    pose.write_text("{}")
    result = run(path, astronaut, tmp_path / "out", "--pose", pose)
    assert result.exit_code == 1
    one_line(result, "no pose")


@pytest.mark.parametrize(
    "content,reason",
    [
        ("", "an empty file"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no triangles"),
        ("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "does not have"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "no face is found on the mesh"),
    ],
)
def test_bad_meshes_are_one_line(content, reason, astronaut, tmp_path) -> None:
    path = tmp_path / "mesh.obj"
    path.write_text(content)
    result = run(path, astronaut, tmp_path / "out")
    assert result.exit_code == 1
    one_line(result, reason)
    assert not (tmp_path / "out").exists() or not names(tmp_path / "out")


def test_bad_calls_and_photos(astronaut, shape, tmp_path) -> None:
    path = written(to_glb(Asset(shape.mesh), "head"), tmp_path)
    for more in (["--geometry", "fine"], ["--size", "100"], ["--format", "stl"]):
        result = run(path, astronaut, tmp_path / "out", *more)
        assert result.exit_code == 2
        one_line(result)
    Image.new("RGB", (300, 300)).save(tmp_path / "wall.png")
    result = run(path, tmp_path / "wall.png", tmp_path / "out")
    assert result.exit_code == 1
    one_line(result, "no face found")
