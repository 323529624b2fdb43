"""The catalogue: names, checksums, and what it says of files outside it."""

import hashlib
import json
from pathlib import Path

import pytest

import facerelief
from facerelief import catalogue


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
    entries = catalogue.entries()
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
