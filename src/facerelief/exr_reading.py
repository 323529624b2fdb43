"""OpenEXR files that are simple: one part of scan lines, without compression or by ZIP or run
lengths. What `exr` writes, and what most tools save environment maps as.

By "OpenEXR File Layout" (openexr.com). Multi-part and tiled files, and wavelet and lossy
compression, are told and not read.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x76\x2f\x31\x01"
_ROWS = {0: 1, 1: 1, 2: 1, 3: 16}  # of a block, by compression: none, RLE, ZIPS, ZIP
_TYPES = {0: "<u4", 1: "<f2", 2: "<f4"}
_NAMES = {4: "PIZ", 5: "PXR24", 6: "B44", 7: "B44A", 8: "DWAA", 9: "DWAB"}
_MOST = 2**27  # pixels


class ExrError(ValueError):
    """A file that is no readable EXR; one line that says why."""


def read_exr(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Channels (H, W) of a file by their names. Raises ExrError."""
    try:
        return _read(content)
    except (struct.error, IndexError, ValueError, zlib.error, KeyError) as error:
        if isinstance(error, ExrError):
            raise
        raise ExrError("a broken EXR") from None


def _read(content: bytes) -> dict[str, NDArray[np.float32]]:
    if content[:4] != _MAGIC:
        raise ExrError("no EXR")
    if struct.unpack_from("<I", content, 4)[0] & 0x1A00:
        raise ExrError("an EXR of tiles or several parts, which are not read")
    attributes, place = _attributes(content, 8)
    compression = attributes["compression"][0]
    if compression not in _ROWS:
        name = _NAMES.get(compression, compression)
        raise ExrError(f"an EXR compressed by {name}; save it with ZIP or without compression")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1 or width * height > _MOST:
        raise ExrError(f"an EXR of {width} x {height} pixels")
    channels = _channels(attributes["channels"])
    rows = _ROWS[compression]
    blocks = -(-height // rows)
    result = {name: np.empty((height, width), np.float32) for name, _ in channels}
    line = sum(np.dtype(kind).itemsize for _, kind in channels) * width
    for offset in struct.unpack_from(f"<{blocks}Q", content, place):
        y, size = struct.unpack_from("<2i", content, offset)
        count = min(rows, bottom - y + 1)
        if not top <= y <= bottom or size < 0:
            raise ExrError("a broken EXR")
        packed = content[offset + 8 : offset + 8 + size]
        raw = _unpacked(packed, compression, count * line)
        for row in range(count):
            start = row * line
            for name, kind in channels:
                found = np.frombuffer(raw, kind, width, start)
                result[name][y - top + row] = found
                start += found.nbytes
    return result


def _attributes(content: bytes, place: int) -> tuple[dict[str, bytes], int]:
    found = {}
    while content[place]:
        end = content.index(b"\0", place)
        name = content[place:end].decode("latin-1")
        end = content.index(b"\0", end + 1)
        (size,) = struct.unpack_from("<i", content, end + 1)
        if size < 0:
            raise ExrError("a broken EXR")
        found[name] = content[end + 5 : end + 5 + size]
        place = end + 5 + size
    return found, place + 1


def _channels(data: bytes) -> list[tuple[str, str]]:
    channels, place = [], 0
    while data[place]:
        end = data.index(b"\0", place)
        kind, _, across, down = struct.unpack_from("<iB3x2i", data, end + 1)
        if (across, down) != (1, 1):
            raise ExrError("an EXR with channels of fewer pixels, which are not read")
        channels.append((data[place:end].decode("latin-1"), _TYPES[kind]))
        place = end + 17
    return channels


def _unpacked(packed: bytes, compression: int, size: int) -> bytes:
    if compression == 0 or len(packed) == size:
        raw = packed
    else:
        if compression == 1:
            mixed = _runs(packed)
        else:
            mixed = zlib.decompressobj().decompress(packed, size + 1)
        steps = np.frombuffer(mixed, np.uint8).astype(np.int64)
        steps[1:] -= 128
        apart = np.cumsum(steps).astype(np.uint8)
        half = (len(apart) + 1) // 2
        together = np.empty_like(apart)
        together[0::2], together[1::2] = apart[:half], apart[half:]
        raw = together.tobytes()
    if len(raw) != size:
        raise ExrError("a broken EXR")
    return raw


def _runs(packed: bytes) -> bytes:
    result, place = bytearray(), 0
    while place < len(packed):
        (count,) = struct.unpack_from("<b", packed, place)
        if count < 0:
            result += packed[place + 1 : place + 1 - count]
            place += 1 - count
        else:
            result += packed[place + 1 : place + 2] * (count + 1)
            place += 2
    return bytes(result)
