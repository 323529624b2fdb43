"""Meshes as files: they open, with their texture, and are where the sidecars say."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from typer.testing import CliRunner

import posed_heads
from facerelief import load
from facerelief.apps import mesh
from facerelief.apps.overlay import overlay
from facerelief.apps.photos import process
from facerelief.apps.products import Folder
from facerelief.cli import app
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import load_photo


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system that sees a head that is turned to the picture's right."""
    path = tmp_path_factory.mktemp("posed") / "posed.onnx"
    return posed_heads.network(path, posed_heads.uv_map(yaw=25))


@pytest.fixture(scope="module")
def folder(network: Path, astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes of the portrait, in all formats."""
    out = tmp_path_factory.mktemp("out")
    arguments = ["mesh", str(astronaut), "-o", str(out), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "--format", "glb,obj,ply", "--texture", "256"])
    assert done.exit_code == 0, done.output
    assert "1 face in 1 photo" in done.output and "astronaut.glb" in done.output
    return out


def test_all_files_are_there(folder: Path) -> None:
    endings = (".glb", ".obj", ".mtl", ".ply", "_texture.jpg", "_texture_source.png", "_depth.png",
               "_landmarks.json", "_landmark_vertices.json", "_pose.json")  # fmt: skip
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"astronaut{e}" for e in endings)


def test_the_glb_is_a_textured_face_in_metres(folder: Path) -> None:
    scene = trimesh.load(folder / "astronaut.glb")
    (made,) = scene.geometry.values()
    expected = skin_mesh().face_mesh
    assert len(made.vertices) == len(expected.source)
    assert np.array_equal(made.faces, expected.triangles)
    off = np.linalg.norm(made.vertices * 1000 - expected.mean, axis=1)
    assert off[~expected.inner].mean() < 1  # upright, whatever the head in the photo does
    assert np.allclose(made.visual.uv, expected.uv, atol=1e-5)
    assert made.visual.material.baseColorTexture.size == (256, 256)
    content = (folder / "astronaut.glb").read_bytes()
    length = int.from_bytes(content[12:16], "little")
    attributes = json.loads(content[20 : 20 + length])["meshes"][0]["primitives"][0]["attributes"]
    assert {"POSITION", "NORMAL", "TEXCOORD_0"} <= set(attributes)


def test_obj_and_ply_are_the_same_mesh(folder: Path) -> None:
    glb = next(iter(trimesh.load(folder / "astronaut.glb").geometry.values()))
    obj = trimesh.load(folder / "astronaut.obj", process=False, maintain_order=True)
    ply = trimesh.load(folder / "astronaut.ply", process=False)
    for other in (obj, ply):
        assert np.allclose(other.vertices, glb.vertices * 1000, atol=1e-2)
        assert np.array_equal(other.faces, glb.faces)
    assert obj.visual.material.image.size == (256, 256)
    assert np.allclose(obj.visual.uv, glb.visual.uv, atol=1e-5)
    texture = np.asarray(Image.open(folder / "astronaut_texture.jpg")).astype(int)
    x, y = np.clip((glb.visual.uv * (1, -1) + (0, 1)) * 256, 0, 255).astype(int).T
    colours = np.asarray(ply.visual.vertex_colors)[:, :3].astype(int)
    assert np.abs(colours - texture[y, x]).mean() < 6  # but for JPEG


def test_sidecars_say_where_it_is(folder: Path) -> None:
    pose = json.loads((folder / "astronaut_pose.json").read_text())
    marks = json.loads((folder / "astronaut_landmarks.json").read_text())
    assert pose["angles"]["yaw"] == pytest.approx(25, abs=1) and pose["warnings"] == []
    assert 0.4 < pose["visible"] < 0.9 and pose["model"]["tier"] == "open"
    ply = trimesh.load(folder / "astronaut.ply", process=False)
    camera = np.array(pose["camera_from_model"])
    there = ply.vertices @ camera[:, :3].T + camera[:, 3]
    expected = np.array(marks["points"])
    found = there[skin_mesh().face_mesh.landmarks]
    assert np.allclose(found[:, :2] * (1, -1), expected[:, :2], atol=0.1)
    assert len(marks["visible"]) == 68 and 30 < sum(marks["visible"]) < 68
    assert set(pose["files"]) < {p.name for p in folder.iterdir()}


def test_depth_is_that_of_the_landmarks(folder: Path) -> None:
    pose = json.loads((folder / "astronaut_pose.json").read_text())
    marks = json.loads((folder / "astronaut_landmarks.json").read_text())
    depth = np.asarray(Image.open(folder / "astronaut_depth.png")).astype(float)
    assert depth.shape == (256, 256) and 0.2 < (depth > 0).mean() < 0.8
    crop = pose["crop"]
    to_photo = np.array(crop["crop_to_photo"])
    to_crop = np.linalg.inv(np.vstack([to_photo, [0, 0, 1]]))[:2]
    scale = crop["side"] / crop["size"]
    for index in (27, 30, 33, 57):  # bridge, tip and base of the nose, lower lip
        x, y, z = marks["points"][index]
        column, row = (to_crop @ (x, y, 1)).astype(int)
        found = (depth[row, column] - 32768) * pose["depth_step"] * scale
        assert found == pytest.approx(z, abs=2 * scale)


def test_landmarks_of_another_scheme(network: Path, astronaut: Path, tmp_path: Path) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "--texture", "256", "--landmarks", "jd106"])
    assert done.exit_code == 0, done.output
    said = json.loads((tmp_path / "astronaut_landmarks.json").read_text())
    assert said["scheme"] == "jd106" and len(said["points"]) == len(said["visible"]) == 106


def test_an_overlay_shows_lines_and_landmarks(
    network: Path, astronaut: Path, tmp_path: Path
) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "--texture", "256", "--overlay"])
    assert done.exit_code == 0 and "astronaut_mesh_overlay.jpg" in done.output
    shown = np.asarray(Image.open(tmp_path / "astronaut_mesh_overlay.jpg")).astype(int)
    red, green, blue = np.moveaxis(shown, -1, 0)
    assert shown.shape == (512, 512, 3)
    assert ((green > 200) & (red < 120) & (blue < 120)).sum() > 300  # seen landmarks
    assert ((red > 200) & (green < 120) & (blue < 120)).sum() > 50  # those of the far side
    plain = overlay(load_photo(astronaut), replace(load(network)(astronaut)[0], shape=None))
    lined = (np.abs(shown - plain).max(-1) > 15).mean()
    assert 0.05 < lined < 0.4


def test_the_whole_head_has_neck_and_scalp(network: Path, astronaut: Path, tmp_path: Path) -> None:
    options = mesh.Options(("ply",), "full", 256)
    job = partial(mesh.produce, estimator=load(network), options=options)
    done = process(astronaut, "whole", job, Folder(tmp_path))
    assert done.error is None
    made = trimesh.load(tmp_path / "whole.ply", process=False)
    assert len(made.vertices) == len(skin_mesh().source)
    assert np.ptp(made.vertices[:, 1]) > 250  # mm, from the crown to the neck


@pytest.mark.parametrize("head", ["face", "full"])
def test_a_known_distance_of_the_eyes_makes_it_metric(
    head: str, network: Path, astronaut: Path, tmp_path: Path
) -> None:
    made = {}
    for distance in (None, 63.0):
        options = mesh.Options(("ply",), head, 256, eye_distance=distance)
        job = partial(mesh.produce, estimator=load(network), options=options)
        assert process(astronaut, str(distance), job, Folder(tmp_path)).error is None
        said = json.loads((tmp_path / f"{distance}_pose.json").read_text())
        known = json.loads((tmp_path / f"{distance}_landmark_vertices.json").read_text())
        vertices = trimesh.load(tmp_path / f"{distance}.ply", process=False).vertices
        pupils = vertices[known["schemes"]["jd106"]["vertices"][104:]]
        assert np.linalg.norm(pupils[1] - pupils[0]) == pytest.approx(said["eye_distance"], abs=2)
        camera = np.array(said["camera_from_model"])
        made[said["scale"]] = vertices, vertices @ camera[:, :3].T + camera[:, 3], said
    (assumed, there, before), (metric, same, after) = made["assumed"], made["metric"]
    assert after["eye_distance"] == 63
    np.testing.assert_allclose(metric, assumed * 63 / before["eye_distance"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(same, there, atol=0.02)  # the photo's pixels
    assert after["angles"] == before["angles"] and "distance of the eyes" in str(after)


@pytest.mark.parametrize("distance", [float("nan"), 0.0, -63.0, 6.3, 63000.0, float("inf")])
def test_eyes_that_nobody_has_are_one_line(distance: float, network: Path, astronaut: Path) -> None:
    with pytest.raises(ValueError, match=r"eyes are 30 to 100 mm apart, not "):
        load(network)(astronaut)[0].metric(distance)
    with pytest.raises(ValueError, match=r"eyes are 30 to 100 mm apart, not "):
        mesh.Options(eye_distance=distance)


def test_a_map_that_is_no_face_gives_a_warning_and_no_mesh(astronaut: Path, tmp_path: Path) -> None:
    flat = posed_heads.network(tmp_path / "flat.onnx", np.zeros((256, 256, 3)))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["mesh", str(astronaut), "-o", str(out), "--system", str(flat)])
    assert done.exit_code == 0
    assert [p.name for p in out.iterdir()] == ["astronaut_pose.json"]
    said = json.loads((out / "astronaut_pose.json").read_text())
    assert "collapsed" in said["warnings"][0] and said["angles"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--format", "stl"], "glb, obj, ply; not stl"),
        (["--head", "body"], "face or full"),
        (["--texture", "1000"], "256, 512, 1024"),
        (["--landmarks", "300w"], "ibug68, jd106"),
        (["--eye-distance", "6.3"], "--eye-distance: eyes are 30 to 100 mm apart, not 6.3"),
        (["--eye-distance", "nan"], "30 to 100 mm apart, not nan"),
    ],
)
def test_wrong_options_are_one_line(
    more: list[str], message: str, network: Path, astronaut: Path, tmp_path: Path
) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path / "o"), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, *more])
    assert done.exit_code == 2 and message in done.output and "Traceback" not in done.output
    assert not (tmp_path / "o").exists()


def test_systems_without_shapes_are_told(
    tiny_catalogue: Path, astronaut: Path, tmp_path: Path
) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--system", "tiny"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2 and "tiny estimates normals, not shapes" in done.output
