"""Environment maps from files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from facerelief.environments import read_environment
from facerelief.exr import to_exr
from facerelief.inputs import PhotoError

HEIGHT, WIDTH = 20, 40


def sky() -> np.ndarray:
    """(20, 40, 3) with even parts, for run lengths, and uneven ones."""
    values = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32) * 9
    values[4:9, :30] = (0.5, 0.25, 4)
    return values


def rgbe(values: np.ndarray, packed: bool) -> bytes:
    """A Radiance picture, written by its description: the largest channel has 8 bits."""
    exponent = np.floor(np.log2(values.max(axis=-1))).astype(int) + 1
    mantissa = np.floor(values / np.ldexp(1.0, exponent)[..., None] * 256)
    pixels = np.dstack([mantissa, exponent + 128]).astype(np.uint8)
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % values.shape[:2]
    if not packed:
        return head + pixels.tobytes()
    return head + b"".join(map(_packed_row, pixels))


def _packed_row(row: np.ndarray) -> bytes:
    data = bytes([2, 2, len(row) >> 8, len(row) & 255])
    for plane in row.T:
        start = 0
        while start < len(plane):
            same = 1
            while start + same < len(plane) and same < 127 and plane[start + same] == plane[start]:
                same += 1
            run = bytes([128 + same, plane[start]]) if same > 1 else bytes([1, plane[start]])
            data, start = data + run, start + same
    return data


@pytest.mark.parametrize("packed", [False, True])
def test_radiance(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "sky.hdr"
    path.write_bytes(rgbe(sky(), packed))
    found = read_environment(path)
    assert found.shape == (HEIGHT, WIDTH, 3) and found.dtype == np.float32
    assert np.abs(found - sky()).max() <= 9 / 128  # 8 bits of the largest channel


def test_exr_of_our_own_and_npy(tmp_path: Path) -> None:
    (tmp_path / "sky.exr").write_bytes(to_exr([sky()], (HEIGHT, WIDTH), "RGB"))
    np.save(tmp_path / "sky.npy", sky())
    assert np.abs(read_environment(tmp_path / "sky.exr") - sky()).max() < 0.005
    assert np.array_equal(read_environment(tmp_path / "sky.npy"), sky())


@pytest.mark.parametrize("compression", [0, 1, 2, 3])
def test_exr_of_other_compressions(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "sky.exr"
    path.write_bytes(float_exr(sky(), compression))
    assert np.array_equal(read_environment(path), sky())


def float_exr(values: np.ndarray, compression: int) -> bytes:
    """A file of 32-bit floats by the format's description."""
    height, width = values.shape[:2]

    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    channels = b"".join(n + b"\0" + struct.pack("<iB3x2i", 2, 0, 1, 1) for n in (b"B", b"G", b"R"))
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<2I", 20000630, 2)
    head += attribute(b"channels", b"chlist", channels + b"\0")
    head += attribute(b"compression", b"compression", bytes([compression]))
    head += attribute(b"dataWindow", b"box2i", box) + b"\0"
    rows = 16 if compression == 3 else 1
    blocks = []
    for top in range(0, height, rows):
        part = values[top : top + rows, :, ::-1].astype("<f4")
        raw = np.ascontiguousarray(np.moveaxis(part, -1, 1)).tobytes()
        packed = _compressed(raw, compression)
        packed = packed if len(packed) < len(raw) else raw
        blocks.append(struct.pack("<2i", top, len(packed)) + packed)
    place = len(head) + 8 * len(blocks)
    offsets = []
    for block in blocks:
        offsets.append(place)
        place += len(block)
    return head + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(blocks)


def _compressed(raw: bytes, compression: int) -> bytes:
    if compression == 0:
        return raw
    plain = np.frombuffer(raw, np.uint8)
    apart = np.concatenate([plain[0::2], plain[1::2]]).astype(int)
    steps = np.concatenate([apart[:1], np.diff(apart) + 128]).astype(np.uint8).tobytes()
    if compression > 1:
        return zlib.compress(steps)
    # Runs of one value as the format has them: count - 1, then the value; else -count, values.
    data, start = b"", 0
    while start < len(steps):
        same = 1
        while start + same < len(steps) and same < 127 and steps[start + same] == steps[start]:
            same += 1
        if same > 2:
            data += struct.pack("b", same - 1) + steps[start : start + 1]
        else:
            same = 1
            data += struct.pack("b", -1) + steps[start : start + 1]
        start += same
    return data


def changed(change: str) -> np.ndarray:
    values = sky()
    if change == "nan":
        values[3, 3, 1] = np.nan
    if change == "negative":
        values[0, 0, 0] = -2
    return {"square": values[:, :20], "black": values * 0, "flat": values[0]}.get(change, values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("nan", "1 values are no numbers"),
        ("negative", "down to -2"),
        ("square", "20 x 20 pixels, an equirectangular map is twice as wide"),
        ("black", "black, nothing is lit by it"),
        ("flat", "pixels, an equirectangular"),
    ],
)
def test_what_is_no_environment_is_one_line(tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "sky.npy"
    np.save(path, changed(change))
    with pytest.raises(PhotoError, match=said) as error:
        read_environment(path)
    assert "\n" not in str(error.value) and "sky.npy" in str(error.value)


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    """Cut anywhere, and bytes changed anywhere: a map or a PhotoError, and nothing else."""
    rng = np.random.default_rng(0)
    for name, whole in (
        ("a.hdr", rgbe(sky(), True)),
        ("b.hdr", rgbe(sky(), False)),
        ("c.exr", to_exr([sky()], (HEIGHT, WIDTH), "RGB")),
        ("d.exr", float_exr(sky(), 1)),
    ):
        path, told = tmp_path / name, 0
        for _ in range(60):
            data = bytearray(whole)
            if rng.random() < 0.5:
                del data[int(rng.integers(len(data))) :]
            else:
                for place in rng.integers(len(data), size=3):
                    data[place] = int(rng.integers(256))
            path.write_bytes(data)
            try:
                assert read_environment(path).shape[1] == 2 * len(read_environment(path))
            except PhotoError:
                told += 1
        assert told > 20


def test_missing_files_and_other_formats(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="No such file"):
        read_environment(tmp_path / "none.hdr")
    with pytest.raises(PhotoError, match=r"an \.hdr, \.exr or \.npy"):
        read_environment(tmp_path / "sky.jpg")
