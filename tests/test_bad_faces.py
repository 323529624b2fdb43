"""Faces that a network cannot do much with: always a whole set of files, and a word of warning."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageFilter
from typer.testing import CliRunner

import posed_heads
from facerelief import find, load
from facerelief.cli import app
from facerelief.doubts import of_mask, sharpness
from facerelief.geometry import position
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.runtime import CROP_SIZE
from facerelief.types import Crop

CROP = Crop((128.0, 128.0), 256.0)


def made(photo: Image.Image, folder: Path, *more: str) -> dict:
    """What `facerelief mesh` says of a photo's face, after its files have been opened."""
    photo.save(folder / "face.png")
    arguments = ["mesh", str(folder / "face.png"), "-o", str(folder), "--format", "glb,obj,ply"]
    done = CliRunner().invoke(app, [*arguments, "--texture", "256", *more])
    assert done.exit_code == 0, done.output
    for ending in ("glb", "obj", "ply"):
        opened = trimesh.load(folder / f"face.{ending}", force="mesh", process=False)
        assert len(opened.vertices) == len(skin_mesh().face_mesh.source)
        assert np.isfinite(opened.vertices).all()
    marks = json.loads((folder / "face_landmarks.json").read_text())
    assert np.isfinite(marks["points"]).all()
    said: dict = json.loads((folder / "face_pose.json").read_text())
    return said


def test_a_good_portrait_has_no_warning(astronaut: Path, tmp_path: Path) -> None:
    said = made(Image.open(astronaut), tmp_path)
    assert said["warnings"] == [] and said["visible"] > 0.5


@pytest.mark.parametrize(
    ("spoil", "warning"),
    [
        (lambda p: p.resize((p.width // 4, p.height // 4)), "small"),
        (lambda p: p.filter(ImageFilter.GaussianBlur(4)), "blurred"),
    ],
    ids=["tiny", "blurred"],
)
def test_tiny_and_blurred_faces(spoil, warning: str, astronaut: Path, tmp_path: Path) -> None:
    said = made(spoil(Image.open(astronaut)), tmp_path)
    assert any(warning in text for text in said["warnings"])


def test_a_covered_face_is_less_visible(astronaut: Path, tmp_path: Path) -> None:
    photo = Image.open(astronaut).convert("RGB")
    (face,) = load("prnet")(astronaut)
    x0, y0, x1, y1 = map(int, face.box)
    photo.paste((90, 110, 90), (x0 - 20, (y0 + y1) // 2, x1 + 20, y1 + 20))  # below the eyes
    said = made(photo, tmp_path)
    assert said["visible"] < 0.75 * float(face.visible.mean())
    assert any("covered" in text for text in said["warnings"])


def test_a_profile_shows_one_side(astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=85))
    said = made(Image.open(astronaut), tmp_path, "--system", str(network))
    assert any("turned away by 85 degrees" in text for text in said["warnings"])
    assert said["visible"] < 0.55


def test_what_covers_the_face_is_not_visible() -> None:
    seen = np.ones((256, 256), np.float32)
    seen[:, 105:] = 0.1  # the subject's left, and some more
    skin = position.skin(posed_heads.uv_map(), seen)
    plain = position.skin(posed_heads.uv_map())
    left, right = skin_mesh().landmarks[[45, 36]]
    assert skin.covered[left] and not skin.covered[right]
    assert plain.visible[left] and not skin.visible[left] and skin.visible[right]
    assert np.array_equal(skin.visible, plain.visible & ~skin.covered)
    assert "% of the face is covered" in posed_heads.shape(skin, CROP).warnings[0]
    assert posed_heads.shape(plain, CROP).warnings == ()


def test_normals_have_warnings_too(astronaut: Path, tmp_path: Path) -> None:
    photo = Image.open(astronaut).convert("RGB")
    place = find(photo)
    (good,) = load()(photo)
    assert good.warnings == ()
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    (face,) = load().estimate(noise, place)
    assert any("noise" in text for text in face.warnings)
    (face,) = load().estimate(np.full_like(noise, 90), place)
    assert any("blurred" in text for text in face.warnings)
    assert list(of_mask(np.zeros((256, 256), bool))) == [
        "hardly any face is seen, on 0.0 % of the crop"
    ]


def test_sharpness_does_not_depend_on_light(astronaut: Path) -> None:
    photo = Image.open(astronaut).convert("RGB").resize((CROP_SIZE, CROP_SIZE))
    dark = np.asarray(photo) // 3
    assert sharpness(dark) == pytest.approx(sharpness(np.asarray(photo)), rel=0.1)
    soft = np.asarray(photo.filter(ImageFilter.GaussianBlur(3)))
    assert sharpness(soft) < 0.5 * sharpness(np.asarray(photo))
    assert sharpness(np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)) == 0
