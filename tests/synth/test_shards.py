"""Samples on the disk: what comes back, in any order of events."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from facerelief.encode import to_png
from facerelief.files import temporary_path
from facerelief.geometry.normals import decode, normalise
from facerelief.samples.files import (
    FILES,
    SampleError,
    from_files,
    from_png,
    to_files,
    to_normals,
)
from facerelief.samples.shards import SampleFolders, ShardReader, TarShards
from rendered_spheres import sphere


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


def write(writer: TarShards | SampleFolders, count: int) -> None:
    for shard in writer.pending(count):
        writer.write(shard, (to_files(sphere(index)) for index in shard))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_everything_comes_back() -> None:
    given, found = sphere(3), from_files(to_files(sphere(3)))
    for field in fields(given):
        a, b = getattr(given, field.name), getattr(found, field.name)
        if field.name == "coefficients":
            assert b.keys() == a.keys() and b["yaw"] == a["yaw"] and b["skin"] == "procedural"
            assert b["glasses"] is None
            np.testing.assert_array_equal(np.array(b["identity"], np.float32), a["identity"])
        elif field.name in ("normals", "normals_smooth"):
            assert b.dtype == np.float32
            np.testing.assert_array_equal((b == 0).all(-1), (a == 0).all(-1))
            assert angle(normalise(a), b).max() < 0.003
        elif field.name in ("depth", "position"):
            assert b.dtype == np.float32
            np.testing.assert_array_equal(np.isnan(b), np.isnan(a))
            np.testing.assert_allclose(b, a, atol=0.0051, rtol=1e-7)
        elif isinstance(a, np.ndarray):
            assert b.dtype == a.dtype
            np.testing.assert_array_equal(b, a)
        else:
            assert a == b


def test_the_same_rendering_gives_the_same_bytes() -> None:
    assert to_files(sphere(5)) == to_files(sphere(5)) != to_files(sphere(6))


def test_ranges_that_sixteen_bits_of_a_hundredth_do_not_hold() -> None:
    rendering = sphere(1)
    wide = rendering.depth.copy()
    wide[rendering.mask] *= np.linspace(1, 100, rendering.mask.sum())
    nothing = np.full_like(rendering.position, np.nan)
    changed = type(rendering)(**{**vars(rendering), "depth": wide, "position": nothing})
    found = from_files(to_files(changed))
    span = np.nanmax(wide) - np.nanmin(wide)
    np.testing.assert_allclose(found.depth, wide, atol=span / 2**17 * 1.01 + 1e-3)
    assert np.isnan(found.position).all()


@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: arrays.arrays(
            dtype,
            st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
                lambda side: st.sampled_from([side, (*side, 3), (*side, 4)])
            ),
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_png_reader_undoes_the_writer(pixels: np.ndarray) -> None:
    found = from_png(to_png(pixels))
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


@given(arrays.arrays(np.uint16, (3, 4, 3)), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_quick_normals_are_those_of_the_general_decoder(pixels: np.ndarray, grey: int) -> None:
    pixels[:grey] = 32768
    np.testing.assert_allclose(to_normals(pixels), decode(pixels), atol=1e-6)
    assert (to_normals(pixels)[:grey] == 0).all()


def test_the_pngs_open_in_other_programs() -> None:
    rendering = sphere(2)
    files = to_files(rendering)
    for name, expected in (("photo.png", rendering.photo), ("albedo.png", rendering.albedo)):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files[name]))), expected)
    mask = np.asarray(Image.open(io.BytesIO(files["mask.png"])))
    np.testing.assert_array_equal(mask == 255, rendering.mask)


@pytest.mark.parametrize("damage", [lambda b: b[:60], lambda b: b"", lambda b: b[:80] + b"x" * 90])
def test_damaged_pngs_are_named(damage) -> None:
    files = to_files(sphere(1))
    with pytest.raises(SampleError, match="not a PNG"):
        from_files({**files, "albedo.png": damage(files["albedo.png"])})


def test_files_that_are_not_there() -> None:
    files = to_files(sphere(1), ["photo.png", "normals.png"])
    assert list(files) == ["photo.png", "normals.png"]
    with pytest.raises(SampleError, match=r"without normals_smooth\.png, depth\.png"):
        from_files(files)
    with pytest.raises(ValueError, match=r"no colour\.png; it has photo\.png"):
        to_files(sphere(1), ["colour.png"])


def test_shards_are_tar_files_as_webdataset_reads_them(tmp_path: Path) -> None:
    write(TarShards(tmp_path, 4), 6)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "heads-000000.tar",
        "heads-000001.tar",
    ]
    with tarfile.open(tmp_path / "heads-000001.tar") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [f"{i:09d}.{f}" for i in (4, 5) for f in FILES]
        assert all((m.mtime, m.uid, m.gid, m.uname) == (0, 0, 0, "") for m in members)
        file = tar.extractfile("000000005.photo.png")
        assert file is not None
        np.testing.assert_array_equal(np.asarray(Image.open(file)), sphere(5).photo)
        file = tar.extractfile("000000005.json")
        assert file is not None and json.load(file)["focal"] == 700


@pytest.mark.parametrize("form", ["shards", "folders"])
def test_reader_gives_every_sample_in_any_order(form: str, tmp_path: Path) -> None:
    write(TarShards(tmp_path, 4) if form == "shards" else SampleFolders(tmp_path), 10)
    reader = ShardReader(tmp_path)
    assert len(reader) == 10 and reader.indices == list(range(10))
    again = pickle.loads(pickle.dumps(reader))
    for place in (7, 0, 9, -3, 4):
        np.testing.assert_array_equal(reader[place].photo, sphere(place % 10).photo)
        np.testing.assert_array_equal(again[place].mask, sphere(place % 10).mask)
    assert [r.coefficients["yaw"] for r in reader[2:4]] == [
        sphere(i).coefficients["yaw"] for i in (2, 3)
    ]
    full, part = reader[5], reader.training(5)
    for name in part._fields:
        np.testing.assert_array_equal(getattr(part, name), getattr(full, name))
    with pytest.raises(IndexError):
        reader[10]


def test_a_reader_of_few_files(tmp_path: Path) -> None:
    names = ("photo.png", "normals.png", "mask.png", "occluder.png")
    TarShards(tmp_path).write(range(2), (to_files(sphere(i), names) for i in range(2)))
    reader = ShardReader(tmp_path)
    np.testing.assert_array_equal(reader.training(1).photo, sphere(1).photo)
    with pytest.raises(SampleError, match=r"sample 1: the sample was written without"):
        reader[1]


def test_going_on_writes_what_is_missing_and_the_same_bytes(tmp_path: Path) -> None:
    whole, parts = TarShards(tmp_path / "whole", 4), TarShards(tmp_path / "parts", 4)
    whole.folder.mkdir(), parts.folder.mkdir()
    write(whole, 10)
    write(parts, 6)  # the second shard is short
    untouched = (parts.folder / "heads-000000.tar").stat().st_mtime_ns
    left = temporary_path(parts.folder / "heads-000002.tar")
    left.write_bytes(b"of a run that was killed, and had this process's number")
    assert parts.pending(10) == [range(4, 8), range(8, 10)]
    write(parts, 10)
    assert digests(parts.folder) == digests(whole.folder)
    assert (parts.folder / "heads-000000.tar").stat().st_mtime_ns == untouched
    assert parts.pending(10) == parts.pending(3) == []


@pytest.mark.parametrize("damage", ["short", "empty", "text"])
def test_damaged_shards_are_written_again_and_not_read(damage: str, tmp_path: Path) -> None:
    writer = TarShards(tmp_path, 4)
    write(writer, 4)
    path = tmp_path / "heads-000000.tar"
    content = path.read_bytes()
    path.write_bytes({"short": content[:-5000], "empty": b"", "text": b"no tar" * 900}[damage])
    with pytest.raises(SampleError, match=r"heads-000000\.tar"):
        ShardReader(tmp_path)
    assert writer.pending(4) == [range(4)]
    write(writer, 4)
    assert path.read_bytes() == content


def test_folders_go_on_too(tmp_path: Path) -> None:
    writer = SampleFolders(tmp_path)
    write(writer, 2)
    left = temporary_path(tmp_path / "000000002")
    left.mkdir()
    (left / "photo.png").write_bytes(b"half")
    assert writer.pending(4) == [range(2, 3), range(3, 4)]
    write(writer, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i:09d}" for i in range(4)]


@pytest.mark.parametrize("form", ["shards", "folders"])
def test_two_runs_beside_each_other_do_not_meet(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins and ends while the first is at the same samples."""
    writer = TarShards(tmp_path) if form == "shards" else SampleFolders(tmp_path)
    number = os.getpid()

    def samples(run: int) -> Iterator[dict[str, bytes]]:
        for index in range(3):
            yield to_files(sphere(index))
            if run == 0 and index == 1:
                monkeypatch.setattr(os, "getpid", lambda: number + 1)
                writer.write(range(3), samples(1))
                monkeypatch.setattr(os, "getpid", lambda: number)

    writer.write(range(3), samples(0))
    assert len(ShardReader(tmp_path)) == 3
    np.testing.assert_array_equal(ShardReader(tmp_path)[2].photo, sphere(2).photo)
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("form", ["shards", "folders"])
def test_samples_that_fail_leave_nothing(form: str, tmp_path: Path) -> None:
    def samples() -> Iterator[dict[str, bytes]]:
        yield to_files(sphere(0))
        raise MemoryError

    writer = TarShards(tmp_path) if form == "shards" else SampleFolders(tmp_path)
    with pytest.raises(MemoryError):
        writer.write(range(2), samples())
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith((".tmp", ".tar"))] == []


@pytest.mark.parametrize("form", ["shards", "folders"])
def test_a_full_disk_leaves_nothing_half_written(form: str, tmp_path: Path) -> None:
    """A real file system of 256 kB with room for some of twenty samples."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        writer = TarShards(tmp_path, 2) if form == "shards" else SampleFolders(tmp_path)
        with pytest.raises(OSError, match="No space left"):
            write(writer, 20)
        assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
        done = len(ShardReader(tmp_path))
        assert 2 <= done < 20
        np.testing.assert_array_equal(ShardReader(tmp_path)[done - 1].photo, sphere(done - 1).photo)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SampleError, match="no samples there"):
            ShardReader(folder)


def test_training_pictures_are_read_quickly(tmp_path: Path) -> None:
    """Under 5 ms for 256 x 256 on an idle computer; here with room for a busy one."""
    TarShards(tmp_path).write(range(4), (to_files(sphere(i, 256)) for i in range(4)))
    reader = ShardReader(tmp_path)
    times = []
    for place in [0, 1, 2, 3] * 5:
        start = time.perf_counter()
        reader.training(place)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_the_names_of_old_still_read_samples() -> None:
    from facerelief.synth import sample_files, shards

    assert sample_files.from_files is from_files
    assert shards.ShardReader is ShardReader
