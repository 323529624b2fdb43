"""Runs from end to end, and what stands in their way."""

from __future__ import annotations

import errno
import io
import json
import shutil
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch_runs import batch, failures_of, files, photos_of
from facerelief.apps.batch import running, sinks, work
from facerelief.apps.batch.manifest import Manifest, ManifestError, Shard
from facerelief.apps.batch.sources import Sources
from facerelief.apps.photos import Search
from facerelief.runtime import load


def started(
    out: Path, tiny: Path, named: list[Path], part: int = 4, **settings: object
) -> tuple[list[work.Result], Manifest]:
    """A run in this process over crops; the manifest is closed."""
    out.mkdir(exist_ok=True)
    settings = {"search": Search(is_crop=True), **settings}
    shard, retry = settings.pop("shard", Shard()), settings.pop("retry", False)
    wanted = work.Settings(**settings)
    estimators = work.choose(wanted, lambda name: load(tiny, threads=1))
    sink = sinks.sink(out, wanted, estimators, part)
    told = wanted.described({what: one.entry for what, one in estimators.items()})
    with Manifest(out, told, shard) as manifest:
        sink.open(manifest)
        job = work.Work(wanted, estimators, sink.form, 1)
        items = running.pending(Sources([str(n) for n in named], without=out), manifest, retry)
        done = [one for many in running.run(items, job, sink, manifest, 2) for one in many]
        manifest.write_failures()
    return done, manifest


def test_a_folder_is_mirrored_and_the_second_run_does_nothing(
    tiny: Path, crops: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = (crops, "-o", out, "--system", tiny, "--crops", "--json")
    first = batch(*call)
    assert first.returncode == 0 and not first.stderr, first.stderr
    said = [json.loads(line) for line in first.stdout.splitlines()]
    assert len(said) == 30 and {one["status"] for one in said} == {"done"}
    made = files(out)
    assert len(made) == 60 and "crops/b/deeper/01.jpg_0_normal.png" in made
    sidecar = json.loads(made["crops/b/deeper/01.jpg_0.json"])
    assert sidecar["photo"]["path"] == str(crops / "b/deeper/01.jpg")
    again = batch(*call)
    assert again.returncode == 0 and not again.stdout
    assert files(out) == made and len(photos_of(out)) == 30


def test_a_table_has_the_same_normals_as_the_folder(
    tiny: Path, crops: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    started(tmp_path / "folder", tiny, [crops])
    started(tmp_path / "table", tiny, [crops], to="parquet", part=7)
    parts = sorted((tmp_path / "table").glob("part-*.parquet"))
    assert len(parts) == 5
    rows = [row for part in parts for row in parquet.read_table(part).to_pylist()]
    made = files(tmp_path / "folder")
    assert len(rows) == 30
    for row in rows:
        assert row["normals"] == made[f"{row['key']}_0_normal.png"]
        assert (row["face"], row["faces"], row["photo_size"]) == (0, 1, [128, 128])
        assert Image.open(io.BytesIO(row["crop"])).size == (256, 256)
    told = json.loads(parquet.read_schema(parts[0]).metadata[b"facerelief"])
    assert told["what"] == ["normals"] and "opengl" in told["frame"]


def test_half_floats_are_the_normals_off_the_network(
    tiny: Path, crops: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    photo = crops / "00.jpg"
    started(tmp_path / "out", tiny, [photo], to="parquet", encoding="float16")
    (part,) = (tmp_path / "out").glob("part-*.parquet")
    column = parquet.read_table(part)["normals"].combine_chunks()
    normals = column.values.to_numpy().reshape(256, 256, 3)
    with Image.open(photo) as image:
        (face,) = load(tiny).estimate(np.asarray(image), [work.Place.of_crop(side=128)])
    assert np.abs(normals - face.normals * face.mask[..., None]).max() < 1e-3


def test_every_thing_that_is_told_has_its_columns(astronaut: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    out = tmp_path / "out"
    call = (astronaut, "-o", out, "--to", "parquet", "--what", ",".join(work.WHAT))
    assert batch(*call).returncode == 0
    (part,) = out.glob("part-*.parquet")
    (row,) = parquet.read_table(part).to_pylist()
    face = load("prnet")(astronaut)[0]
    assert np.allclose(np.reshape(row["landmarks"], (68, 3)), face.landmarks, atol=0.05)
    assert np.allclose(np.reshape(row["vertices"], (-1, 3)), face.mesh.vertices, atol=0.05)
    assert np.array_equal(np.load(out / "mesh_triangles.npy"), face.mesh.triangles)
    assert len(row["identity"]) == 80 and len(row["expression"]) == 52 and row["focal"] > 0


def test_what_is_wrong_stays_with_its_photo(
    tiny: Path, crops: Path, tmp_path: Path, astronaut: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(crops, source / "crops")
    (source / "empty.jpg").touch()
    (source / "none.png").write_text("no picture")
    (source / "gone.jpg").symlink_to("nowhere.jpg")
    bomb = bytearray(_png(64, 64))
    bomb[16:24] = (60000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    (source / "bomb.png").write_bytes(bomb)
    Image.new("RGB", (100, 60)).save(source / "wide.png")
    with tarfile.open(source / "s.tar", "w") as tar:
        for name in ("../../escaped.jpg", "/rooted.jpg", "same.jpg", "./same.jpg"):
            tar.add(crops / "00.jpg", name)
    out = tmp_path / "out"
    done = batch(source, "-o", out, "--system", tiny, "--crops")
    assert done.returncode == 1
    reasons = failures_of(out)
    words = {
        "source/empty.jpg": "an empty file",
        "source/none.png": "not a picture",
        "source/gone.jpg": "no such file",
        "source/bomb.png": "megapixels",
        "source/wide.png": "a crop is a square",
    }
    assert reasons.keys() == words.keys()
    for key, word in words.items():
        assert word in reasons[key] and "\n" not in reasons[key]
        assert f"failed: {reasons[key]}" in done.stderr.splitlines()
    assert len(files(out)) == 2 * (30 + 4)
    assert all(path.is_relative_to(out) for path in out.rglob("*"))
    assert not (tmp_path / "escaped.jpg_0.json").exists()
    # What failed is not tried again, but where that is asked for.
    (source / "empty.jpg").write_bytes((crops / "00.jpg").read_bytes())
    assert batch(source, "-o", out, "--system", tiny, "--crops").returncode == 1
    assert len(photos_of(out)) == 39 and failures_of(out) == reasons
    batch(source, "-o", out, "--system", tiny, "--crops", "--retry-failed")
    assert failures_of(out).keys() == words.keys() - {"source/empty.jpg"}
    assert "source/empty.jpg_0_normal.png" in files(out)


def _png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_two_photos_of_one_name_are_not_one(tiny: Path, crops: Path, tmp_path: Path) -> None:
    for name in "xy":
        shutil.copytree(crops, tmp_path / name / "same")
    done, manifest = started(tmp_path / "out", tiny, [tmp_path / "x/same", tmp_path / "y/same"])
    assert (manifest.counts.done, manifest.counts.failed) == (30, 30)
    assert sum("give it another name" in str(one.reason) for one in done) == 30
    # The same photo that is named twice is done once.
    done, manifest = started(tmp_path / "twice", tiny, [crops, crops])
    assert (manifest.counts.done, manifest.counts.failed) == (30, 0)


def test_a_photo_without_a_face_is_no_failure(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(_png(200, 200))
    done, manifest = started(
        tmp_path / "out", tiny, [tmp_path / "grey.png"], search=Search(), to="folder"
    )
    assert [one.status for one in done] == ["no face"] and manifest.counts.no_face == 1
    assert not failures_of(tmp_path / "out")


def test_shards_share_the_photos_and_other_settings_are_refused(
    tiny: Path, crops: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    out, whole = tmp_path / "out", tmp_path / "whole"
    for index in range(3):
        done, _ = started(out, tiny, [crops], to="parquet", shard=Shard(index, 3))
        assert 3 <= len(done) <= 17
    started(whole, tiny, [crops], to="parquet")
    assert photos_of(out) == photos_of(whole)
    done, _ = started(out, tiny, [crops], to="parquet")  # nobody's shard is left
    assert not done
    with pytest.raises(ManifestError, match=r'other settings .*encoding "png"'):
        started(out, tiny, [crops], to="parquet", encoding="float16")


def test_two_runs_at_once_are_refused(tiny: Path, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, closed = started(out, tiny, [crops])
    head = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    with Manifest(out, head["settings"]):
        with pytest.raises(ManifestError, match="another run writes there"):
            started(out, tiny, [crops])
        with pytest.raises(ManifestError, match="other shards"):
            started(out, tiny, [crops], shard=Shard(0, 2))
        done = batch(crops, "-o", out, "--system", tiny, "--crops")
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert closed.counts.done == 30


def test_a_full_disk_ends_the_run_and_loses_nothing(
    tiny: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, left = tmp_path / "out", sinks.write_files, [7]

    def until_full(contents: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(contents)

    monkeypatch.setattr(sinks, "write_files", until_full)
    with pytest.raises(OSError, match="No space left"):
        started(out, tiny, [crops])
    monkeypatch.setattr(sinks, "write_files", real)
    started(out, tiny, [crops])
    started(tmp_path / "whole", tiny, [crops])
    assert files(out) == files(tmp_path / "whole") and photos_of(out) == photos_of(
        tmp_path / "whole"
    )


def test_somebody_elses_files_stay(tiny: Path, crops: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "crops" / "00.jpg_0_normal.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(_png(4, 4))
    done, _ = started(tmp_path / "out", tiny, [crops])
    (bad,) = [one for one in done if one.reason]
    assert "is not facerelief's" in str(bad.reason) and mine.read_bytes() == _png(4, 4)


def test_a_torn_line_is_cut_off_and_its_photos_are_done_again(
    tiny: Path, crops: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    started(out, tiny, [crops], to="parquet")
    whole, book = files(out), out / "manifest.jsonl"
    lines = book.read_bytes().splitlines(keepends=True)
    for keep in (b"".join(lines[:4]) + lines[4][:40], lines[0][:9], b"", b"".join(lines[:1])):
        book.write_bytes(keep)
        started(out, tiny, [crops], to="parquet")
        assert book.read_bytes() == b"".join(lines) and files(out) == whole
    book.write_bytes(b"".join(lines[:2]) + b"{]\n" + lines[2])
    with pytest.raises(ManifestError, match="line 3 is damaged"):
        started(out, tiny, [crops], to="parquet")


def test_one_face_that_breaks_the_network_does_not_break_its_neighbours(
    tiny: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facerelief.runtime import Estimator

    real = Estimator.estimate_crops
    bad = np.asarray(work.Place.of_crop(side=128).crop.extract(_pixels(crops / "03.jpg")))

    def brittle(self: Estimator, given: np.ndarray, release: bool = False) -> object:
        if any(np.array_equal(one, bad) for one in given):
            raise RuntimeError("the network fell over")
        return real(self, given, release)

    monkeypatch.setattr(Estimator, "estimate_crops", brittle)
    done, manifest = started(tmp_path / "out", tiny, [crops])
    assert (manifest.counts.done, manifest.counts.failed) == (29, 1)
    assert next(one.key for one in done if one.reason) == "crops/03.jpg"


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "csv"], "--to is folder or parquet"),
        (["--what", "hair"], "--what knows"),
        (["--shard", "3/3"], "--shard is I/N"),
        (["--system", "default", "--what", "mesh"], "says nothing of mesh"),
    ],
)
def test_odd_words_are_one_line(words: list[str], said: str, crops: Path, tmp_path: Path) -> None:
    done = batch(crops, "-o", tmp_path / "out", *words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
