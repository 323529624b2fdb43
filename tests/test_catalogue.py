"""The catalogue: names, checksums, and what it says of files outside it."""

import hashlib
import json
from pathlib import Path

import pytest

import facerelief
from facerelief import catalogue, cli


def test_default_is_an_alias(tiny_catalogue: Path) -> None:
    assert catalogue.find("default") == catalogue.find("tiny")
    assert catalogue.default() == "tiny"
    assert facerelief.systems() == ["tiny"]


def test_entry_has_every_field_of_the_file(tiny_catalogue: Path) -> None:
    fields = json.loads((tiny_catalogue / "catalogue.json").read_text())["systems"]["tiny"]
    entry = catalogue.find("tiny")
    assert entry.path == tiny_catalogue / fields["file"]
    assert entry.training_data == tuple(fields["training_data"])
    for name in ("system", "preset", "sha256", "tier", "licence", "accuracy"):
        assert getattr(entry, name) == fields[name]


def test_unknown_name_lists_the_known_ones(tiny_catalogue: Path) -> None:
    with pytest.raises(facerelief.UnknownSystemError, match=r"'casfme'.*default, tiny"):
        catalogue.find("casfme")


def test_read_returns_only_the_published_bytes(tiny_catalogue: Path) -> None:
    entry = catalogue.find("tiny")
    assert hashlib.sha256(entry.read()).hexdigest() == entry.sha256


def test_shipped_catalogue_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shipped file is there, unaltered, with a tier that its training data allow."""
    entries = [*catalogue.entries(), *catalogue.details()]
    assert catalogue.default() in [entry.name for entry in entries]
    assert catalogue.find("default").tier == "open"  # what everybody gets, anybody may use
    for entry in entries:
        entry.read()
        assert entry.tier in ("open", "research")
        assert entry.training_data and entry.licence
        if any("Yale" in source for source in entry.training_data):
            assert entry.tier == "research"
    files = {path.name for path in catalogue.FOLDER.glob("*.onnx")}
    assert files == {entry.path.name for entry in entries}


@pytest.mark.parametrize("name", ["albedo.npz", "head.npz", "landmark_schemes.npz"])
@pytest.mark.parametrize("change", ["flipped", "cut", "gone"])
def test_damaged_data_of_the_package_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: str
) -> None:
    content = bytearray((catalogue.FOLDER / name).read_bytes())
    assert catalogue.read_arrays(name)
    (tmp_path / "sums.json").write_bytes((catalogue.FOLDER / "sums.json").read_bytes())
    content[len(content) // 2] ^= 1
    if change != "gone":
        (tmp_path / name).write_bytes(content if change == "flipped" else content[:1000])
    monkeypatch.setattr(catalogue, "_PACKAGE", tmp_path)
    with pytest.raises(facerelief.WeightsError, match=name) as raised:
        catalogue.read_arrays(name)
    assert "\n" not in str(raised.value)


def test_a_damaged_package_is_one_line_of_any_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise facerelief.WeightsError("head.npz: altered or damaged")

    monkeypatch.setattr(cli, "_asked", lambda arguments: fail)
    with pytest.raises(SystemExit) as raised:
        cli.main()
    assert raised.value.code == 1
    assert capsys.readouterr().err == "facerelief: head.npz: altered or damaged\n"
