"""Pictures to the bytes of a file.

Pillow's PNG writer tries every filter on every row while it holds Python's lock, and has no 16-bit
colour. One filter ("up": the difference to the row above) and the quickest compression are as small
on our pictures, many times faster, and let other threads work meanwhile.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.giving_up import next_step

#: The text of pictures that are made of photos and are none; JPEGs have it as their comment, EXRs
#: as an attribute.
MARK = {"Software": f"facerelief {__version__}"}
_MARKS = re.compile(
    rb"tEXtSoftware\0facerelief |\xff\xfe..facerelief |software\0string\0....facerelief ", re.DOTALL
)
_NEAR = 2**17  # bytes of a file, in which the mark lies, behind profiles and EXIF
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels -> grey, RGB, RGBA (PNG specification, 11.2.1)
_UP = 2


def to_png(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], text: Mapping[str, str] | None = None
) -> bytes:
    """The PNG of `pixels` (H, W) or (H, W, 1 | 3 | 4), with `text` (Latin-1) in its chunks."""
    next_step()
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    header = *pixels.shape[:2], channels, 8 * pixels.itemsize
    return _png(header, [deflate(_filtered(pixels, None).data)], text)


def bands_to_png(
    bands: Iterable[NDArray[np.uint8] | NDArray[np.uint16]],
    shape: tuple[int, int, int],
    bits: int,
    text: Mapping[str, str] | None = None,
) -> bytes:
    """As `to_png`, of a picture (H, W, 3 | 4) that comes in bands of rows (h, W, C)."""
    next_step()
    return _png((*shape, bits), _compressed(bands), text)


def _compressed(bands: Iterable[NDArray[np.uint8] | NDArray[np.uint16]]) -> Iterator[bytes]:
    compressor, last = _compressor(), None
    for band in bands:
        yield compressor.compress(_filtered(band, last).data)
        last = band[-1:]
    yield compressor.flush()


def _png(
    header: tuple[int, int, int, int], data: Iterable[bytes], text: Mapping[str, str] | None
) -> bytes:
    """The file of a compressed stream: its header is height, width, channels and bits."""
    import png

    height, width, channels, bits = header
    start = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    texts = [
        (b"tEXt", f"{key}\0{value}".encode("latin-1", "replace"))
        for key, value in (text or {}).items()
    ]
    buffer = io.BytesIO()
    # One after the other: a picture of a large photo is not in memory twice.
    parts = ((b"IDAT", part) for part in data if part)
    png.write_chunks(buffer, chain([(b"IHDR", start), *texts], parts, [(b"IEND", b"")]))
    return buffer.getvalue()


def _filtered(pixels: NDArray[Any], above: NDArray[Any] | None) -> NDArray[np.uint8]:
    """Rows of bytes with their filter before them; `above` is the row above them, if one is."""
    first, *rest = [
        np.ascontiguousarray(part, part.dtype.newbyteorder(">")).view(np.uint8)
        for part in (pixels, *([] if above is None else [above]))
    ]
    rows = first.reshape(len(pixels), -1)
    filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0] - rest[0].ravel() if rest else rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def deflate(data: memoryview) -> bytes:
    """A zlib stream of `data`: by ISA-L, four times as fast, where it is installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        compressor = _compressor()
        return compressor.compress(data) + compressor.flush()
    compressed: bytes = isal_zlib.compress(data, 1)
    return compressed


def _compressor() -> Any:
    """What makes a zlib stream of parts."""
    try:
        from isal import isal_zlib
    except ImportError:
        # Run lengths instead of a search for repeats: zlib's quickest that is as small.
        return zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return isal_zlib.compressobj(1)


def to_jpeg(picture: NDArray[np.uint8] | Image.Image) -> bytes:
    """The JPEG of an RGB picture that is no photo, (H, W, 3) or Pillow's, with our `MARK`."""
    return _by_pillow(picture, "JPEG", 92, comment=MARK["Software"])


def is_marked(path: Path) -> bool:
    """Whether the file at `path` is a picture with our `MARK`, which lies near its beginning."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return _MARKS.search(file.read(_NEAR)) is not None
    except (OSError, ValueError):
        return False


def to_picture(pixels: NDArray[np.uint8] | Image.Image, suffix: str) -> bytes:
    """The file of RGB `pixels` (H, W, 3), or of Pillow's picture of them.

    Its name ends in `suffix`: see `picture_format`. Where it must lose something, it loses little.
    """
    format = picture_format(suffix)
    if format == "PNG" and not isinstance(pixels, Image.Image):
        return to_png(pixels)
    return _by_pillow(pixels, format, 95)


def picture_format(suffix: str) -> str:
    """Pillow's name of a format: PNG of ".png". Raises ValueError for what it does not write."""
    format = Image.registered_extensions().get(suffix.lower(), "")
    if format not in Image.SAVE:
        raise ValueError(f"unknown file extension: {suffix}")
    return format


def _by_pillow(
    picture: NDArray[np.uint8] | Image.Image, format: str, quality: int, **more: str
) -> bytes:
    next_step()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    # The level is that of PNG.
    image.save(buffer, format, quality=quality, compress_level=1, **more)
    return buffer.getvalue()
