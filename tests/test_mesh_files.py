"""Meshes to files and back, and files that others made or broke."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facerelief.encode import to_png
from facerelief.geometry.mesh import check_mesh
from facerelief.mesh_reading import MeshError, read_asset, read_mesh
from facerelief.mesh_writing import WRITERS, Asset, to_glb
from facerelief.normal_png import NormalMap
from facerelief.types import Mesh
from spheres import icosphere, uv_sphere

VERTICES, TRIANGLES, UV = uv_sphere(8, 16, 90.0)
USED = np.unique(TRIANGLES)  # the poles have vertices of no triangle
GRADIENT = np.indices((64, 64)).sum(0).astype(np.uint8)[..., None].repeat(3, 2)
TILTED = np.array([0.6, 0.0, 0.8], np.float32)
BUMPS = NormalMap(np.tile(TILTED, (32, 32, 1)), np.indices((32, 32))[0] > 3, "tangent", 8)


def back(asset: Asset, format: str, folder: Path) -> Asset:
    for name, content in WRITERS[format](asset, "a").items():
        (folder / name).write_bytes(content)
    return read_asset(folder / f"a.{format}")


@pytest.mark.parametrize("format", WRITERS)
def test_plain_meshes_come_back(format: str, tmp_path: Path) -> None:
    vertices, triangles = icosphere(2, 90.0)
    found = back(Asset(Mesh(vertices, triangles)), format, tmp_path)
    np.testing.assert_allclose(found.mesh.vertices, vertices, atol=1e-4)
    np.testing.assert_array_equal(found.mesh.triangles, triangles)
    assert found.mesh.uv is found.mesh.colours is found.base_colour is found.normal_map is None


@pytest.mark.parametrize("format", WRITERS)
def test_vertex_colours_come_back(format: str, tmp_path: Path) -> None:
    colours = np.abs(VERTICES) / 90
    found = back(Asset(Mesh(VERTICES, TRIANGLES, colours=colours)), format, tmp_path).mesh
    np.testing.assert_allclose(found.vertices, VERTICES, atol=1e-4)
    np.testing.assert_allclose(found.colours, colours, atol=0.6 / 255)


@pytest.mark.parametrize("format", ["glb", "obj"])
def test_textures_come_back(format: str, tmp_path: Path) -> None:
    found = back(Asset(Mesh(VERTICES, TRIANGLES, uv=UV), GRADIENT), format, tmp_path)
    np.testing.assert_allclose(found.mesh.vertices, VERTICES, atol=1e-4)
    np.testing.assert_array_equal(found.mesh.triangles, TRIANGLES)
    np.testing.assert_allclose(found.mesh.uv[USED], UV[USED], atol=1e-5)
    assert np.abs(found.base_colour.astype(int) - GRADIENT).mean() < 3  # but for JPEG


def test_a_ply_has_the_textures_colours(tmp_path: Path) -> None:
    asset = Asset(Mesh(VERTICES, TRIANGLES, uv=UV), GRADIENT)
    found = back(asset, "ply", tmp_path).mesh
    np.testing.assert_allclose(found.colours * 255, asset.vertex_colours, atol=1e-3)
    x, y = np.clip((UV * (1, -1) + (0, 1)) * 64, 0, 63).astype(int).T
    np.testing.assert_array_equal(asset.vertex_colours, GRADIENT[y, x])


def test_a_glb_keeps_a_normal_map_in_tangent_space(tmp_path: Path) -> None:
    found = back(Asset(Mesh(VERTICES, TRIANGLES, uv=UV), GRADIENT, BUMPS), "glb", tmp_path)
    normals = found.normal_map.normals
    assert found.normal_map.frame == "tangent"
    np.testing.assert_allclose(normals[BUMPS.mask], [TILTED] * BUMPS.mask.sum(), atol=0.01)
    np.testing.assert_allclose(normals[~BUMPS.mask], [(0, 0, 1)] * (~BUMPS.mask).sum(), atol=0.01)
    content = (tmp_path / "a.glb").read_bytes()
    said = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert "normalTexture" in said["materials"][0]


def test_a_glb_holds_the_very_file_of_its_texture(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for bumps in (None, BUMPS):
        asset = Asset(Mesh(VERTICES, TRIANGLES, uv=UV), noise, bumps)
        content = to_glb(asset, "a")["a.glb"]
        start = 20 + int.from_bytes(content[12:16], "little")
        said = json.loads(content[20:start])
        place = said["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        image = said["images"][said["textures"][place]["source"]]
        view = said["bufferViews"][image["bufferView"]]
        held = content[start + 8 + view["byteOffset"] :][: view["byteLength"]]
        assert image["mimeType"] == "image/jpeg" and held.rstrip(b"\0") == asset.jpeg


@pytest.mark.parametrize("frame", ["opengl", "directx", None])
def test_normals_of_camera_space_are_refused(frame: str | None) -> None:
    camera = NormalMap(BUMPS.normals, BUMPS.mask, frame, 8)
    with pytest.raises(ValueError, match="in tangent, not"):
        Asset(Mesh(VERTICES, TRIANGLES, uv=UV), GRADIENT, camera)


@pytest.mark.parametrize("pictures", [(GRADIENT, None), (None, BUMPS)])
def test_pictures_without_texture_coordinates_are_refused(pictures) -> None:
    with pytest.raises(ValueError, match="texture coordinates"):
        Asset(Mesh(VERTICES, TRIANGLES), *pictures)


# OBJ files of others.

CUBE = """
# a unit cube of quads, and a comment
mtllib lib/cube.mtl
v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1
usemtl side
f 4/4 3/3 2/2 1/1
f 5/1 6/2 7/3 8/4
f -8/-4 -7/-3 -3/-2 -4/-1
f 2/1 3/2 7/3 6/4
f 3/1 4/2 8/3 7/4
f 4/1 1/2 5/3 8/4
"""


def cube(folder: Path) -> Path:
    (folder / "cube.obj").write_text(CUBE)
    (folder / "lib").mkdir()
    (folder / "lib" / "cube.mtl").write_text("newmtl side\nKd 1 1 1\nmap_Kd lib\\side 1.png\n")
    (folder / "lib" / "side 1.png").write_bytes(to_png(GRADIENT))
    return folder / "cube.obj"


def test_an_obj_of_quads_keeps_its_vertices_in_order(tmp_path: Path) -> None:
    found = read_asset(cube(tmp_path))
    vertices, triangles, uv = found.mesh.vertices, found.mesh.triangles, found.mesh.uv
    first = [[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    np.testing.assert_array_equal(vertices[:8], first)
    assert len(triangles) == 12 and len(vertices) == len(uv) > 8
    side = {tuple(map(tuple, np.round(uv[one]))) for one in triangles}
    assert len(side) == 4  # each half of a quad has its own three corners of the picture
    _, joined = np.unique(vertices, axis=0, return_inverse=True)
    check_mesh(np.unique(vertices, axis=0), joined.reshape(-1)[triangles])  # closed, wound alike
    np.testing.assert_array_equal(found.base_colour, GRADIENT)


def test_an_obj_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(to_png(GRADIENT))
    (tmp_path / "in").mkdir()
    path = cube(tmp_path / "in")
    for line in ("map_Kd ../secret.png", f"map_Kd {tmp_path / 'secret.png'}", "map_Kd gone.png"):
        (path.parent / "lib" / "cube.mtl").write_text(f"newmtl side\n{line}\n")
        assert read_asset(path).base_colour is None
    path.write_text(CUBE.replace("lib/cube.mtl", "../secret.png"))
    assert read_asset(path).base_colour is None


def test_several_meshes_become_one(tmp_path: Path) -> None:
    import trimesh

    vertices, triangles = icosphere(1)
    ball = trimesh.Trimesh(vertices, triangles, process=False)
    scene = trimesh.Scene()
    scene.add_geometry(ball)
    scene.add_geometry(ball, transform=trimesh.transformations.translation_matrix((5, 0, 0)))
    (tmp_path / "two.glb").write_bytes(scene.export(file_type="glb"))
    found = read_mesh(tmp_path / "two.glb")
    assert len(found.vertices) == 2 * len(vertices) and len(found.triangles) == 2 * len(triangles)
    np.testing.assert_allclose(np.ptp(found.vertices, axis=0), (7000, 2000, 2000), rtol=1e-5)


def test_gltf_in_parts_is_read(tmp_path: Path) -> None:
    import trimesh

    vertices, triangles = icosphere(1)
    scene = trimesh.Scene(trimesh.Trimesh(vertices, triangles, process=False))
    for name, content in scene.export(file_type="gltf").items():
        (tmp_path / name).write_bytes(content)
    found = read_mesh(tmp_path / "model.gltf")
    np.testing.assert_allclose(found.vertices, 1000 * vertices, atol=1e-3)


# What is no mesh.


def content(name: str, text: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    make.__name__ = name
    return make


PLY = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
BAD = [
    (lambda folder: folder / "gone.obj", "no such file"),
    (content("a.stl", "solid a\nendsolid"), "ends in"),
    (content("empty.obj", ""), "an empty file"),
    (content("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n"), "no triangles"),
    (content("far.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), "does not have"),
    (content("zero.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n"), "does not have"),
    (content("nan.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"), "finite"),
    (content("words.obj", "v 0 zero 0\nf 1 1 1\n"), "could not convert"),
    (content("odd.obj", "v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n"), "not a mesh"),
    (content("points.ply", PLY + "property float z\nend_header\n0 0 0\n"), "no triangles"),
    (content("text.ply", "not a ply at all"), "not a mesh"),
    (content("cut.glb", b"glTF\x02\0\0\0\xff\xff\xff\xff"), "not a mesh"),
    (content("empty.gltf", "{}"), "not a mesh"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_what_is_no_mesh_is_one_clear_line(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "a#1", "a\nb", "é", "-o", "a\udcff", "plain-1.2_x"])
def test_names_inside_an_obj_are_plain_words(name: str, tmp_path: Path) -> None:
    """And those of files that are there; other names can be whatever a photo is called."""
    import trimesh

    picture = np.zeros((4, 4, 3), np.uint8)
    corners = np.eye(3)
    mesh = Mesh(corners, np.array([[0, 1, 2]]), uv=corners[:, :2])
    files = WRITERS["obj"](Asset(mesh, picture), name)
    obj, mtl = (
        next(content for file, content in files.items() if file.endswith(ending)).decode("ascii")
        for ending in (".obj", ".mtl")
    )
    (library,) = re.findall(r"^mtllib (.*)$", obj, re.MULTILINE)
    (texture,) = re.findall(r"^map_Kd (.*)$", mtl, re.MULTILINE)
    assert files.keys() == {f"{name}.obj", library, texture}
    for word in (library, texture):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", word), word
    assert name != "plain-1.2_x" or library == "plain-1.2_x.mtl"
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    opened = trimesh.load(tmp_path / f"{name}.obj", process=False)
    assert opened.visual.material.image.size == (4, 4)
