"""`facerelief depth`: the astronaut, and the depth that a sensor would have measured of her."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import facerelief as fr
from cli_lines import names, one_line
from facerelief.cli import app
from facerelief.depth_files import read_depth
from facerelief.geometry.integrate import normals_to_depth
from facerelief.geometry.normals import angular_error
from facerelief.normal_png import decode_png

AWAY, FOCAL = 600.0, 600.0


@pytest.fixture(scope="module")
def face(astronaut):
    (found, *_) = fr.load("default")(astronaut)
    return found


@pytest.fixture(scope="module")
def distance(face):
    """(512, 512) mm of the astronaut's face before a wall, without noise."""
    pixel = AWAY / FOCAL * face.crop.scale
    relief = normals_to_depth(face.normals, face.mask, pixel_size=pixel)
    over, mask = face.crop.paste(np.nan_to_num(AWAY - relief), face.mask, face.photo_size)
    return np.where(mask, over, 1500.0)


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "intrinsics.txt"
    np.savetxt(path, [[FOCAL, 0, 255.5], [0, FOCAL, 255.5], [0, 0, 1]])
    return path


def run(astronaut, depth, camera, out, *more):
    call = ["depth", astronaut, depth, "--camera", camera, "-o", out, "--system", "default", *more]
    return CliRunner().invoke(app, [str(part) for part in call])


def sensor(distance, path, seed=0):
    """Noise of 2 mm and holes, as PNG in mm."""
    random = np.random.default_rng(seed)
    seen = distance + random.normal(0, 2, distance.shape)
    seen[random.random(seen.shape) < 0.05] = 0
    Image.fromarray(seen.astype(np.uint16)).save(path)
    return path


def test_what_is_written(astronaut, distance, face, camera, tmp_path) -> None:
    depth = sensor(distance, tmp_path / "d.png")
    out = tmp_path / "out"
    result = run(astronaut, depth, camera, out, "--format", "glb,ply", "--json", "--bits", "16")
    assert result.exit_code == 0, result.output
    stem = "astronaut_depth"
    wanted = {f"{stem}.{kind}" for kind in ("png", "json", "glb", "ply")} | {f"{stem}_normal.png"}
    assert names(out) == wanted
    told = json.loads(result.stdout)["faces"][0]
    assert told["registration"]["by"] == "calibration"
    assert told["depth"]["distance_mm"] == pytest.approx(AWAY, abs=25)
    made, normals = read_depth(out / f"{stem}.png"), decode_png(out / f"{stem}_normal.png")
    assert made.distance.shape == (512, 512)
    inside = np.isfinite(made.distance)
    assert 0.9 < inside.sum() / (distance < 1000).sum() < 1.1
    assert np.median(np.abs(made.distance - distance)[inside]) < 1
    truth, known = face.normals_in_photo()
    both = known & normals.mask
    assert np.nanmean(angular_error(normals.normals, truth)[both]) < 6.5  # noise alone: 50
    assert run(astronaut, depth, camera, out, "--format", "glb,ply").exit_code == 0  # over its own
    assert names(out) == wanted


@pytest.mark.parametrize("kind", ["npy", "exr"])
def test_the_kind_of_file_is_kept(kind, astronaut, distance, camera, tmp_path) -> None:
    from facerelief.exr import to_exr

    depth = tmp_path / f"d.{kind}"
    if kind == "npy":
        np.save(depth, (distance / 1000).astype(np.float32))
    else:
        depth.write_bytes(to_exr([distance[..., None] / 1000], distance.shape, "Z", whole=True))
    for _ in range(2):
        assert run(astronaut, depth, camera, tmp_path / "out").exit_code == 0
    made = read_depth(tmp_path / "out" / f"astronaut_depth.{kind}")
    inside = np.isfinite(made.distance)
    assert np.median(np.abs(made.distance - distance)[inside]) < 1


def test_depth_that_lies_beside_is_moved_to_the_face(astronaut, distance, camera, tmp_path) -> None:
    moved = np.roll(distance, (-9, 21), (0, 1))
    depth = sensor(moved, tmp_path / "d.png")
    result = run(astronaut, depth, camera, tmp_path / "out", "--register", "face")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "out" / "astronaut_depth.json").read_text())["registration"]
    shift = np.array(told["depth_to_photo"])[:, 3] * FOCAL / AWAY
    np.testing.assert_allclose(shift, (-21, -9, 0), atol=1)
    assert told["agreement"] > 0.95


def test_depth_of_half_the_size_serves(astronaut, distance, camera, tmp_path) -> None:
    np.savetxt(camera, [[FOCAL / 2, 0, 127.5], [0, FOCAL / 2, 127.5], [0, 0, 1]])
    depth = sensor(distance[::2, ::2], tmp_path / "d.png")
    assert run(astronaut, depth, camera, tmp_path / "out").exit_code == 0
    made = read_depth(tmp_path / "out" / "astronaut_depth.png").distance
    assert made.shape == (512, 512)
    assert np.nanmedian(np.abs(made - distance)) < 2


@pytest.mark.parametrize(
    "spoil,more,reason",
    [
        (lambda d: 0 * d, (), "nothing but holes"),
        (lambda d: np.where(d < 1000, 0, d), (), "the face would be|no depth where"),
        (lambda d: np.full_like(d, 600.0), ("--register", "face"), "no face where"),
        (lambda d: np.full_like(d, 600.0), (), "no face where"),
        (lambda d: d[:400], (), "does not lie over"),
        (lambda d: 10 * d, (), r"5\.9. m away, not 0\.2 to 3 m"),
        (lambda d: d, ("--unit", "m"), r"59\d m away.*--unit mm"),
        (lambda d: d / 3, ("--unit", "cm"), "cm wide.*intrinsics or unit"),
    ],
)
def test_bad_depth_is_one_line(spoil, more, reason, astronaut, distance, camera, tmp_path) -> None:
    depth = tmp_path / "d.png"
    Image.fromarray(spoil(distance).clip(0, 65535).astype(np.uint16)).save(depth)
    result = run(astronaut, depth, camera, tmp_path / "out", *more)
    assert result.exit_code == 1
    one_line(result, reason)
    assert not (tmp_path / "out").exists() or not names(tmp_path / "out")


def test_bad_calls_are_usage(astronaut, camera, tmp_path) -> None:
    depth = tmp_path / "d.png"
    for more in (["--unit", "feet"], ["--register", "luck"], ["--format", "stl"], ["--bits", "4"]):
        result = run(astronaut, depth, camera, tmp_path / "out", *more)
        assert result.exit_code == 2
        one_line(result)


def test_an_input_is_never_written_over(astronaut, distance, camera, tmp_path) -> None:
    depth = sensor(distance, tmp_path / "astronaut_depth.png")
    before = depth.read_bytes()
    result = run(astronaut, depth, camera, tmp_path)
    assert result.exit_code == 1 and depth.read_bytes() == before
    one_line(result, "is an input")


def test_a_photo_without_a_face_is_one_line(distance, camera, tmp_path) -> None:
    Image.new("RGB", (512, 512), (90, 90, 90)).save(tmp_path / "wall.png")
    depth = sensor(distance, tmp_path / "d.png")
    result = run(tmp_path / "wall.png", depth, camera, tmp_path / "out")
    assert result.exit_code == 1
    one_line(result, "no face found")
