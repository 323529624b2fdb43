"""Another skin on a face."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import posed_heads
from facerelief.apps.swap import swap, with_texture
from facerelief.cli import app
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Face

CROP = Crop((150.0, 140.0), 256.0)
SIZE = (280, 300)


def face(**pose: float) -> Face:
    return posed_heads.face(posed_heads.uv_map(**pose), CROP, SIZE)


def stripes(step: int) -> np.ndarray:
    """(280, 300, 3) grey stripes across."""
    rows = np.where(np.arange(SIZE[0]) // step % 2, 150, 90)
    return np.repeat(rows.astype(np.uint8)[:, None, None], SIZE[1], 1).repeat(3, 2)


def test_a_face_gets_its_own_skin_back() -> None:
    photo, one = stripes(8), face()
    found = swap(photo, one, photo, one)
    inside = one.skin.mask
    change = np.abs(CROP.extract(found).astype(int) - CROP.extract(photo))[..., 0]
    assert found.shape == photo.shape and found.dtype == np.uint8
    assert change[inside].mean() < 6 and change[~inside].mean() < 1


def test_detail_is_the_others_and_what_lies_round_it_stays() -> None:
    plain, one, other = np.full((*SIZE, 3), 120, np.uint8), face(), face(yaw=15)
    found = swap(plain, one, stripes(6), other)
    nose, below = skin_mesh().landmarks[[27, 33]]
    x, top = one.skin.points[nose, :2]
    bottom = one.skin.points[below, 1]
    line = CROP.extract(found)[int(top) : int(bottom), int(x), 0].astype(int)
    assert np.ptp(line) > 25  # striped now
    assert abs(line.mean() - 120) < 15  # as bright as before
    assert np.array_equal(found[:20], plain[:20])


def test_any_texture_can_be_put_on() -> None:
    plain = np.full((*SIZE, 3), 120, np.uint8)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    found = CROP.extract(with_texture(plain, face(), red, relight=False))
    x, y = face().skin.points[skin_mesh().landmarks[30], :2].astype(int)
    assert np.abs(found[y, x].astype(int) - (200, 0, 0)).max() <= 2


def test_faces_without_a_shape() -> None:
    photo = stripes(8)
    flat = posed_heads.face(np.zeros((256, 256, 3), np.float32), CROP, SIZE)
    for pair in ((flat, face()), (face(), flat)):
        with pytest.raises(ValueError, match="no shape"):
            swap(photo, pair[0], photo, pair[1])


def test_the_command(astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map())
    Image.open(astronaut).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    out = tmp_path / "swapped.png"
    arguments = ["swap", str(astronaut), str(tmp_path / "b.png"), "--system", str(network)]
    done = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert done.exit_code == 0, done.output
    made, before = np.asarray(Image.open(out)), np.asarray(Image.open(astronaut))
    assert made.shape == before.shape and 0.005 < (made != before).mean() < 0.5
    wrong = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "a.xyz")])
    assert wrong.exit_code == 2 and "Traceback" not in wrong.output
    Image.new("RGB", (64, 64)).save(tmp_path / "empty.png")
    arguments[2] = str(tmp_path / "empty.png")
    nobody = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert nobody.exit_code == 1 and "empty.png: no face found" in nobody.output
