"""What stands for photos, and what they are called."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerelief.apps.batch.items import Item
from facerelief.apps.batch.keys import safe
from facerelief.apps.batch.sources import Sources, braces
from facerelief.inputs import PhotoError


def keys(*named: object, **more: object) -> list[str]:
    return [item.key for item in Sources([str(name) for name in named], **more)]


@pytest.fixture
def tree(tmp_path: Path, astronaut: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.jpg", "deep/.hidden.jpg", "deep/notes.doc"):
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(astronaut.read_bytes())
    return tmp_path / "top"


def test_folders_globs_and_files_have_keys_as_cp_would_call_them(tree: Path) -> None:
    assert keys(tree) == ["top/a.PNG", "top/b.jpg", "top/deep/er/c.jpg"]
    assert keys(f"{tree}/*.jpg") == ["top/b.jpg"]
    assert keys(f"{tree}/**/*.jpg") == ["top/b.jpg", "top/deep/er/c.jpg"]
    assert keys(tree / "b.jpg") == [str(tree / "b.jpg").strip("/")]
    assert keys(tree / "nothing-*.jpg") == [
        str(tree / "nothing-*.jpg").strip("/").replace("*", "%2A")
    ]


def test_folders_are_followed_no_round_and_the_output_is_left_out(tree: Path) -> None:
    (tree / "deep" / "round").symlink_to(tree)
    assert keys(tree, without=tree / "deep" / "er") == ["top/a.PNG", "top/b.jpg"]


def test_lists_are_lines_of_paths(tree: Path, tmp_path: Path) -> None:
    text = tmp_path / "list.txt"
    text.write_text(f"{tree}/b.jpg\n\n{tree}/deep\n/no/such.jpg\n")
    found = keys(text)
    assert found == [f"{tree}/b.jpg".strip("/"), "deep/er/c.jpg", "no/such.jpg"]
    with pytest.raises(PhotoError, match="no such file"):
        list(Sources([str(text)]))[-1].open()


def test_braces_are_expanded_as_shells_do() -> None:
    assert list(braces("s-{008..011}.tar")) == [f"s-{n:03d}.tar" for n in (8, 9, 10, 11)]
    assert list(braces("{9..10}/{a,b}")) == ["9/a", "9/b", "10/a", "10/b"]
    with pytest.raises(ValueError, match="more than"):
        list(braces("{0..9999999}"))


def to_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_shards_give_their_pictures_whatever_they_are_called(
    ending: str, tmp_path: Path, astronaut: Path
) -> None:
    photo = astronaut.read_bytes()
    names = ("0.jpg", "0.json", "../../out.jpg", "/root.jpg", "x/./y.png", "a\\b.jpg", "._0.jpg")
    path = tmp_path / f"s.tar{ending}"
    to_tar(path, dict.fromkeys(names, photo), f"w:{ending[1:]}" if ending else "w")
    found = [item for item in Sources([f"{tmp_path}/s.tar{ending}"])]
    top = str(path).strip("/")
    ours = ["0.jpg", "%2E%2E/%2E%2E/out.jpg", "root.jpg", "x/%2E/y.png", "a%5Cb.jpg"]
    assert [item.key for item in found] == [f"{top}/{name}" for name in ours]
    assert {item.open().size for item in found} == {(512, 512)}


def test_a_shard_that_is_broken_in_the_middle_says_so_and_goes_on(
    tmp_path: Path, astronaut: Path
) -> None:
    photo = astronaut.read_bytes()
    path = to_tar(tmp_path / "s.tar", {f"{n}.jpg": photo for n in range(5)})
    with tarfile.open(path) as tar:
        header = tar.getmembers()[2].offset
    data = bytearray(path.read_bytes())
    data[header : header + 512] = os.urandom(512)
    path.write_bytes(data)
    found = list(Sources([str(path)]))
    assert [item.key.rpartition("/")[2] for item in found] == [
        "0.jpg", "1.jpg", f"%{header}", "3.jpg", "4.jpg"
    ]  # fmt: skip
    assert "broken at byte" in str(found[2].problem)
    assert found[3].open().size == (512, 512)


def test_a_shard_that_ends_too_early_loses_its_last_photo_alone(
    tmp_path: Path, astronaut: Path
) -> None:
    photo = astronaut.read_bytes()
    path = to_tar(tmp_path / "s.tar", {f"{n}.jpg": photo for n in range(3)})
    with tarfile.open(path) as tar:
        last = tar.getmembers()[2].offset_data
    path.write_bytes(path.read_bytes()[: last + 1000])
    found = list(Sources([str(path)]))
    assert [item.problem is None for item in found[:3]] == [True, True, False]


def test_no_shard_at_all_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(b"no tar" * 1000)
    (item,) = Sources([str(path)])
    with pytest.raises(PhotoError, match="cannot be read on"):
        item.open()


def in_table(path: Path, **columns: object) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)
    return path


def opened(items: Iterator[Item] | Sources) -> list[str]:
    said = []
    for item in items:
        try:
            said.append(str(item.open().size))
        except PhotoError as error:
            said.append(str(error))
    return said


def test_tables_of_bytes_paths_and_datasets_pictures(tmp_path: Path, astronaut: Path) -> None:
    photo, size = astronaut.read_bytes(), "(512, 512)"
    path = in_table(tmp_path / "t.parquet", label=[1, 2, 3], image=[photo, None, b""])
    found = Sources([str(path)])
    first, null, empty = opened(found)
    assert first == size and "null" in null and "empty" in empty
    assert keys(path)[0] == f"{str(path).strip('/')}/000000000"
    rows = [{"bytes": photo, "path": "x.jpg"}, {"bytes": None, "path": "../gone.jpg"}]
    path = in_table(tmp_path / "hf.parquet", image=rows, key=["one", "../two"])
    assert keys(path, key="key") == ["one", "%2E%2E/two"]
    first, gone = opened(Sources([str(path)]))
    assert first == size and "no such file" in gone
    (tmp_path / "here.jpg").write_bytes(photo)
    path = in_table(tmp_path / "paths.parquet", where=["here.jpg"])
    assert keys(path) == ["here.jpg"] and opened(Sources([str(path)])) == [size]


def test_tables_that_are_none_or_have_no_photos_say_so(tmp_path: Path) -> None:
    broken = tmp_path / "b.parquet"
    broken.write_bytes(b"PAR1 no table")
    two = in_table(tmp_path / "two.parquet", left=["a"], right=["b"])
    (one,) = opened(Sources([str(broken)]))
    assert "cannot be read" in one
    (one,) = opened(Sources([str(two)]))
    assert "--column" in one and "left, right" in one
    (one,) = opened(Sources([str(two)], column="middle"))
    assert "middle" in one


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_no_key_leads_anywhere_else(path: str) -> None:
    key = safe(path)
    assert key.encode() and not key.startswith("/") and "\0" not in key and "\\" not in key
    for part in key.split("/"):
        assert part not in ("", ".", "..") and len(part.encode()) <= 200


@given(st.lists(st.text(st.sampled_from("a.%/:\udc80é"), min_size=1, max_size=6), unique=True))
def test_different_paths_have_different_keys(paths: list[str]) -> None:
    plain = {tuple(part for part in path.split("/") if part) for path in paths}
    assert len({safe("/".join(parts)) for parts in plain}) == len(plain)
