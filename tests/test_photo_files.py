"""Large photos are read in parts and sizes, and show what the same photo shows as an array."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facerelief as fr
from facerelief import photo_files
from facerelief.images import load_photo, open_photo, seen_at
from facerelief.inputs import PhotoError
from facerelief.photo_files import PhotoFile, Picture
from facerelief.sampling import bilinear
from facerelief.types import Crop


def saved(folder: Path, image: Image.Image, name: str, turn: int = 1, **options: object) -> Path:
    exif = Image.Exif()
    exif[0x0112] = turn
    image.save(folder / name, exif=exif, **options)
    return folder / name


@pytest.fixture
def smooth() -> Image.Image:
    """101 x 75 pixels, so that no factor divides its sides."""
    noise = np.random.default_rng(1).integers(0, 255, (2, 3, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((101, 75), Image.Resampling.BICUBIC)


def as_picture(path: Path, monkeypatch: pytest.MonkeyPatch) -> Picture:
    monkeypatch.setattr(photo_files, "WHOLE", 0)
    picture = open_photo(path)
    assert isinstance(picture, Picture)
    return picture


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_the_array(
    name: str, turn: int, smooth: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, smooth, name, turn)
    whole = load_photo(path)
    picture = as_picture(path, monkeypatch)
    assert picture.shape == whole.shape
    np.testing.assert_array_equal(np.asarray(picture), whole)
    np.testing.assert_array_equal(picture[10:31, 5:60], whole[10:31, 5:60])
    places = np.random.default_rng(0).uniform(-5, 110, (50, 2))
    np.testing.assert_array_equal(bilinear(picture, places), bilinear(whole, places))


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_smaller_ones_lie_where_the_whole_does(
    name: str, turn: int, smooth: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, smooth, name, turn, **({"quality": 95} if name == "a.jpg" else {}))
    whole = load_photo(path)
    picture = as_picture(path, monkeypatch)
    _, factor, _ = seen_at(picture, 6.5)
    assert factor == 4
    for angle in (0.0, 30.0):
        crop = Crop((picture.shape[1] / 2, picture.shape[0] / 2), 45.0, angle, size=7)
        difference = crop.extract(picture).astype(float) - crop.extract(whole)
        assert np.abs(difference).max() < 6


def test_long_pictures_are_looked_at_in_little_memory() -> None:
    """The search lays a square of the longer side on its side; Pillow refuses one of 20,000."""
    image = np.zeros((1000, 20_000, 3), np.uint8)
    image[:, 10_000:] = 200
    crop = Crop((10_000.0, 500.0), 20_000.0, 90.0, size=640)
    seen = crop.extract(image)
    small = Crop((320.0, 16.0), 640.0, 90.0, size=640).extract(image[16::31, 16::31])
    assert seen.shape == (640, 640, 3)
    assert np.abs(seen.astype(float) - small).mean() < 2
    thin = Crop((32_750.0, 8.0), 65_500.0, 180.0, size=640)
    assert thin.extract(np.full((16, 65_500, 3), 9, np.uint8)).max() <= 9


def test_what_takes_too_much_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 13_000, 13_000, 16, 6, 0, 0, 0)  # RGBA, 16 bits
    check = struct.pack(">I", zlib.crc32(header))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + check + b"\0\0\0\x09IDAT" + bytes(99)
    )
    with pytest.raises(PhotoError, match=r"13000 x 13000 pixels of this kind take 645 MB"):
        open_photo(path)


def test_a_progressive_jpeg_costs_more(smooth: Image.Image, tmp_path: Path) -> None:
    plain = PhotoFile(saved(tmp_path, smooth, "a.jpg"))
    progressive = PhotoFile(saved(tmp_path, smooth, "b.jpg", progressive=True))
    assert plain.cost == 7 * 101 * 75
    assert progressive.cost == 10 * 101 * 75  # all coefficients, of half the colours' lines


def test_a_progressive_jpeg_is_decoded_once(
    smooth: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decoder holds all coefficients however small the picture is that is asked for."""
    monkeypatch.setattr(photo_files, "WHOLE", 0)
    large = smooth.resize((400, 300), Image.Resampling.BICUBIC)
    path = saved(tmp_path, large, "b.jpg", progressive=True, quality=95)
    for least in (1, 2):
        file = PhotoFile(path)
        file.least_factor = least
        decoded: list[int] = []
        loaded = file.loaded
        monkeypatch.setattr(file, "loaded", lambda n: decoded.append(n) or loaded(n))  # noqa: B023
        photo = file.read()
        for scale in (6, 3, 12, 3):
            pixels, factor, _ = photo.at(scale)
            expected = np.asarray(large.reduce(factor)).astype(int)
            assert np.abs(np.asarray(pixels).astype(int) - expected).mean() < 3
        assert decoded == [least]
        photo.release()
        photo.at(6)
        assert decoded == [least, least]


_POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n{} loop\n%%EOF\n"
_OPENED = """
import sys
from PIL import Image
import facerelief as fr
try:
    Image.open(sys.argv[1]).load() if sys.argv[2] == "pillow" else fr.load_photo(sys.argv[1])
except Exception as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is a shell script here")
@pytest.mark.parametrize("ending", ["jpg", "png", "eps"])
def test_postscript_starts_no_interpreter(ending: str, tmp_path: Path) -> None:
    """An endless loop, under whatever name; Pillow alone hands it to `gs`."""
    (tmp_path / "gs").write_text('#!/bin/sh\necho "$@" >>"$(dirname "$0")/called"\nexit 1\n')
    (tmp_path / "gs").chmod(0o755)
    photo = tmp_path / f"a.{ending}"
    photo.write_bytes(_POSTSCRIPT)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for reader, calls in (("ours", False), ("pillow", True)):
        command = [sys.executable, "-c", _OPENED, str(photo), reader]
        said = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True)
        assert (tmp_path / "called").exists() == calls
        if reader == "ours":
            assert said.stdout.decode() == f"{photo}: not a picture in a known format\n"


def test_what_is_kept_of_a_large_photo_is_not_decoded_again(
    smooth: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, smooth, "a.png", turn=6)
    whole = load_photo(path)
    picture = as_picture(path, monkeypatch)
    decoded: list[int] = []
    loaded = picture._file.loaded
    monkeypatch.setattr(picture._file, "loaded", lambda n: decoded.append(n) or loaded(n))
    picture.at(3)
    picture.keep([(slice(10, 60), slice(20, 50))])
    assert "_finest" not in vars(picture)
    np.testing.assert_array_equal(picture[15:60, 20:40], whole[15:60, 20:40])
    assert picture.at(6)[1] == 4 and not decoded  # a smaller picture is made of those there are
    np.testing.assert_array_equal(picture[5:60, 20:40], whole[5:60, 20:40])
    assert decoded == [1]  # a row that was not kept
    monkeypatch.setattr(photo_files, "_PARTS", 100)
    picture.release()
    picture.at(3)
    picture.keep([(slice(0, 5), slice(0, 5)), (slice(0, 9), slice(0, 9))])
    assert [window[0].stop for window, _ in picture._parts] == [5]  # there is no room for more


_PEAK = """
import re, sys
from facerelief.images import open_photo
from facerelief.types import Crop
from facerelief.finding import find
import facerelief.apps.normals
photo = open_photo(sys.argv[1])
find(photo)
Crop((6000, 4500), 300).extract(photo)
# Not ru_maxrss, which a process has from its parent.
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kilobytes are Linux's")
def test_a_large_photo_takes_little_memory(tmp_path: Path) -> None:
    """108 megapixels, searched, and a face cut out of the full ones: 324 MB as an array."""
    path = tmp_path / "large.jpg"
    Image.new("RGB", (12_000, 9_000), (90, 120, 150)).save(path)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 700_000


_RELEASED = """
import re
import numpy as np
from facerelief.finding import find, shared_detector
resident = lambda: int(re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read())[1])
find(np.full((1500, 2000, 3), 90, np.uint8), threads=1)
before = resident()
shared_detector(1).release()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kilobytes are Linux's")
def test_a_search_gives_its_memory_back() -> None:
    """Before the faces of a large photo are decoded."""
    done = subprocess.run(
        [sys.executable, "-c", _RELEASED], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 30_000


@pytest.mark.parametrize("kind", [bytes, io.BytesIO, bytearray])
def test_the_content_of_a_file(kind: type, astronaut: Path) -> None:
    source = kind(astronaut.read_bytes())
    np.testing.assert_array_equal(fr.load_photo(source), load_photo(astronaut))


def test_contents_without_a_photo() -> None:
    for source in (b"", io.BytesIO(), b"no picture"):
        with pytest.raises(PhotoError, match=r"^the (bytes|stream): "):
            load_photo(source)


def test_a_pipe_is_read(astronaut: Path) -> None:
    code = "import sys, facerelief as fr; print(fr.load_photo(sys.argv[1]).shape)"
    command = f'{sys.executable} -c "{code}"'
    for line in (f"{command} <(cat {astronaut})", f"cat {astronaut} | {command} -"):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
        assert done.stdout == "(512, 512, 3)\n", done.stderr


def test_a_pipe_without_a_writer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_files, "_PATIENCE", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PhotoError, match="pipe: a pipe through which nothing came"):
        load_photo(tmp_path / "pipe")
    with pytest.raises(PhotoError, match="/dev/zero: a device"):
        load_photo("/dev/zero")
