"""Our EXR writer, against the format's own text and against a reader that others wrote."""

import struct
import zlib

import numpy as np
import pytest

from facerelief.encode import is_marked
from facerelief.exr import to_exr


def read(content: bytes) -> tuple[dict[str, bytes], np.ndarray]:
    """Attributes, and pixels (H, W, C), channels by name: slowly, byte by byte as ImfZip says."""
    assert struct.unpack_from("<2i", content) == (20000630, 2)
    place, attributes = 8, {}
    while content[place]:
        name, kind, rest = content[place:].split(b"\0", 2)
        (size,) = struct.unpack_from("<i", rest)
        attributes[name.decode()] = rest[4 : 4 + size]
        place += len(name) + len(kind) + 2 + 4 + size
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    channels = attributes["channels"].count(b"\1\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0")
    pixels = np.zeros((height, width, channels), np.float32)
    for index in range(-(-height // 16)):
        (start,) = struct.unpack_from("<Q", content, place + 1 + 8 * index)
        first, size = struct.unpack_from("<2i", content, start)
        assert first == 16 * index
        rows = min(16, height - first)
        raw, length = content[start + 8 : start + 8 + size], rows * width * channels * 2
        if size < length:
            steps = bytearray(zlib.decompress(raw))
            for at in range(1, len(steps)):
                steps[at] = (steps[at - 1] + steps[at] - 128) % 256
            half = (length + 1) // 2
            raw = bytes(steps[at // 2 + half * (at % 2)] for at in range(length))
        values = np.frombuffer(raw, "<f2").reshape(rows, channels, width)
        pixels[first : first + rows] = values.transpose(0, 2, 1)
    return attributes, pixels


def picture(height: int, width: int) -> np.ndarray:
    values = np.random.default_rng(0).uniform(-1, 1, (height, width, 4)).astype(np.float32)
    values[10:20, 3:30] = np.linspace(0, 1, 4)
    values[32:] = 0  # blocks of nothing
    return values


@pytest.mark.parametrize("size", [(1, 1), (16, 5), (70, 33)])
def test_pixels_come_back_as_halves(size: tuple[int, int]) -> None:
    values = picture(*size)
    bands = [values[start : start + 32] for start in range(0, len(values), 32)]
    attributes, found = read(to_exr(bands, size, "RGBA", {"normalFrame": "opengl"}))
    np.testing.assert_array_equal(found, values[..., [3, 2, 1, 0]].astype(np.float16))  # A B G R
    assert attributes["normalFrame"] == b"opengl" and attributes["channels"].startswith(b"A\0")


def test_it_bears_our_mark(tmp_path) -> None:
    (tmp_path / "a.exr").write_bytes(to_exr([picture(4, 4)], (4, 4), "RGBA"))
    assert is_marked(tmp_path / "a.exr")


def test_a_reader_that_others_wrote_agrees(tmp_path) -> None:
    mitsuba = pytest.importorskip("mitsuba")
    mitsuba.set_variant("scalar_rgb")
    values = picture(70, 33)
    (tmp_path / "a.exr").write_bytes(to_exr([values], (70, 33), "RGBA"))
    found = np.array(mitsuba.Bitmap(str(tmp_path / "a.exr")))
    np.testing.assert_array_equal(found.astype(np.float32), values.astype(np.float16))
