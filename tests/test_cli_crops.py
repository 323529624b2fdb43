"""Crops without a search, the photo's frame, larger crops and the order of faces, by command."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import facerelief as fr
import posed_heads
from cli_lines import names, normals, one_line
from facerelief.apps.doctor import sphere
from facerelief.cli import app
from facerelief.geometry.normals import angular_error, encode
from facerelief.normal_png import decode_png

pytestmark = pytest.mark.usefixtures("tiny_catalogue")


def painted(path: Path, side: int = 256) -> Path:
    """A picture of a sphere in the colours of its normals: no search would find a face in it."""
    found, mask = sphere(side // 2)
    Image.fromarray(np.where(mask[..., None], encode(found), np.uint8(0))).save(path)
    return path


@pytest.fixture
def pair(astronaut: Path, tmp_path: Path) -> Path:
    """Two faces, the smaller one at the left."""
    photo = Image.new("RGB", (768, 512))
    with Image.open(astronaut) as image:
        photo.paste(image.resize((256, 256)), (0, 0))
        photo.paste(image, (256, 0))
    photo.save(tmp_path / "pair.png")
    return tmp_path / "pair.png"


def sidecar(path: Path) -> dict:
    return json.loads(path.read_text(), parse_constant=pytest.fail)  # NaN is no JSON


@pytest.mark.parametrize("side", [256, 100, 600])
def test_a_crop_is_taken_as_it_is(side: int, tmp_path: Path) -> None:
    path = painted(tmp_path / "a.png", side)
    assert normals(path, "-o", tmp_path / "o").exit_code == 1  # no face found
    result = normals("--crops", path, "-o", tmp_path / "out")
    assert result.exit_code == 0 and result.stderr == ""
    found = np.load(tmp_path / "out" / "a_normal.npy")
    expected, mask = sphere(128)
    error = angular_error(found, expected)[mask & (expected[..., 2] > 0.3)]
    assert error.mean() < (0.5 if side == 256 else 1.5)
    said = sidecar(tmp_path / "out" / "a.json")
    assert said["points"] is None and said["box"] == [0, 0, side, side]
    assert said["crop"]["side"] == side and said["crop"]["size"] == 256


def test_what_is_no_square_is_one_line_and_the_others_are_done(tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    folder.mkdir()
    painted(folder / "a.png")
    Image.new("RGB", (300, 200)).save(folder / "b.png")
    result = normals("--crops", folder, "-o", tmp_path / "out", "--only", "npy")
    assert result.exit_code == 1 and names(tmp_path / "out") == {"a_normal.npy"}
    one_line(result, r"b\.png: 300 x 200 pixels, but a crop is a square")


def test_meshes_of_crops(astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map())
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    call = ["mesh", "--crops", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*call, "--system", str(network), "--texture", "256"])
    assert result.exit_code == 0, result.output
    marks = np.array(sidecar(tmp_path / "out" / "a_landmarks.json")["points"])
    assert marks[:, :2].min() > 0 and marks[:, :2].max() < 300 and np.ptp(marks[:, 1]) > 100
    assert sidecar(tmp_path / "out" / "a_pose.json")["points"] is None


def test_all_faces_in_the_photos_frame(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = (pair, "-o", out, "--frame", "photo", "--only", "normal,exr,json", "--bits", 16)
    assert normals(*call).exit_code == 0
    files = {"pair_photo_normal.png", "pair_photo_normal.exr"}
    assert names(out) == files | {"pair_0.json", "pair_1.json"}
    png = decode_png(out / "pair_photo_normal.png")
    assert png.mask.shape == (512, 768) and png.bits == 16 and png.frame == "opengl"
    for number in (0, 1):
        said = sidecar(out / f"pair_{number}.json")
        x, y = np.array(said["crop"]["centre"]).astype(int)
        assert png.alpha[y, x] == 1 and set(said["files"]) == files
        assert "in the photo" in said["photo_frame"]["axes"]
    # The tiny system's normals are the photo's colours: they must lie where those are.
    colours = np.asarray(Image.open(pair)) / 127.5 - 1
    seen = png.alpha > 0.9
    assert seen.sum() > 5000 and np.median(angular_error(png.normals, colours)[seen]) < 6


def test_both_frames_and_what_was_there_before(astronaut: Path, pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert normals(astronaut, "-o", out, "--frame", "crop,photo", "--only", "normal,json").stdout
    both = {"astronaut_normal.png", "astronaut_photo_normal.png", "astronaut.json"}
    assert names(out) == both
    again = normals(out, astronaut, "-o", out, "--only", "json")  # our own are no photos
    assert again.exit_code == 0 and "left out: 2 pictures" in again.stderr
    pair.rename(tmp_path / "astronaut.png")
    result = normals(tmp_path / "astronaut.png", "-o", out, "--only", "json", "--max-faces", 1)
    assert result.exit_code == 0 and "of another photo" in result.stderr
    assert "astronaut_photo_normal.png" not in names(out) - both


def test_larger_crops(astronaut: Path, tmp_path: Path) -> None:
    sides = []
    for scale in ("1", "1.3"):
        normals(astronaut, "-o", tmp_path / scale, "--crop-scale", scale, "--only", "json")
        sides.append(sidecar(tmp_path / scale / "astronaut.json")["crop"]["side"])
    assert sides[1] == pytest.approx(1.3 * sides[0], rel=1e-3)
    usual, large = (fr.load("tiny")(astronaut, crop_scale=scale)[0].crop for scale in (1, 1.3))
    assert large.side == pytest.approx(1.3 * usual.side) and large.centre == usual.centre


def test_faces_from_left_to_right(pair: Path, tmp_path: Path) -> None:
    left = {}
    for order in ("size", "left"):
        normals(pair, "-o", tmp_path / order, "--order", order, "--only", "json")
        boxes = [sidecar(tmp_path / order / f"pair_{i}.json")["box"] for i in (0, 1)]
        left[order] = [box[0] for box in boxes]
    assert left["left"] == sorted(left["size"]) == left["size"][::-1]
    estimator = fr.load("tiny")
    assert [f.box[0] < 256 for f in estimator(pair, order="left")] == [True, False]
    assert estimator(pair, 1, order="left")[0].box[0] > 256  # the largest, still
    assert [place.box[0] < 256 for place in fr.find(pair, order="left")] == [True, False]
    with pytest.raises(ValueError, match="order is size or left, not right"):
        estimator(pair, order="right")


def test_faces_of_one_size_come_from_left_to_right(astronaut: Path) -> None:
    photo = np.tile(np.asarray(Image.open(astronaut)), (1, 3, 1))
    found = fr.find(photo)
    assert [place.box[0] // 512 for place in found] == [0, 1, 2]
    assert [place.box for place in fr.find(photo)] == [place.box for place in found]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--frame", "world"], "--frame knows crop, photo; not world"),
        (["--order", "right"], "--order is size or left, not right"),
        (["--crop-scale", "3"], "--crop-scale is 0.7 to 1.5, not 3"),
        (["--crop-scale", "nan"], "--crop-scale is 0.7 to 1.5, not nan"),
        (["--crops", "--crop-scale", "1.2"], "--crops are taken as they are"),
        (["--frame", "photo", "--only", "npy,json"], "--only npy has no file in --frame photo"),
    ],
)
def test_calls_that_make_no_sense(
    more: list[str], message: str, astronaut: Path, tmp_path: Path
) -> None:
    result: Result = normals(astronaut, "-o", tmp_path / "out", *more)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    one_line(result, message)


@pytest.mark.parametrize(("size", "pixels"), [("512", 512), ("native", 0), ("64", 64)])
def test_normals_come_in_any_size(size: str, pixels: int, astronaut: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = normals(astronaut, "-o", out, "--size", size)
    assert result.exit_code == 0, result.output
    found = decode_png(out / "astronaut_normal.png")
    side = json.loads((out / "astronaut.json").read_text())["crop"]
    assert side["size"] == len(found.normals)
    if size == "native":  # the photo's own pixels
        assert abs(side["size"] - side["side"]) <= 1
    else:
        assert side["size"] == pixels
    assert np.load(out / "astronaut_normal.npy").shape == (side["size"], side["size"], 3)
    shown = found.mask if found.alpha is None else found.alpha > 0
    assert np.allclose(np.linalg.norm(found.normals[shown], axis=-1), 1, atol=0.02)


@pytest.mark.parametrize("size", ["0", "63", "1537", "1e3", "-5", "large", "９９", ""])
def test_sizes_that_are_none(size: str, astronaut: Path, tmp_path: Path) -> None:
    result = normals(astronaut, "-o", tmp_path / "out", "--size", size)
    assert result.exit_code == 2
    one_line(result, "--size is 64 to 1536 pixels, or native")
    assert not (tmp_path / "out").exists()
