"""The command line on good inputs: what is written, printed and returned."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from facerelief import __version__, catalogue
from facerelief.apps.doctor import sphere
from facerelief.apps.normals import OUTPUTS
from facerelief.apps.photos import output_stems
from facerelief.cli import _asked, app
from facerelief.normal_png import decode_png, encode_png
from facerelief.types import Crop

pytestmark = pytest.mark.usefixtures("tiny_catalogue")


def facerelief(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def pair_photo(astronaut: Path, path: Path) -> Path:
    """Two faces side by side, the smaller one at the left."""
    with Image.open(astronaut) as image:
        photo = Image.new("RGB", (768, 512))
        photo.paste(image.resize((256, 256)), (0, 0))
        photo.paste(image, (256, 0))
    photo.save(path)
    return path


def test_normals_writes_every_file(astronaut: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = facerelief("normals", astronaut, "-o", out)
    assert result.exit_code == 0 and result.stderr == ""
    assert names(out) == {f"astronaut{ending}" for ending, _ in OUTPUTS.values()}
    assert "1 face in 1 photo" in result.stdout
    for ending, meaning in OUTPUTS.values():
        assert f"astronaut{ending}" in result.stdout and meaning in result.stdout


def test_terms_of_research_weights_are_said_once(
    astronaut: Path, tiny_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "weights"
    shutil.copytree(tiny_catalogue, other)
    content = json.loads((other / "catalogue.json").read_text())
    content["systems"]["tiny"] |= {"tier": "research", "licence": "for study only"}
    (other / "catalogue.json").write_text(json.dumps(content))
    monkeypatch.setattr(catalogue, "FOLDER", other)
    photos = pair_photo(astronaut, tmp_path / "pair.png"), astronaut
    result = facerelief("normals", *photos, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr == "tiny: for study only\n"


def test_what_the_files_hold(astronaut: Path, tmp_path: Path) -> None:
    facerelief("normals", astronaut, "-o", tmp_path)
    sidecar = json.loads((tmp_path / "astronaut.json").read_text())
    png = decode_png(tmp_path / "astronaut_normal.png")
    array = np.load(tmp_path / "astronaut_normal.npy")
    assert png.frame == sidecar["frame"]["name"] == "opengl" and png.bits == 8
    assert array.shape == (256, 256, 3) and array.dtype == np.float32
    assert (array[~png.mask] == 0).all()
    chord = np.linalg.norm(array - png.normals, axis=-1)[png.mask]
    assert np.degrees(chord.max()) < 0.6
    for name, size in {
        "shading.png": (7 * 256, 256), "overlay.jpg": (512, 512), "expected_error.png": (352, 256),
    }.items():  # fmt: skip
        with Image.open(tmp_path / f"astronaut_{name}") as image:
            assert image.size == size

    crop = sidecar["crop"]
    rebuilt = Crop(tuple(crop["centre"]), crop["side"], crop["angle"], crop["size"])
    np.testing.assert_allclose(rebuilt.matrix, crop["crop_to_photo"], atol=1e-3)
    assert sidecar["photo"] == {"path": str(astronaut), "width": 512, "height": 512}
    assert sidecar["model"]["name"] == "tiny" and sidecar["model"]["tier"] == "open"
    assert len(sidecar["model"]["sha256"]) == 64
    assert 0.5 < sidecar["score"] <= 1 and len(sidecar["box"]) == 4


def test_sixteen_bits(astronaut: Path, tmp_path: Path) -> None:
    facerelief("normals", astronaut, "-o", tmp_path, "--bits", 16)
    png = decode_png(tmp_path / "astronaut_normal.png")
    array = np.load(tmp_path / "astronaut_normal.npy")
    assert png.bits == 16
    assert np.degrees(np.linalg.norm(array - png.normals, axis=-1)[png.mask].max()) < 0.01


def test_only_what_is_asked_for(astronaut: Path, tmp_path: Path) -> None:
    facerelief("normals", astronaut, "-o", tmp_path, "--only", "npy,json")
    assert names(tmp_path) == {"astronaut_normal.npy", "astronaut.json"}


def test_several_faces_are_numbered_from_the_largest(astronaut: Path, tmp_path: Path) -> None:
    photo = pair_photo(astronaut, tmp_path / "pair.png")
    out = tmp_path / "out"
    assert "2 faces in 1 photo" in facerelief("normals", photo, "-o", out).stdout
    endings = [ending for key, (ending, _) in OUTPUTS.items() if key != "overlay"]
    expected = {f"pair_{index}{ending}" for index in (0, 1) for ending in endings}
    assert names(out) == expected | {"pair_overlay.jpg"}
    sides = [json.loads((out / f"pair_{i}.json").read_text())["crop"]["side"] for i in (0, 1)]
    assert sides[0] > 1.5 * sides[1]


def test_max_faces_keeps_the_largest_and_its_plain_name(astronaut: Path, tmp_path: Path) -> None:
    photo = pair_photo(astronaut, tmp_path / "pair.png")
    out = tmp_path / "out"
    facerelief("normals", photo, "-o", out, "--max-faces", 1, "--only", "json")
    assert names(out) == {"pair.json"}
    assert json.loads((out / "pair.json").read_text())["box"][0] > 256


def test_folder_glob_and_file_in_one_call(astronaut: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for path in (folder / "a.png", folder / "b.jpg", other / "c1.png", other / "c2.jpg"):
        path.parent.mkdir(exist_ok=True)
        Image.open(astronaut).save(path)
    (folder / "notes.txt").write_text("not a photo")
    out = tmp_path / "out"
    result = facerelief("normals", folder, f"{other}/*.png", astronaut, "-o", out, "--only", "json")
    assert result.exit_code == 0 and "4 faces in 4 photos" in result.stdout
    assert names(out) == {"a.json", "b.json", "c1.json", "astronaut.json"}


def test_json_lines_keep_the_order_and_name_the_failure(astronaut: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    photos = [tmp_path / f"{index}.png" for index in range(5)]
    for photo in photos:
        Image.open(astronaut).save(photo)
    inputs = [*photos[:3], missing, *photos[3:]]
    result = facerelief("normals", *inputs, "-o", tmp_path / "out", "--json", "--only", "npy")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [line["input"] for line in lines] == [str(path) for path in inputs]
    for line in lines:
        if line["input"] == str(missing):
            assert line["error"] == result.stderr.strip() and not line["faces"]
        else:
            assert line["error"] is None and len(line["faces"]) == 1
            assert all(Path(file).is_file() for file in line["files"])


@pytest.mark.parametrize(
    ("paths", "stems"),
    [
        (["a.jpg", "b.jpg"], ["a", "b"]),
        (["x/a.jpg", "y/a.jpg", "a.png"], ["a", "a-2", "a-3"]),
        (["A.jpg", "a.jpg"], ["A", "a-2"]),
        (["a.jpg", "a.png", "a-2.jpg"], ["a", "a-3", "a-2"]),
        (["a.jpg", "a_0.jpg"], ["a", "a_0-2"]),
        (["a_0.jpg", "b.jpg"], ["a_0", "b"]),
    ],
)
def test_stems_never_meet(paths: list[str], stems: list[str]) -> None:
    assert output_stems([Path(path) for path in paths]) == stems


def test_systems_lists_the_catalogue() -> None:
    text = facerelief("systems").stdout
    for part in ("tiny (default)", "any use", "nothing", "0.5 degrees"):
        assert part in text
    (entry,) = json.loads(facerelief("systems", "--json").stdout)
    assert entry["name"] == "tiny" and entry["tier"] == "open"


def test_doctor_finds_nothing_wrong() -> None:
    result = facerelief("doctor")
    assert result.exit_code == 0 and "FAIL" not in result.stdout
    for name in ("onnxruntime", "system", "CPUExecutionProvider", "depth"):
        assert name in result.stdout


def test_doctor_names_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing")
    result = facerelief("doctor", "--system", path, "--json")
    failed = [check for check in json.loads(result.stdout) if not check["ok"]]
    assert result.exit_code == 1 and [check["name"] for check in failed] == ["system"]
    assert "broken.onnx" in failed[0]["detail"]


@pytest.mark.parametrize("bits", [8, 16])
def test_convert_there_and_back(tmp_path: Path, bits: int) -> None:
    normals, mask = sphere(32)
    source, there, back = (tmp_path / f"{name}.png" for name in ("source", "there", "back"))
    source.write_bytes(encode_png(normals, mask, "opengl", bits))
    for frame in ("directx", "opencv"):
        assert facerelief("convert", source, "--to", frame, "-o", there).exit_code == 0
        assert facerelief("convert", there, "--to", "opengl", "-o", back).exit_code == 0
        turned, returned = decode_png(there), decode_png(back)
        assert turned.frame == frame and turned.bits == bits and returned.frame == "opengl"
        signs = {"directx": (1, -1, 1), "opencv": (1, -1, -1)}[frame]
        np.testing.assert_allclose(turned.normals[mask], normals[mask] * signs, atol=0.01)
        np.testing.assert_allclose(returned.normals[mask], normals[mask], atol=0.02)
        np.testing.assert_array_equal(returned.mask, mask)


def test_tangent_space_of_a_sphere_relative_to_itself_is_flat(tmp_path: Path) -> None:
    normals, mask = sphere(32)
    source, flat, back = (tmp_path / f"{name}.png" for name in ("source", "flat", "back"))
    source.write_bytes(encode_png(normals, mask, "opengl", 16))
    relative = ("--reference", source)
    assert facerelief("convert", source, "--to", "tangent", *relative, "-o", flat).exit_code == 0
    np.testing.assert_allclose(decode_png(flat).normals[mask], [[0, 0, 1]] * mask.sum(), atol=1e-3)
    assert facerelief("convert", flat, "--to", "opengl", *relative, "-o", back).exit_code == 0
    np.testing.assert_allclose(decode_png(back).normals[mask], normals[mask], atol=1e-3)


def test_tangent_space_without_reference_keeps_the_detail(tmp_path: Path) -> None:
    """A smooth slope goes, waves on it stay."""
    normals = np.zeros((128, 128, 3))
    normals[..., 0] = 0.5 + 0.1 * np.sin(np.arange(128) * 2 * np.pi / 8)
    normals[..., 2] = np.sqrt(1 - normals[..., 0] ** 2)
    source, out = tmp_path / "source.png", tmp_path / "out.png"
    source.write_bytes(encode_png(normals, np.ones((128, 128), bool), "opengl", 16))
    assert facerelief("convert", source, "--to", "tangent", "-o", out).exit_code == 0
    detail = decode_png(out).normals[48:80, 48:80, 0]
    assert abs(detail.mean()) < 0.02 and 0.09 < detail.max() < 0.14
    result = facerelief("convert", out, "--to", "opengl", "-o", source)
    assert result.exit_code == 2 and "--reference" in result.stderr


def test_convert_of_a_map_that_does_not_say_its_frame(tmp_path: Path) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out.png"
    Image.new("RGB", (8, 8), (128, 255, 128)).save(source)
    result = facerelief("convert", source, "--to", "opengl", "-o", out)
    assert result.exit_code == 2 and "--from" in result.stderr and not out.exists()
    call = ("convert", source, "--to", "opengl", "--from", "directx", "-o", out)
    assert facerelief(*call).exit_code == 0
    np.testing.assert_allclose(decode_png(out).normals[0, 0], (0, -1, 0), atol=0.01)


def test_a_command_is_made_alone_and_the_application_keeps_all() -> None:
    (own,) = _asked(["systems", "--json"]).registered_commands
    assert own.callback is not None and own.callback.__name__ == "systems"
    assert _asked([]) is _asked(["evaluate", "yaleb"]) is _asked(["--version"]) is app
    assert len(app.registered_commands) > 1 and app.registered_groups


def test_version() -> None:
    assert facerelief("--version").stdout.split() == ["facerelief", __version__]


@pytest.mark.parametrize("command", ["normals", "systems", "convert", "doctor"])
def test_help_has_an_example(command: str) -> None:
    result = facerelief(command, "--help")
    assert result.exit_code == 0 and f"Example: facerelief {command}" in result.stdout
