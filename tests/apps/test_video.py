"""Films in, films out: what is in them, whatever made them, and what is said of what is none."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cli_lines import names, normals, one_line
from facerelief import load_photo
from facerelief.apps.video import reading, running, steps
from facerelief.apps.video.films import PartWriter
from facerelief.apps.video.reading import opened

av = pytest.importorskip("av")
clips = pytest.importorskip("clips")  # which imports it


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(((one / 255 - other / 255) ** 2).mean() + 1e-12))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    frames = clips.pictures(20, path=lambda t: (60 * t, 0))
    return clips.write(path, frames, sound="aac", seconds=20 / 30)


def of(folder: Path, *more: object, source: Path, system: Path) -> dict:
    done = normals(source, "-o", folder, "--system", system, "--threads", 1, *more)
    assert done.exit_code == 0, done.output
    return json.loads((folder / f"{source.stem}_video.json").read_bytes())


def test_a_film_has_its_normals_beside_it_its_sound_and_a_table(
    film: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    views = ["--video", "side,normals,frames"]
    said = of(tmp_path, *views, source=film, system=tiny_folder / "tiny.onnx")
    listed = {"clip_side.mp4", "clip_normals.mp4", "clip_frames", "clip_faces.csv"}
    assert names(tmp_path) == {*listed, "clip_video.json"} and set(said["files"]) == listed
    assert said["faces"] == [{"face": 0, "first": 0, "pictures": 20, "last": 19}]
    assert said["video"]["pictures"] == 20 and said["notes"] == []
    before, side = clips.frames_of(film), clips.frames_of(tmp_path / "clip_side.mp4")
    assert len(side) == 20 and side[0].shape == (240, 640, 3)
    assert min(psnr(a, b[:, :320]) for a, b in zip(before, side, strict=True)) > 34
    assert clips.sound_of(tmp_path / "clip_side.mp4") == clips.sound_of(film)
    np.testing.assert_allclose(
        clips.times_of(tmp_path / "clip_side.mp4"), clips.times_of(film), atol=1e-4
    )
    # A face in the right half, and in the film of normals; nothing but the flat colour elsewhere.
    flat = clips.frames_of(tmp_path / "clip_normals.mp4")[9]
    with open(tmp_path / "clip_faces.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["picture"]) for row in rows] == list(range(20))
    x, y, reach = (float(rows[9][name]) for name in ("centre_x", "centre_y", "side"))
    inside = (slice(int(y - reach / 4), int(y + reach / 4)), slice(int(x - reach / 4), int(x + 20)))
    assert np.abs(flat[inside].astype(int) - (128, 128, 255)).max(axis=-1).mean() > 40
    outside = flat[:, : int(x - reach)]
    assert outside.size and np.abs(outside.astype(int) - (128, 128, 255)).max() <= 6
    assert psnr(side[9][:, :320], side[9][:, 320:]) < 30
    pngs = sorted(names(tmp_path / "clip_frames"))
    assert pngs[0] == "000000_normal.png" and len(pngs) == 20
    from PIL import Image

    with Image.open(tmp_path / "clip_frames" / pngs[9]) as png:
        assert png.size == (320, 240) and png.mode == "RGBA"
        assert png.text["Normal frame"] == "opengl"
        values = np.asarray(png)
    solid = values[..., 3] == 255
    assert solid[inside].mean() > 0.9 and not values[:, : int(x - reach), 3].any()
    length = np.linalg.norm(values[solid][:, :3] / 127.5 - 1, axis=-1)
    assert abs(length - 1).max() < 0.02


def test_work_that_is_done_is_not_done_again(
    film: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tiny_folder / "tiny.onnx"
    of(tmp_path, source=film, system=system)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    done = normals(film, "-o", tmp_path, "--system", system, "--threads", 1)
    assert done.exit_code == 0 and "done already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    os.utime(film)  # another film, for all that is known
    done = normals(film, "-o", tmp_path, "--system", system, "--threads", 1, "--raw")
    assert done.exit_code == 0 and "done already" not in done.stderr
    assert not json.loads((tmp_path / "clip_video.json").read_bytes())["smoothed"]


def test_files_of_other_people_are_not_written_over(
    film: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip_side.mp4").write_bytes(b"mine")
    done = normals(film, "-o", tmp_path, "--system", tiny_folder / "tiny.onnx")
    assert done.exit_code == 1
    one_line(done, "clip_side.mp4 is not facerelief's")
    assert names(tmp_path) == {"clip_side.mp4"}


def test_phones_turn_their_films(tmp_path: Path) -> None:
    (upright,) = clips.pictures(1, (240, 240))
    for turned in (90, 180, -90):
        lying = np.ascontiguousarray(np.rot90(upright, -turned // 90))
        path = clips.write(tmp_path / f"{turned}.mp4", [lying] * 2, turned=turned)
        with opened(str(path)) as clip:
            found = [frame.pixels for frame in clip.frames()]
        assert psnr(found[0], upright) > 34


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("ten.mp4", "libx264", "yuv420p10le"),
        ("alpha.mov", "prores_ks", "yuva444p10le"),
        ("lossless.mkv", "ffv1", "bgr0"),
        ("old.avi", "mpeg4", "yuv420p"),
    ],
)
def test_any_film_is_read(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    frames = list(clips.pictures(3, (200, 160)))
    path = clips.write(tmp_path / name, frames, codec, pixels)
    with opened(str(path)) as clip:
        found = list(clip.frames())
    assert [frame.index for frame in found] == [0, 1, 2]
    assert min(psnr(a, b.pixels) for a, b in zip(frames, found, strict=True)) > 28


def test_odd_sides_get_one_more_line_and_times_stay(tiny_folder: Path, tmp_path: Path) -> None:
    times = [0, 33, 70, 200, 233, 1000]
    frames = clips.pictures(6, (161, 121))
    source = clips.write(tmp_path / "odd.mkv", frames, "ffv1", "bgr0", times=times)
    of(tmp_path, "--video", "normals", source=source, system=tiny_folder / "tiny.onnx")
    made = clips.frames_of(tmp_path / "odd_normals.mp4")
    assert len(made) == 6 and made[0].shape == (122, 162, 3)
    found = np.array(clips.times_of(tmp_path / "odd_normals.mp4"))
    np.testing.assert_allclose(1000 * (found - found[0]), times, atol=1)


def test_sound_that_mp4_cannot_hold_is_kept_in_another_container(
    tiny_folder: Path, tmp_path: Path
) -> None:
    frames = list(clips.pictures(4, (160, 120)))
    source = clips.write(tmp_path / "c.mkv", frames, sound="wavpack", seconds=0.2)
    said = of(tmp_path / "out", source=source, system=tiny_folder / "tiny.onnx")
    assert "c_side.mkv" in said["files"] and "c_side.mp4" not in names(tmp_path / "out")
    assert clips.sound_of(tmp_path / "out" / "c_side.mkv") == clips.sound_of(source)
    assert said["notes"] == ["MP4 cannot hold its sound: written as MKV"]
    source = clips.write(tmp_path / "d.wmv", frames, "mpeg4", sound="wmav2", seconds=0.2)
    said = of(tmp_path / "out", source=source, system=tiny_folder / "tiny.onnx")
    assert said["notes"] == ["its sound fits into no container, and was left out"]
    with av.open(str(tmp_path / "out" / "d_side.mkv")) as film:
        assert not film.streams.audio and film.streams.video


def test_seconds_end_picture_and_sound(film: Path, tiny_folder: Path, tmp_path: Path) -> None:
    said = of(tmp_path, "--seconds", 0.3, source=film, system=tiny_folder / "tiny.onnx")
    assert said["video"]["pictures"] == 9
    heard = clips.sound_of(tmp_path / "clip_side.mp4")
    assert 0 < len(heard) < 0.6 * len(clips.sound_of(film))


def test_a_film_without_faces_is_a_film_without_faces(tiny_folder: Path, tmp_path: Path) -> None:
    frames = [np.full((120, 160, 3), 40 * index, np.uint8) for index in range(5)]
    source = clips.write(tmp_path / "empty.mp4", frames)
    said = of(tmp_path, "--video", "side,frames", source=source, system=tiny_folder / "tiny.onnx")
    assert said["faces"] == [] and said["steadiness"] == {"crop": None, "normals": None}
    assert len(clips.frames_of(tmp_path / "empty_side.mp4")) == 5
    pixels = load_photo(tmp_path / "empty_frames" / "000004_normal.png")
    assert pixels.shape == (120, 160, 3) and (pixels == 255).all()  # nothing, on white


def test_what_is_no_film_is_told_in_one_line(film: Path, tiny_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    content = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "nothing.mp4").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    clips.sing(tmp_path / "song.mp4", 0.3)
    clips.write(tmp_path / "tiny.mkv", [np.zeros((8, 8, 3), np.uint8)] * 2, "ffv1", "bgr0")
    for name, codec, pixels in (("empty.mkv", "ffv1", "bgr0"), ("empty.avi", "mpeg4", "yuv420p")):
        with av.open(str(tmp_path / name), "w") as without:
            without.add_stream(codec, rate=30, width=64, height=64, pix_fmt=pixels)
            without.start_encoding()
    wrong = {
        "cut.mp4": "cut off or damaged",
        "text.mp4": "no film that can be read",
        "nothing.mp4": "no film that can be read",
        "missing.mp4": "no such file",
        "song.mp4": "sound alone, and no pictures",
        "tiny.mkv": "8 x 8 pixels, a photo needs 16",
        "empty.mkv": "no film that can be read",
        "empty.avi": "there is no picture in it",
    }
    for name, told in wrong.items():
        done = normals(tmp_path / name, "-o", out, "--system", tiny_folder / "tiny.onnx")
        assert done.exit_code == 1, name
        one_line(done, name, told)
        assert names(out) == set()
    both = [tmp_path / "text.mp4", film]
    done = normals(*both, "-o", out, "--system", tiny_folder / "tiny.onnx", "--json")
    assert done.exit_code == 1 and "clip_side.mp4" in names(out)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["error"] and not second["error"] and len(second["faces"]) == 1


def test_a_film_that_is_cut_off_gives_what_it_holds(tiny_folder: Path, tmp_path: Path) -> None:
    whole = clips.write(tmp_path / "w.mkv", clips.pictures(20, (160, 120)), g="1")
    content = whole.read_bytes()
    source = tmp_path / "cut.mkv"
    source.write_bytes(content[: len(content) * 2 // 3])
    said = of(tmp_path, source=source, system=tiny_folder / "tiny.onnx")
    assert 8 < said["video"]["pictures"] < 20
    assert len(clips.frames_of(tmp_path / "cut_side.mp4")) == said["video"]["pictures"]
    moved = clips.write(
        tmp_path / "m.mp4", clips.pictures(20, (160, 120)), g="1", movflags="faststart"
    )
    with opened(str(moved)) as clip:
        clip.expected = 30
        assert len(list(clip.frames())) == 20
        assert clip.notes == ["it ends early: 20 of 30 pictures"]


def test_a_camera_that_is_none_is_told_in_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    done = normals("camera:97", "-o", tmp_path, "--system", tiny_folder / "tiny.onnx")
    assert done.exit_code == 1
    one_line(done, "camera:97: there is no such camera")
    assert names(tmp_path) == set()


def test_a_camera_is_filmed_until_it_is_stopped(
    film: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film stands for the camera."""
    monkeypatch.setattr(reading, "_open_camera", lambda av, source: av.open(str(film)))
    done = normals("camera:0", "-o", tmp_path, "--system", tiny_folder / "tiny.onnx")
    assert done.exit_code == 0, done.output
    assert names(tmp_path) == {"camera_0_side.mp4", "camera_0_faces.csv", "camera_0_video.json"}
    made = clips.frames_of(tmp_path / "camera_0_side.mp4")
    assert 1 <= len(made) <= 20  # what comes too fast is left out
    with pytest.raises(KeyboardInterrupt):
        list(steps.ahead(_stopped(), newest=True))


def _stopped():
    yield 1
    raise KeyboardInterrupt


def test_films_have_their_own_options(film: Path, tmp_path: Path) -> None:
    for more, told in (
        (["--only", "npy"], "--only: for photos alone"),
        (["--size", "512", "--whole"], "--size, --whole: for photos alone"),
        (["--video", "gif"], "--video knows side, normals, frames; not gif"),
        (["a.jpg"], "films and photos are worked on apart"),
    ):
        done = normals(film, *more, "-o", tmp_path / "out")
        assert done.exit_code == 2
        one_line(done, told)
    done = normals(clips.ASTRONAUT, "--video", "side", "--raw", "-o", tmp_path / "out")
    assert done.exit_code == 2
    one_line(done, "--video, --raw: for films alone")


def test_without_pyav_one_line_says_what_to_install(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    done = normals(film, "-o", tmp_path)
    assert done.exit_code == 1
    one_line(done, r"films need PyAV: pip install 'facerelief\[video\]'")


def test_cuts_are_seen_and_motion_and_flashes_are_none() -> None:
    one = list(clips.pictures(20, path=lambda t: (300 * t, 0), noise=4))
    other = [np.ascontiguousarray(frame[:, ::-1]) for frame in one]
    bright = [*one[:6], np.clip(one[6] * 1.4 + 40, 0, 255).astype(np.uint8), *one[7:]]
    for frames, expected in ((one, []), (bright, []), (one[:9] + other[9:15] + one[15:], [9, 15])):
        cuts = steps.Cuts()
        assert [index for index, frame in enumerate(frames) if cuts(frame)] == expected


def test_a_part_is_whole_when_it_is_closed(tmp_path: Path) -> None:
    from fractions import Fraction

    writer = PartWriter(tmp_path / "part.nut", Fraction(1, 90000), Fraction(30))
    frames = list(clips.pictures(3, (160, 120)))
    for index, frame in enumerate(frames):
        writer.put(frame, 7 + 3003 * index)
    writer.close()
    found = clips.frames_of(tmp_path / "part.nut")
    assert min(psnr(a, b) for a, b in zip(frames, found, strict=True)) > 30
    np.testing.assert_allclose(
        clips.times_of(tmp_path / "part.nut"), (7 + 3003 * np.arange(3)) / 90000, atol=1e-6
    )


def test_memory_does_not_grow_with_a_film() -> None:
    """No stage is more than some pictures ahead of the next."""
    made = []

    def many():
        for index in range(1000):
            made.append(index)
            yield index

    items = steps.ahead(many())
    for index in range(5):
        assert next(items) == index
    time.sleep(0.3)
    assert len(made) <= 5 + steps.AHEAD + 2
    items.close()
    assert len(made) <= 5 + 2 * (steps.AHEAD + 2) and running.PART <= 100
