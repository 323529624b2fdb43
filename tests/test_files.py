"""Writing all or nothing."""

import errno
from pathlib import Path

import pytest

from facerelief.files import make_folder, write_files


def test_writes_every_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    contents = {tmp_path / name: name.encode() for name in ("a.png", "b.json")}
    write_files(contents)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old, and longer")
    write_files({tmp_path / "a": b"new"})
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_failure_halfway_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write = Path.write_bytes

    def full_after_two_bytes(path: Path, content: bytes) -> int:
        if "b" in path.name:
            write(path, content[:2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_after_two_bytes)
    with pytest.raises(OSError, match="No space left"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"12345"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_make_folder_makes_parents_and_leaves_it_empty(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_make_folder_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I was here first")
    with pytest.raises(OSError, match="exists"):
        make_folder(tmp_path / "out")
