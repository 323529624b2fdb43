"""Writing all or nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facerelief.files import (
    check_not_among,
    identities,
    make_folder,
    temporary_path,
    write_files,
)


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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_in_the_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "c").mkdir()
    with pytest.raises(OSError, match="c is a folder"):
        write_files({tmp_path / name: b"new" for name in "abc"})
    assert contents(tmp_path) == {"a": b"old"}


def test_no_device_is_replaced() -> None:
    with pytest.raises(OSError, match="no ordinary file"):
        write_files({Path("/dev/null"): b"new"})


@pytest.mark.parametrize("stop", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_cannot_be_taken_brings_the_old_files_back(
    links: bool, stop: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abx":
        (tmp_path / name).write_bytes(b"old " + name.encode())
    before, replace = contents(tmp_path), os.replace

    def stops_at_c(source: Path, target: Path) -> None:
        if target.name == "c":
            raise stop
        replace(source, target)

    def no_links(*paths: Path) -> None:
        raise OSError(errno.EPERM, "a file system without links")

    monkeypatch.setattr(os, "replace", stops_at_c)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(type(stop)):
        write_files({tmp_path / name: b"new" for name in "adbc"}, without=[tmp_path / "x"])
    assert contents(tmp_path) == before


def test_files_give_way_to_others_together(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"old")
    write_files({tmp_path / "b": b"new"}, without=[tmp_path / "a", tmp_path / "never"])
    assert contents(tmp_path) == {"b": b"new"}


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    left = temporary_path(tmp_path / "a b.png").name.replace(str(os.getpid()), dead.strip())
    gone = {left, f".a_normal.png.{dead.strip()}.tmp"}
    stays = {
        temporary_path(tmp_path / "a").name,  # of a living process
        f".a.01234567-{dead.strip()}.tmp",  # of another computer's
        f".notes.{dead.strip()}.tmp",
        ".a.tmp",
        "a.png",
    }
    for name in gone | stays:
        (tmp_path / name).touch()
    folder = tmp_path / left.replace("a b.png", "000000002")
    folder.mkdir()
    (folder / "photo.png").touch()
    make_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == stays


def test_inputs_are_known_by_any_name(tmp_path: Path) -> None:
    photo, other = tmp_path / "photo.jpg", tmp_path / "other.jpg"
    photo.touch()
    other.touch()
    (tmp_path / "link.jpg").symlink_to(photo)
    inputs = identities([photo, tmp_path / "missing.jpg"])
    check_not_among([other, tmp_path / "missing.jpg"], inputs)
    with pytest.raises(FileExistsError, match=r"link\.jpg is an input"):
        check_not_among([other, tmp_path / "link.jpg"], inputs)


def test_make_folder_makes_parents_and_leaves_it_empty(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_make_folder_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I was here first")
    with pytest.raises(OSError, match="exists"):
        make_folder(tmp_path / "out")
