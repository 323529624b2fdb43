"""Broken pictures by seed: what disks, networks and bad programs make of photos, and liars.

    for path in write(folder, count, seed): ...

The same seed gives the same bytes with the same Pillow.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

Random = random.Random

#: Formats, and the endings of their files.
FORMATS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jp2", "TIFF": "tif",
    "GIF": "gif", "BMP": "bmp", "PPM": "ppm", "TGA": "tga", "MPO": "mpo",
}  # fmt: skip
#: Modes that are saved, where the format has them.
MODES = ("RGB", "RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "F", "LAB", "YCbCr")
#: Formats that are not opened, whatever they are called.
FOREIGN = ("EPS", "ICO", "PCX", "SGI", "DDS", "IM", "MSP", "XBM", "PDF", "ICNS", "QOI")


def write(folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Write `count` broken pictures, one after the other, each as its path is given."""
    for number in range(count):
        random = Random(seed * 1_000_003 + number)
        name, content = broken(random)
        path = folder / f"{number:05}_{name}"
        path.write_bytes(content)
        yield path


def broken(random: Random) -> tuple[str, bytes]:
    """A name that says what was done, and the content."""
    make = random.choice(MAKERS)
    name, content = make(random)
    for _ in range(random.choice((0, 1, 1, 2))):
        spoil = random.choice(SPOILERS)
        content = spoil(random, content)
        name = f"{spoil.__name__.strip('_')}_{name}"
    return f"{make.__name__.strip('_')}_{name}", content


def _picture(random: Random) -> tuple[str, bytes]:
    """A picture in any format and mode, by Pillow."""
    format = random.choice(list(FORMATS))
    content = _saved(random, format, _image(random, random.choice(MODES)))
    return f"{random.choice(('a', format.lower()))}.{FORMATS[format]}", content


def _misnamed(random: Random) -> tuple[str, bytes]:
    format = random.choice([*FORMATS, *FOREIGN])
    return f"a.{random.choice(list(FORMATS.values()))}", _saved(random, format)


def _animated(random: Random) -> tuple[str, bytes]:
    format = random.choice(("GIF", "PNG", "WEBP", "TIFF"))
    frames = [_image(random, "RGB") for _ in range(3)]
    frames = [frame.resize(frames[0].size) for frame in frames]
    options = {"save_all": True, "append_images": frames[1:]}
    return f"a.{FORMATS[format]}", _saved(random, format, frames[0], **options)


def _tagged(random: Random) -> tuple[str, bytes]:
    """With EXIF that is nonsense, wholly or in part."""
    exif = Image.Exif()
    exif[0x0112] = random.choice((0, 3, 6, 9, 65535))
    content = bytearray(exif.tobytes())
    for _ in range(random.randrange(6)):
        content[random.randrange(len(content))] = random.randrange(256)
    tags = random.choice((bytes(content), b"Exif\0\0" + random.randbytes(40), b"", b"Exif\0\0MM"))
    format = random.choice(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))
    return f"a.{FORMATS[format]}", _saved(random, format, exif=tags)


def _profiled(random: Random) -> tuple[str, bytes]:
    """With a colour profile that is nonsense."""
    profile = random.choice((random.randbytes(300), bytes(128), b"acsp", b"\0\0\0\x80" * 40))
    format = random.choice(("JPEG", "PNG", "TIFF", "WEBP"))
    return f"a.{FORMATS[format]}", _saved(random, format, icc_profile=profile)


def _huge_png(random: Random) -> tuple[str, bytes]:
    """A header of huge or impossible sizes, and almost nothing behind it."""
    sizes = (0, 1, 15, 16, 9000, 13_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1)
    header = struct.pack(
        ">IIBBBBB",
        random.choice(sizes),
        random.choice(sizes),
        random.choice((1, 2, 8, 16, 99)),
        random.choice((0, 2, 3, 4, 6, 7)),
        0,
        0,
        random.choice((0, 1)),
    )
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(5000))), (b"IEND", b""))
    return "a.png", b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _huge_other(random: Random) -> tuple[str, bytes]:
    """The same in formats whose headers are simple."""
    width, height = random.choice(((0, 9), (65_535, 65_535), (13_000, 12_000), (60_000, 20)))
    return random.choice(
        (
            ("a.ppm", f"P{random.randrange(1, 8)}\n{width} {height}\n255\n".encode() + bytes(99)),
            ("a.gif", b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(90)),
            (
                "a.bmp",
                b"BM" + struct.pack("<IHHIIiiHHI", 99, 0, 0, 54, 40, width, -height, 1, 24, 0)
                + bytes(80),
            ),
            ("a.tga", bytes((0, 0, 2)) + bytes(9) + struct.pack("<HH", width, height) + b"\x18\0"),
        )
    )  # fmt: skip


def _tiff_of_lies(random: Random) -> tuple[str, bytes]:
    """Tags of sizes, bits, compression and places drawn at random."""
    values = (0, 1, 2, 3, 5, 7, 8, 12, 16, 32, 200, 32_773, 65_535, 2**32 - 1)
    tags = sorted(random.sample((256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 322, 339), 10))
    entries = b"".join(
        struct.pack("<HHII", tag, random.choice((1, 3, 4, 12, 99)), 1, random.choice(values))
        for tag in tags
    )
    size = struct.pack("<HHIIHHII", 256, 4, 1, 64, 257, 4, 1, 64)
    count = struct.pack("<H", len(tags) + 2)
    link = struct.pack("<I", random.choice((0, 0, 8)))
    return "a.tif", b"II*\0\x08\0\0\0" + count + size + entries + link + random.randbytes(400)


def _text(random: Random) -> tuple[str, bytes]:
    content = random.choice(
        (
            b"",
            b"\0" * 100,
            b"P6\n",
            b"Dear Sir or Madam,\nhere is the photo.\n",
            b"<html><body>404</body></html>",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n",
            random.randbytes(random.randrange(1, 3000)),
        )
    )
    return f"a.{random.choice(list(FORMATS.values()))}", content


def _truncated(random: Random, content: bytes) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _flipped(random: Random, content: bytes) -> bytes:
    """Some bits, anywhere or in the header alone."""
    data = bytearray(content)
    end = random.choice((len(data), min(len(data), 64), min(len(data), 600)))
    for _ in range(random.randrange(1, 12) if end else 0):
        data[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(data)


def _spliced(random: Random, content: bytes) -> bytes:
    """Parts left out, doubled, or of another file."""
    start, stop = sorted(random.randrange(len(content) + 1) for _ in range(2))
    middle = random.choice((b"", content[start:stop] * 2, random.randbytes(50), _saved(random)))
    return content[:start] + middle + content[stop:]


def _padded(random: Random, content: bytes) -> bytes:
    return content + random.choice((b"\0" * 1000, random.randbytes(99), b"\xff\xd9" * 9))


def _filled(random: Random, content: bytes) -> bytes:
    """As a disk does that lost a block."""
    start = random.randrange(len(content) + 1)
    return (
        content[:start]
        + bytes([random.choice((0, 255))]) * min(512, len(content) - start)
        + (content[start + 512 :])
    )


def _image(random: Random, mode: str = "RGB") -> Image.Image:
    size = (random.randrange(12, 80), random.randrange(12, 80))
    smooth = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(smooth).resize(size, Image.Resampling.BICUBIC)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert("RGB" if mode == "LAB" else mode)


def _saved(
    random: Random, format: str = "JPEG", image: Image.Image | None = None, **options: object
) -> bytes:
    """The bytes of a file; of a JPEG file where Pillow cannot write what was asked."""
    image = image or _image(random)
    if format in ("JPEG", "MPO") and random.random() < 0.5:
        options["progressive"] = True
    if format == "TIFF" and random.random() < 0.5:
        kinds = ["tiff_lzw", "packbits", "tiff_adobe_deflate"]
        # What libtiff refuses to write makes Pillow 12.3 crash.
        kinds += ["jpeg"] if image.mode in ("L", "RGB", "CMYK", "YCbCr") else []
        kinds += ["group4"] if image.mode == "1" else []
        options["compression"] = random.choice(kinds)
    for mode, more in ((image.mode, options), (image.mode, {}), ("RGB", {}), ("L", {})):
        buffer = io.BytesIO()
        try:
            (image if mode == image.mode else image.convert(mode)).save(buffer, format, **more)
        except Exception:  # writing is not what is tried here
            continue
        return buffer.getvalue()
    image.convert("RGB").save(buffer := io.BytesIO(), "JPEG")
    return buffer.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


Maker = Callable[[Random], tuple[str, bytes]]
MAKERS: tuple[Maker, ...] = (
    _picture, _picture, _picture, _picture, _misnamed, _animated, _tagged, _profiled, _huge_png,
    _huge_other, _tiff_of_lies, _text,
)  # fmt: skip
SPOILERS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _truncated, _flipped, _flipped, _spliced, _padded, _filled,
)  # fmt: skip
