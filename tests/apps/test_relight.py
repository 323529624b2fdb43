"""`facerelief relight`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from typer.testing import CliRunner

from facerelief.cli import app
from facerelief.encode import is_marked
from facerelief.images import load_photo


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["relight", *map(str, arguments)])
    return done.exit_code, done.output


def test_a_light_and_again_into_the_same_folder(astronaut: Path, tmp_path: Path) -> None:
    for light in ("60,20", "-60,20"):
        code, said = run(astronaut, "--light", light, "-o", tmp_path)
        assert code == 0 and "astronaut_relit.png" in said
    found, photo = load_photo(tmp_path / "astronaut_relit.png"), load_photo(astronaut)
    assert found.shape == photo.shape and np.array_equal(found[300:], photo[300:])
    sidecar = json.loads((tmp_path / "astronaut_relit.json").read_text())
    assert sidecar["light"] == {"azimuth": -60.0, "elevation": 20.0}
    assert sidecar["files"] == ["astronaut_relit.png"]
    assert len(sidecar["faces"][0]["own_light"]["azimuth"]) >= 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "astronaut_relit.json",
        "astronaut_relit.png",
    ]


def test_all_faces_of_a_photo(astronaut: Path, tmp_path: Path) -> None:
    photo = load_photo(astronaut)[:300, 100:400]
    both = np.hstack([photo, photo[:, ::-1]])
    Image.fromarray(both).save(tmp_path / "two.png")
    assert run(tmp_path / "two.png", "--light", "70,0", "-o", tmp_path / "out")[0] == 0
    found = load_photo(tmp_path / "out" / "two_relit.png").astype(int)
    change = np.abs(found - both).mean(axis=-1)
    assert change[100:160, 90:160].mean() > 10 and change[100:160, 440:510].mean() > 10
    assert change[:, 260:340].max() == 0
    assert len(json.loads((tmp_path / "out" / "two_relit.json").read_text())["faces"]) == 2


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_profiles_stay_and_our_pictures_are_known(
    astronaut: Path, tmp_path: Path, suffix: str
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes() * 5
    source = tmp_path / f"me.{suffix}"
    with Image.open(astronaut) as image:
        exif = Image.Exif()
        exif[270] = "x" * 2000
        image.save(source, icc_profile=profile, exif=exif)
    out = tmp_path / "out"
    for _ in range(2):
        assert run(source, "--light", "40,0", "--format", suffix, "-o", out)[0] == 0
    with Image.open(out / f"me_relit.{suffix}") as image:
        assert image.info["icc_profile"] == profile and image.getexif()[270] == "x" * 2000
    assert is_marked(out / f"me_relit.{suffix}")


def test_a_light_that_goes_round(astronaut: Path, tmp_path: Path) -> None:
    assert run(astronaut, "--spin", "-o", tmp_path)[0] == 0
    with Image.open(tmp_path / "astronaut_spin.gif") as gif:
        assert gif.n_frames == 24 and gif.info["loop"] == 0
    with Image.open(tmp_path / "astronaut_spin.jpg") as sheet:
        assert sheet.width * 3 > sheet.height * 3
    assert (tmp_path / "astronaut_spin.json").exists()


def test_an_environment_and_another_photos_light(astronaut: Path, tmp_path: Path) -> None:
    sky = np.zeros((32, 64, 3), np.float32)
    sky[:, 40:56] = 1
    np.save(tmp_path / "sky.npy", sky)
    out = tmp_path / "out"
    assert run(astronaut, "--environment", tmp_path / "sky.npy", "-o", out)[0] == 0
    first = load_photo(out / "astronaut_relit.png").astype(int)
    assert run(astronaut, "--environment", tmp_path / "sky.npy", "--turn", 180, "-o", out)[0] == 0
    second = load_photo(out / "astronaut_relit.png").astype(int)
    change = (first - second).mean(axis=-1)
    face = slice(100, 160)
    assert change[face, 245:260].mean() > 20 and change[face, 190:205].mean() < -20
    assert run(astronaut, "--like", astronaut, "--keep", 0, "-o", out)[0] == 0
    same = load_photo(out / "astronaut_relit.png").astype(int)
    assert np.abs(same - load_photo(astronaut)).mean() < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of --light"),
        (("--light", "10,10", "--spin"), "one of --light"),
        (("--light", "10"), "--light is AZIMUTH,ELEVATION"),
        (("--light", "nan,10"), "azimuth is -180 to 180"),
        (("--light", "10,91"), "elevation -90 to 90"),
        (("--light", "10,10", "--strength", "inf"), "are numbers"),
        (("--environment", "sky.hdr", "--turn", "nan"), "are numbers"),
        (("--light", "10,10", "--format", "gif"), "--format is"),
        (("--light", "10,10", "--keep", "2"), "--keep"),
    ],
)
def test_wrong_calls(
    arguments: tuple[str, ...], said: str, astronaut: Path, tmp_path: Path
) -> None:
    code, output = run(astronaut, *arguments, "-o", tmp_path / "out")
    assert code == 2 and said in output
    assert not list(tmp_path.rglob("*_relit*"))


def test_bad_environments_and_photos_are_one_line(astronaut: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "sky.npy", np.full((8, 16, 3), np.nan, np.float32))
    out = tmp_path / "out"
    code, said = run(astronaut, "--environment", tmp_path / "sky.npy", "-o", out)
    assert code == 1 and "sky.npy: 384 values are no numbers" in said
    code, said = run(astronaut, "--like", tmp_path / "none.jpg", "-o", out)
    assert code == 1 and "none.jpg" in said
    Image.new("RGB", (300, 300), "grey").save(tmp_path / "grey.png")
    code, said = run(tmp_path / "grey.png", "--light", "0,0", "-o", out)
    assert code == 1 and "no face found" in said
    assert not list(out.iterdir())
