"""Relief that is known, on the mean head: in vertices, in tangent-space normal maps, in files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

import facerelief
import posed_heads
from facerelief.apps import mesh as meshes
from facerelief.cli import app
from facerelief.detail import Detail, Kind, OnSkin, fused, shading, smooth_surface
from facerelief.detailed import DetailedFace
from facerelief.evaluate.detailed_meshes import drawn, flipped
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.light import direction, directional_to_sh, linear_to_srgb, shade_sh
from facerelief.geometry.mesh import face_normals, vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.geometry.refined_mesh import refined
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.mesh_writing import WRITERS, Asset
from facerelief.types import Crop, Face

CROP = Crop((128, 128), 256)
SIZE = 512


def face(yaw: float = 0) -> Face:
    return posed_heads.face(posed_heads.uv_map(yaw=yaw), CROP, (256, 256))


def waves(mm: float = 0.4) -> Detail:
    """Relief that rises towards no side alone, over the cheeks and brow."""
    row, column = np.mgrid[:SIZE, :SIZE] / SIZE
    heights = mm * np.sin(2 * np.pi * 11 * row + 1) + mm * np.sin(2 * np.pi * 9 * column)
    relief = (heights * np.hypot(row - 0.5, column - 0.5).clip(0, 0.4) / 0.4).astype(np.float32)
    return Detail(relief, np.ones_like(relief), relief > 99)


@pytest.fixture(scope="module")
def made() -> DetailedFace:
    return DetailedFace(face(), waves())


def test_the_first_vertices_are_the_coarse_ones_moved_by_the_relief(made: DetailedFace) -> None:
    coarse, outer = made.mesh, skin_mesh().face_mesh.outer
    moved = made.displaced.vertices[: len(coarse.vertices)] - coarse.vertices
    normals = vertex_normals(coarse.vertices, coarse.triangles)
    by = sample_texture(made.detail.displacement[..., None], coarse.uv)[:, 0]
    along = (moved * normals).sum(-1)
    assert np.abs(along - by)[outer].mean() < 0.03
    assert np.corrcoef(along[outer], by[outer])[0, 1] > 0.97


def shown(made: DetailedFace, texture: np.ndarray, green: float = 1) -> tuple[np.ndarray, ...]:
    """Normals (256, 256, 3) that a viewer shows of the coarse mesh with a normal map, and where.

    Tangents are a pixel's own triangle's, as viewers take them where a file has none.
    """
    coarse = made.mesh
    points = coarse.vertices @ made.face.pose[:, :3].T + made.face.pose[:, 3]
    raster = rasterise(points * (1, -1, 1), coarse.triangles, (256, 256))
    z = normalise(raster.interpolate(vertex_normals(points, coarse.triangles)))
    corners, uv = points[coarse.triangles], coarse.uv[coarse.triangles].astype(float)
    sides, steps = corners[:, 1:] - corners[:, :1], uv[:, 1:] - uv[:, :1]
    tangent = np.einsum("tc,tcx->tx", np.linalg.pinv(steps)[:, 0], sides)[raster.triangle]
    x = normalise(tangent - z * (z * tangent).sum(-1, keepdims=True))
    y = np.cross(z, x)
    places = raster.interpolate(coarse.uv.astype(float))[raster.mask]
    local = 2 * sample_texture(texture, places) / 255 - 1
    axes = np.stack([x, green * y, z], -2)[raster.mask]
    normals = np.zeros((256, 256, 3))
    normals[raster.mask] = normalise(np.einsum("pc,pcx->px", local, axes))
    return normals, raster.mask & skin_mesh().face_mesh.outer_triangles[raster.triangle]


def test_a_viewer_sees_the_relief_and_would_not_if_green_pointed_down(
    made: DetailedFace, tmp_path: Path
) -> None:
    bumps = made.normal_map(made.mesh)
    glb = WRITERS["glb"](Asset(made.mesh, normal_map=bumps), "a")["a.glb"]
    (tmp_path / "a.glb").write_bytes(glb)
    (found,) = trimesh.load(tmp_path / "a.glb").geometry.values()
    texture = np.asarray(found.visual.material.normalTexture.convert("RGB")).astype(float)
    truth, mask = drawn(made.face, made)
    flat = np.full_like(texture, 127.5) + np.array([0, 0, 127.5])
    errors = []
    for picture, green in ((texture, 1), (texture, -1), (flat, 1)):
        normals, both = shown(made, picture, green)
        both &= mask & (truth[..., 2] > 0.4)
        errors.append(np.degrees(np.arccos((normals * truth).sum(-1).clip(-1, 1)))[both].mean())
    right, upside_down, none = errors
    assert right < 0.35 * none and upside_down > none, errors


def test_the_map_of_a_displaced_mesh_has_what_is_left(made: DetailedFace) -> None:
    coarse, fine = (made.normal_map(one) for one in (made.mesh, made.displaced))
    tilt = [
        np.degrees(np.arccos(m.normals[m.mask][:, 2].clip(-1, 1))).mean() for m in (coarse, fine)
    ]
    assert tilt[1] < 0.5 * tilt[0] and tilt[0] > 3, tilt


def test_the_farther_side_is_the_nearer_ones_mirror_image() -> None:
    seen = np.zeros((SIZE, SIZE), np.float32)
    seen[:, SIZE // 2 :] = 1  # the subject's left
    half = replace(waves(), seen=seen, displacement=waves().displacement * seen)
    whole = half.mirrored()
    np.testing.assert_array_equal(whole.displacement, whole.displacement[:, ::-1])
    assert whole.invented[:, : SIZE // 2].all() and not whole.invented[:, SIZE // 2 :].any()


def painted_photo(one: Face) -> np.ndarray:
    """The smooth face in a light from the side, with dark brows and lips, freckles and stubble."""
    rng = np.random.default_rng(0)
    albedo = np.full((256, 256), 0.6)
    marks = one.landmarks[:, :2]
    row, column = np.mgrid[:256, :256] + 0.5

    def paint(places: np.ndarray, radius: float, factor: float) -> None:
        away = np.min([np.hypot(column - x, row - y) for x, y in places], axis=0)
        albedo[away < radius] *= factor

    for brow in (marks[17:22], marks[22:27]):
        paint(np.concatenate([brow, (brow[1:] + brow[:-1]) / 2]), 3, 0.3)
    paint(marks[48:60], 5, 0.6)
    paint(marks[30] + rng.normal(0, 25, (40, 2)), 1.2, 0.75)  # freckles
    stubble = rng.uniform(0.8, 1, (256, 256))
    albedo[row > marks[33, 1]] *= stubble[row > marks[33, 1]]
    light = 0.8 * directional_to_sh(direction(40, 15))
    light[0] += 0.2 * np.sqrt(4 * np.pi)
    shade = np.maximum(shade_sh(one.normals, light), 0) * one.mask
    return np.round(255 * linear_to_srgb(albedo * shade)).astype(np.uint8)[..., None].repeat(3, -1)


def test_brows_lips_freckles_and_stubble_are_hardly_embossed() -> None:
    """The smooth face is the truth: what turns its normals is paint."""
    one = face()
    photo = painted_photo(one)
    flat, found = (DetailedFace(one, d) for d in (Detail.none(SIZE), shading(SIZE, 1)(one, photo)))
    assert found.detail.displacement.any()
    truth, mask = drawn(one, flat)
    normals, shown = drawn(one, found)
    turned = np.degrees(np.arccos((normals * truth).sum(-1).clip(-1, 1)))[mask & shown]
    assert turned.mean() < 1 and np.percentile(turned, 99) < 5  # 0.64 and 3.3


@pytest.mark.parametrize(("kind", "value"), [("shading", 0), ("fused", 255), ("fused", 3)])
def test_a_photo_without_light_has_no_relief_and_says_so(
    kind: str, value: int, tmp_path: Path
) -> None:
    Image.new("RGB", (256, 256), (value,) * 3).save(tmp_path / "a.png")
    arguments = ["mesh", str(tmp_path / "a.png"), "-o", str(tmp_path), "--texture", "256"]
    wanted = ["--crops", "--system", "full_pose", "--detail", kind]
    done = CliRunner().invoke(app, [*arguments, *wanted])
    assert done.exit_code == 0, done.output
    said = json.loads((tmp_path / "a_pose.json").read_text())
    assert not said["detail"]["made"] and said["detail"]["range"] == [0, 0]
    assert any("no detail" in warning and "light" in warning for warning in said["warnings"])
    assert not (tmp_path / "a_displacement.png").exists() and (tmp_path / "a.glb").exists()


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> tuple[Face, np.ndarray]:
    (found,) = facerelief.load("full_pose")(astronaut, max_faces=1)
    return found, facerelief.load_photo(astronaut)


@pytest.mark.parametrize("make", [shading, fused])
def test_a_grey_photo_has_the_relief_of_a_coloured_one(make: Kind, portrait) -> None:
    one, photo = portrait
    grey = np.round(photo @ [0.2126, 0.7152, 0.0722]).astype(np.uint8)[..., None].repeat(3, -1)
    coloured, plain = (make(256, 1)(one, picture) for picture in (photo, grey))
    assert coloured.displacement.any() and not plain.warnings
    both = (coloured.seen > 0.5) & (plain.seen > 0.5)
    assert np.corrcoef(coloured.displacement[both], plain.displacement[both])[0, 1] > 0.85


@pytest.mark.parametrize("make", [shading, fused])
def test_what_lies_outside_the_photo_has_no_relief(make: Kind, portrait) -> None:
    one, photo = portrait
    middle = round(one.crop.centre[0])
    cut = replace(one.place, photo_size=(photo.shape[0], middle))
    half = replace(one, place=cut, shape=one.shape.at(cut))
    skin, found = OnSkin.of(half), make(256, 1)(half, photo[:, :middle])
    outside = skin.places[:, 0] > one.crop.to_crop(np.array([[middle, 0.0]]))[0, 0] + 2
    assert outside.mean() > 0.2 and not skin.seen[outside].any()
    assert np.isfinite(found.displacement).all() and found.displacement.any()
    share = [(d.seen > 0.5).mean() for d in (found, make(256, 1)(one, photo))]
    assert share[0] < 0.75 * share[1]
    assert flipped(DetailedFace(half, found)) == 0


@pytest.mark.parametrize("make", [shading, fused])
@pytest.mark.parametrize("yaw", [-100, 125, 180])
def test_profiles_beyond_a_right_angle_have_sound_relief_or_none(make: Kind, yaw: float) -> None:
    rng = np.random.default_rng(0)
    photo = gaussian_filter(rng.uniform(0, 255, (256, 256, 3)), (2, 2, 0)).astype(np.uint8)
    turned = face(yaw=yaw)
    found = make(256, 1)(turned, photo)
    assert np.isfinite(found.displacement).all()
    assert found.displacement.any() or "too little of the face" in found.warnings[0]
    assert flipped(DetailedFace(turned, found.mirrored())) == 0
    if yaw == 180:
        assert not found.displacement.any()


def test_the_photos_frame_is_left_before_relief_is_made() -> None:
    """A head leaning in the photo has its relief where an upright one has it."""
    for angle in (0.0, 40.0):
        crop = Crop((300.0, 300.0), 400.0, angle)
        one = posed_heads.face(posed_heads.uv_map(yaw=20), crop, (600, 600))
        skin = OnSkin.of(one)
        turned = skin.surface.vertices @ skin.turn[:2].T * skin.scale * (1, -1)
        off = turned - skin.places
        assert np.abs(off - off.mean(axis=0)).max() < 1.5  # pixels


def test_files_have_relief_in_all_ways(astronaut: Path, tmp_path: Path) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--texture", "256"]
    relief = ["--detail", "fused", "--geometry", "displaced", "--format", "glb,obj,ply", "--mirror"]
    done = CliRunner().invoke(app, [*arguments, *relief])
    assert done.exit_code == 0, done.output
    said = json.loads((tmp_path / "astronaut_pose.json").read_text())["detail"]
    assert said["kind"] == "fused" and said["made"] and said["geometry"] == "displaced"
    count = 4 * len(skin_mesh().face_mesh.triangles)
    for ending in ("glb", "obj", "ply"):
        assert len(trimesh.load(tmp_path / f"astronaut.{ending}", force="mesh").faces) == count
    with Image.open(tmp_path / "astronaut_displacement.png") as picture:
        assert picture.info["Displacement"] == meshes.DISPLACEMENT_TEXT
        mm = (np.asarray(picture).astype(float) / 65535 - 0.5) * meshes.DISPLACEMENT_SPAN
    np.testing.assert_allclose([mm.min(), mm.max()], said["range"], atol=2e-3)
    assert (tmp_path / "astronaut_displacement.exr").read_bytes()[:4] == b"\x76\x2f\x31\x01"
    assert (tmp_path / "astronaut_tangent_normal.png").exists()
    with Image.open(tmp_path / "astronaut_detail_source.png") as picture:
        assert (np.asarray(picture) == 128).any()


@pytest.mark.parametrize(
    "wrong", [["--detail", "wavy"], ["--geometry", "displaced"], ["--mirror"],
              ["--detail", "fused", "--detail-size", "300"]],
)  # fmt: skip
def test_a_wrong_word_is_one_line(wrong: list[str], astronaut: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["mesh", str(astronaut), "-o", str(tmp_path), *wrong])
    assert done.exit_code == 2 and len(done.output.splitlines()) == 1, done.output


def test_cutting_turns_no_triangle_of_a_fold_over() -> None:
    """A face with a crease so sharp that curves between its vertices' normals overshoot."""
    part = skin_mesh().face_mesh
    creased = part.mean.astype(np.float64).copy()
    marks = creased[part.landmarks[48:60]]
    near = np.linalg.norm(creased[:, None] - marks, axis=-1).min(axis=1) < 6
    creased[near] += np.random.default_rng(0).normal(0, 0.8, (near.sum(), 3))
    flat = np.repeat(face_normals(creased, part.triangles), 4, axis=0)
    curved = refined("face").curved(creased, vertex_normals(creased, part.triangles))
    turned = (flat * face_normals(curved, refined("face").triangles)).sum(-1) < 0
    assert turned.sum() > 10
    surface = smooth_surface("face", creased)
    assert not ((flat * face_normals(surface.vertices, surface.triangles)).sum(-1) < 0).any()
    away = np.abs(surface.vertices - curved).max(axis=1)
    assert (away > 0).mean() < 0.1  # elsewhere it is curved
