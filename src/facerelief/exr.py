"""OpenEXR files written: half or whole floats, ZIP compression, a band of rows at a time.

The format is that of "OpenEXR File Layout" (openexr.com); the compression's predictor is that of
its `ImfZip`. Nothing small and well kept writes it without a compiler, and we need little of it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from math import ceil

import numpy as np

from facerelief.arrays import FloatArray
from facerelief.encode import MARK, deflate

ROWS = 16  # of one compressed block
_MAGIC, _VERSION = 20000630, 2
_HALF, _FLOAT, _ZIP = 1, 2, 3


def to_exr(
    bands: Iterable[FloatArray],
    size: tuple[int, int],
    channels: str,
    text: Mapping[str, str] | None = None,
    *,
    whole: bool = False,
) -> bytes:
    """The EXR of a picture of `size` (height, width).

    Args:
        bands: its rows from the top down, (h, width, C) each; every h but the last is a multiple
            of `ROWS`.
        channels: the names of the C channels, one letter each, such as "RGBA".
        text: more attributes of the header.
        whole: floats of 32 bits, not of 16.
    """
    order = sorted(range(len(channels)), key=channels.__getitem__)
    text = {"software": MARK["Software"], **(text or {})}
    kind = _FLOAT if whole else _HALF
    header = _header(size, [channels[index] for index in order], text, kind)
    places: list[int] = []
    # One after the other: a picture of a large photo is not in memory twice.
    buffer = io.BytesIO(header)
    buffer.seek(len(header) + 8 * ceil(size[0] / ROWS))
    for block in _blocks(bands, order, "<f4" if whole else "<f2"):
        places.append(buffer.tell())
        buffer.write(block)
    buffer.seek(len(header))
    buffer.write(struct.pack(f"<{len(places)}Q", *places))
    return buffer.getvalue()


def _header(
    size: tuple[int, int], channels: list[str], text: Mapping[str, str], kind: int
) -> bytes:
    height, width = size
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3x2i", kind, 0, 1, 1) for name in channels
    )
    attributes = [
        *((key, "string", value.encode()) for key, value in text.items()),
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]
    parts = [struct.pack("<2i", _MAGIC, _VERSION)]
    for name, type_, value in attributes:
        parts.append(f"{name}\0{type_}\0".encode() + struct.pack("<i", len(value)) + value)
    return b"".join([*parts, b"\0"])


def _blocks(bands: Iterable[FloatArray], order: list[int], dtype: str) -> Iterable[bytes]:
    top, blank = 0, dict[int, bytes]()  # most of a photo has no face: made once
    for band in bands:
        for start in range(0, len(band), ROWS):
            rows = band[start : start + ROWS]
            if rows.any():
                data = _packed(rows, order, dtype)
            else:
                data = blank.get(len(rows)) or _packed(rows, order, dtype)
                blank[len(rows)] = data
            yield struct.pack("<2i", top, len(data)) + data
            top += len(rows)


def _packed(rows: FloatArray, order: list[int], dtype: str) -> bytes:
    """Rows (h, width, C) as ImfZip has them: bytes apart, differences, deflated if that helps."""
    planes = np.moveaxis(rows[..., order], -1, 1)  # in each row, channel after channel
    plain = np.ascontiguousarray(planes, dtype).view(np.uint8).ravel()
    apart = np.concatenate([plain[0::2], plain[1::2]])
    steps = apart.copy()
    np.subtract(apart[1:], apart[:-1], out=steps[1:])
    steps[1:] += np.uint8(128)
    packed = deflate(steps.data)
    return packed if len(packed) < plain.size else plain.tobytes()
