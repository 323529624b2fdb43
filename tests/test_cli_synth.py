"""`facerelief synth`: what it writes, how it goes on, how it fails."""

import hashlib
import json
import re
import subprocess
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import rendered_spheres
from facerelief.cli import app
from facerelief.samples.files import FILES, to_files
from facerelief.samples.shards import ShardReader, TarShards
from facerelief.synth import produce
from facerelief.synth.assets import CATALOGUE
from facerelief.synth.produce import produce as with_processes
from rendered_spheres import Fails, sphere


def synth(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["synth", *(str(argument) for argument in arguments)])


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def in_this_process(make, indices, workers, files=FILES):
    """What `produce` does, without processes: tests/synth/test_produce.py has those."""
    draw = make()
    for index in indices:
        yield to_files(draw(index), files)


@pytest.fixture
def spheres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balls instead of heads, a few a shard, and no assets."""
    monkeypatch.setattr(produce, "random_heads", rendered_spheres.random_heads)
    monkeypatch.setattr(produce, "produce", in_this_process)
    monkeypatch.setattr(TarShards.__init__, "__defaults__", (4,))
    monkeypatch.delenv("FACERELIEF_DATA", raising=False)


@pytest.mark.usefixtures("spheres")
def test_heads_are_written_and_counted(tmp_path: Path) -> None:
    out, sheet = tmp_path / "a" / "heads", tmp_path / "sheet.png"
    call = ("-n", 6, "--seed", 2, "--size", 48, "-o", out, "--sheet", sheet, "--workers", 2)
    result = synth(*call)
    assert result.exit_code == 0, result.output
    assert "6 heads made" in result.stdout and "sheet.png shows 6" in result.stdout
    assert "done without: skins, environments" in result.stderr
    names = {"heads-000000.tar", "heads-000001.tar", "synth.json"}
    assert {path.name for path in out.iterdir()} == names
    reader = ShardReader(out)
    assert len(reader) == 6
    np.testing.assert_array_equal(reader[4].photo, sphere(2004, 48).photo)
    with Image.open(sheet) as picture:
        assert picture.size == (6 * 132 - 4, 256)
    settings = json.loads((out / "synth.json").read_text())
    assert settings["seed"] == 2 and settings["size"] == 48 and settings["assets"] == []


@pytest.mark.usefixtures("spheres")
def test_the_same_call_gives_the_same_bytes_in_any_number_of_steps(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert synth("-n", 10, "--size", 48, "-o", one, "--workers", 1).exit_code == 0
    for number in (3, 10):
        result = synth("-n", number, "--size", 48, "-o", two, "--workers", 2, "--json")
        assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["heads"], summary["made"], summary["folder"]) == (10, 10, str(two))
    assert set(summary["assets_missing"]) == {asset.name for asset in CATALOGUE}
    assert digests(one) == digests(two)
    result = synth("-n", 10, "--size", 48, "-o", two)
    assert result.exit_code == 0 and "0 heads made, 10 were there" in result.stdout
    other = tmp_path / "other"
    assert synth("-n", 10, "--size", 48, "--seed", 1, "-o", other).exit_code == 0
    assert digests(other).keys() == digests(one).keys()
    assert not set(digests(other).values()) & set(digests(one).values())


@pytest.mark.usefixtures("spheres")
def test_folders_and_few_files(tmp_path: Path) -> None:
    call = ("-n", 2, "--size", 48, "--format", "folder", "--only", "photo,normals,mask,occluder")
    assert synth(*call, "-o", tmp_path).exit_code == 0
    assert {path.name for path in (tmp_path / "000000001").iterdir()} == {
        "photo.png",
        "normals.png",
        "mask.png",
        "occluder.png",
        "json",
    }
    np.testing.assert_array_equal(ShardReader(tmp_path).training(1).photo, sphere(1, 48).photo)


@pytest.mark.usefixtures("spheres")
def test_a_sheet_alone_needs_no_folder(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert synth("-n", 3, "--size", 48, "--sheet", sheet).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.png"}


@pytest.mark.usefixtures("spheres")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("--seed", 1), "seed"),
        (("--size", 64), "size"),
        (("--yaw", 20), "pose"),
        (("--format", "folder"), "format"),
        (("--no-shadows",), "shadows"),
        (("--only", "photo"), "files"),
    ],
)
def test_other_heads_do_not_join_a_folder(change: tuple, named: str, tmp_path: Path) -> None:
    assert synth("-n", 1, "--size", 48, "-o", tmp_path).exit_code == 0
    before = digests(tmp_path)
    options = {"-n": 2, "--size": 48}
    if len(change) == 2:
        options |= dict([change])
    flags = change if len(change) == 1 else ()
    result = synth(*(part for pair in options.items() for part in pair), *flags, "-o", tmp_path)
    assert result.exit_code == 2 and digests(tmp_path) == before
    assert f"heads made with another {named} (see" in result.stderr


def test_a_damaged_list_of_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "synth.json").write_text("{")
    result = synth("-n", 1, "-o", tmp_path)
    assert result.exit_code == 2 and re.search(r"synth\.json: damaged", result.stderr)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--seed", "one"), "--seed is a whole number, not 'one'"),
        (("--seed", "1.5"), "--seed is a whole number"),
        (("--seed", "-1"), "--seed is 0 to .*not -1"),
        (("-n", "0"), "-n is 1 to .*not 0"),
        (("-n", "2e3"), "-n is a whole number"),
        (("--yaw", "400"), "yaw must be 0 to 90 degrees, got 400"),
        (("--pitch", "-3"), "pitch must be 0 to"),
        (("--roll", "181"), "roll must be 0 to 180"),
        (("--focal", "200", "24"), "focal lengths must be"),
        (("--size", "3"), "size must be 32 to 2048 pixels, got 3"),
        (("--size", "100000"), "size must be .* got 100000"),
        (("--margin", "nan"), "margin must be"),
        (("--scanned", "1.2"), "scanned must be 0 to 1"),
        (("--format", "zip"), "--format is webdataset or folder, not zip"),
        (("--renderer", "blender"), "--renderer is torch or mitsuba, not blender"),
        (("--only", "photo,colour"), "--only knows photo, normals.*not colour"),
        (("--sheet", "a.png", "--only", "photo"), "leave out --only"),
        (("--assets", "/no/such/folder"), "--assets names /no/such/folder, which is no folder"),
    ],
)
def test_wrong_calls_are_one_line(arguments: tuple[str, ...], part: str, tmp_path: Path) -> None:
    result = synth("-n", "1", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1 and re.search(part, result.stderr), result.stderr
    assert not (tmp_path / "out").exists()


def test_an_asset_folder_without_assets_names_what_it_looked_for(tmp_path: Path) -> None:
    result = synth("-n", 1, "-o", tmp_path / "out", "--assets", tmp_path)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "makehuman/base/skins" in result.stderr and "--assets-help" in result.stderr


def test_nothing_to_write(tmp_path: Path) -> None:
    result = synth("-n", 1)
    assert result.exit_code == 2 and "-o" in result.stderr and result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I was here first")
    result = synth("-n", 1, "-o", tmp_path / "file")
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].endswith("File exists")


def test_assets_help_says_where_everything_is(tmp_path: Path) -> None:
    (tmp_path / "hdri").mkdir()
    (tmp_path / "hdri" / "a.exr").touch()
    result = synth("--assets-help", "--assets", tmp_path)
    assert result.exit_code == 0
    for asset in CATALOGUE:
        for text in (asset.name, asset.adds, asset.licence, asset.published, asset.path):
            assert text in result.stdout
    assert "hair (missing)" in result.stdout and "environments\n" in result.stdout
    rows = json.loads(synth("--assets-help", "--assets", tmp_path, "--json").stdout)
    assert [row["name"] for row in rows if row["found"]] == ["environments"]


@pytest.mark.usefixtures("spheres")
@pytest.mark.parametrize("kill", [False, True])
def test_a_worker_that_fails_costs_its_shard_only(
    kill: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    draw = partial(partial, Fails(5, tmp_path / "marker", kill))
    monkeypatch.setattr(produce, "produce", lambda _, *rest: with_processes(draw, *rest))
    result = synth("-n", 8, "-o", out, "--workers", 1)
    assert result.exit_code == 1 and "memory" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("the same command goes on from there")
    assert {path.name for path in out.iterdir()} == {"synth.json", "heads-000000.tar"}
    assert synth("-n", 8, "-o", out, "--workers", 1).exit_code == 0
    assert len(ShardReader(out)) == 8


@pytest.mark.usefixtures("spheres")
def test_a_full_disk_is_one_line_and_goes_on_with_room(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        call = ("-n", 16, "--size", 48, "-o", tmp_path, "--workers", 1)
        result = synth(*call)
        assert result.exit_code == 1
        assert re.search(r"No space left on device.*the same command goes on", result.stderr)
        done = digests(tmp_path)
        assert "heads-000000.tar" in done and not any(name.endswith(".tmp") for name in done)
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path], check=True)
        assert synth(*call).exit_code == 0
        assert len(ShardReader(tmp_path)) == 16
        assert done.items() <= digests(tmp_path).items()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.mark.usefixtures("spheres")
def test_an_interrupted_run_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments):
        yield from islice(in_this_process(*arguments), 6)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(produce, "produce", interrupted)
        result = synth("-n", 12, "--size", 48, "-o", tmp_path)
    assert result.exit_code == 130
    assert re.search(r"interrupted.*the same command goes on from there\n$", result.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {"synth.json", "heads-000000.tar"}
    result = synth("-n", 12, "--size", 48, "-o", tmp_path)
    assert result.exit_code == 0 and "8 heads made, 4 were there" in result.stdout
    np.testing.assert_array_equal(ShardReader(tmp_path)[11].photo, sphere(11, 48).photo)


def test_heads_without_any_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's first call: real heads, real processes."""
    monkeypatch.delenv("FACERELIEF_DATA", raising=False)
    monkeypatch.setenv("FACERELIEF_CACHE", str(tmp_path / "cache"))
    result = synth("-n", 2, "--size", 64, "-o", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 0, result.output
    first, second = ShardReader(tmp_path / "out")
    assert not np.array_equal(first.photo, second.photo)
    for head in (first, second):
        assert head.photo.shape == (64, 64, 3) and (head.mask | head.occluder).mean() > 0.2
        length = np.linalg.norm(head.normals, axis=-1)
        np.testing.assert_allclose(length[head.mask], 1, atol=1e-4)
        assert head.normals[head.mask][:, 2].mean() > 0.3
        assert head.landmarks.shape == (68, 2) and np.isfinite(head.landmarks).all()
