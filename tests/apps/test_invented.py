"""What symmetry invented: on the face, and as colours of a GLB's vertices."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

import posed_heads
from facerelief import load
from facerelief.apps.mesh import INVENTED, Options, produce
from facerelief.apps.products import Photo
from facerelief.cli import app
from facerelief.detail import Detail
from facerelief.geometry.refined_mesh import refined
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import load_photo
from facerelief.mesh_writing import Asset
from facerelief.types import Crop, Face

CROP = Crop((128.0, 128.0), 256.0)


def face(yaw: float) -> Face:
    return posed_heads.face(posed_heads.uv_map(yaw=yaw), CROP, (256, 256))


def colours(path: Path) -> np.ndarray:
    """(V, 4) of a GLB's vertices, by another reader; its picture stays what it is."""
    (made,) = trimesh.load(path).geometry.values()
    assert made.visual.material.baseColorTexture.size == (256, 256)
    return np.asarray(made.visual.vertex_attributes["color"])


@pytest.mark.parametrize("topology", ["skin", "face"])
def test_vertices_have_mirror_images(topology: str) -> None:
    mesh = skin_mesh() if topology == "skin" else skin_mesh().face_mesh
    assert np.array_equal(mesh.mirror[mesh.mirror], np.arange(len(mesh.source)))
    assert np.abs(mesh.mean[mesh.mirror] * (-1, 1, 1) - mesh.mean).max() < 0.05  # mm
    assert (mesh.mirror == np.arange(len(mesh.source))).sum() > 50  # the middle line


def test_a_profile_has_its_far_side_invented() -> None:
    front, turned, profile = (face(yaw) for yaw in (0, 50, 85))
    outer, side = skin_mesh().face_mesh.outer, skin_mesh().face_mesh.mean[:, 0]
    assert front.invented[outer].mean() < 0.05 < turned.invented[outer].mean()
    assert profile.invented[outer].mean() > 0.3
    far = side > 10 if profile.visible[side > 10].mean() < 0.5 else side < -10
    assert profile.invented[far & outer].mean() > 0.6
    for one in (front, turned, profile):
        assert not one.invented[one.visible].any()
        assert one.visible[skin_mesh().face_mesh.mirror[one.invented]].all()
        assert len(one.whole().invented) == len(one.whole().mesh.vertices)


@pytest.mark.parametrize("yaw", [50, 85])
def test_the_glb_has_it_as_colours_of_vertices(yaw: int, astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=yaw))
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "--texture", "256", "--invented"])
    assert done.exit_code == 0, done.output
    found = colours(tmp_path / "astronaut.glb")
    (expected,) = load(network)(astronaut)
    assert np.array_equal((found[:, :3] == INVENTED).all(1), expected.invented)
    assert (found[~expected.invented] == 255).all() and (found[:, 3] == 255).all()
    said = json.loads((tmp_path / "astronaut_pose.json").read_text())
    assert said["invented"] == pytest.approx(expected.invented.mean(), abs=1e-4)


@pytest.mark.parametrize("geometry", ["coarse", "displaced"])
def test_mirrored_relief_is_invented_too(geometry: str, astronaut: Path, tmp_path: Path) -> None:
    """Relief from the other side stands out on a face whose every vertex is seen, too."""
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map())
    pixels = load_photo(astronaut)
    one_side = np.zeros((512, 512), bool)
    one_side[:, :256] = True  # the subject's right
    relief = Detail(np.full((512, 512), 0.2, np.float32), np.ones((512, 512), np.float32), one_side)
    options = Options(texture=256, geometry=geometry, invented=True)
    made = produce(Photo(pixels, "a", "a.jpg"), load(network), options, lambda *_: relief, "toy")
    (tmp_path / "a.glb").write_bytes(made.files["a.glb"])
    red = (colours(tmp_path / "a.glb")[:, :3] == INVENTED).all(1)
    (found,) = load(network)(pixels)
    mesh, cut = skin_mesh().face_mesh, refined()
    places = cut.linear(mesh.uv)[: len(red)]
    assert len(red) == (
        len(mesh.source) if geometry == "coarse" else len(mesh.source) + len(cut.edges)
    )
    assert red[places[:, 0] < 0.49].all()
    assert np.array_equal(red[: len(mesh.source)][mesh.uv[:, 0] > 0.51],
                          found.invented[mesh.uv[:, 0] > 0.51])  # fmt: skip


def test_without_the_switch_no_vertex_has_a_colour(astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=85))
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "--texture", "256"])
    assert done.exit_code == 0, done.output
    assert b"COLOR_0" not in (tmp_path / "astronaut.glb").read_bytes()
    done = CliRunner().invoke(app, [*arguments, "--invented", "--format", "obj"])
    assert done.exit_code == 2 and "needs glb" in done.output
    mesh = face(0).mesh
    with pytest.raises(ValueError, match="a tint is"):
        Asset(mesh, tint=np.zeros((3, 3), np.uint8))
