"""Photos in files: the formats that are opened, what they may cost, how their pixels are read.

A photo of up to `WHOLE` pixels is read at once, as an array. A larger one becomes a `Picture`: it
is decoded in the sizes that are asked for (JPEG files small from the start), stays as Pillow has
it, and only parts of it become arrays.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from importlib import import_module
from math import ceil
from pathlib import Path
from threading import RLock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facerelief.colour import Bytes, Meaning, check_layout, is_deep, strips
from facerelief.inputs import ForeignError, PhotoError
from facerelief.orientation import orientation_of, stored, stored_box, turns, upright

MIN_SIDE = 16  # pixels: nothing smaller can show a face
MAX_PIXELS = 178_956_970  # where Pillow, too, calls a picture a decompression bomb
MAX_COST = 480 * 2**20  # bytes that decoding may take, by `PhotoFile.cost`
_PARTS = 64 * 2**20  # bytes of it that stay while networks look at faces
_KEPT = 300 * 2**20  # bytes of a decoded picture that stay while faces are searched
WHOLE = 20_000_000  # pixels up to which a photo is read as one array
STDIN = "-"  # names what is piped in
_MAX_STREAM = 256 * 2**20  # bytes of a file that comes through a pipe
_PATIENCE = 10  # seconds without a byte after which a pipe is given up

# The formats that are opened, in this order, the modules of Pillow that read them, and the bytes a
# pixel that their decoders hold beside Pillow's picture. PostScript is none: it is a program.
# fmt: off
FORMATS = {
    "JPEG": ("Jpeg", 0), "PNG": ("Png", 0), "WEBP": ("WebP", 13), "AVIF": ("Avif", 6),
    "JPEG2000": ("Jpeg2K", 16), "MPO": ("Mpo", 0), "TIFF": ("Tiff", 4), "GIF": ("Gif", 4),
    "BMP": ("Bmp", 0), "PPM": ("Ppm", 0), "HEIF": ("", 4), "TGA": ("Tga", 0),
}
# fmt: on
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

Window = tuple[slice, slice]  # rows and columns


class Picture:
    """A large photo, upright, that is never an array as a whole unless `numpy.asarray` makes one.

    It has the shape and type of an RGB array (H, W, 3) uint8, and slices of rows and columns.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, file: PhotoFile, shape: tuple[int, int]) -> None:
        self.shape = (*shape, 3)
        self._file = file
        self._levels: dict[int, Bytes] = {}
        self._parts: list[tuple[tuple[slice, slice], Bytes]] = []
        self._lock = RLock()

    def __getitem__(self, window: tuple[slice, slice]) -> Bytes:
        """The pixels of rows and columns, (h, w, 3)."""
        height, width = self.shape[:2]
        (top, bottom, _), (left, right, _) = (
            part.indices(length) for part, length in zip(window, (height, width), strict=True)
        )
        for (rows, columns), pixels in self._parts:
            if _holds(rows, top, bottom) and _holds(columns, left, right):
                return pixels[
                    top - rows.start : bottom - rows.start,
                    left - columns.start : right - columns.start,
                ]
        image, meaning, turn = self._whole
        box = stored_box((top, bottom), (left, right), (height, width), turn)
        with reading(self._file.name):
            return upright(meaning.pixels(image.crop(box)), turn)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:, :].astype(dtype or self.dtype, copy=False)

    def at(self, scale: float) -> tuple[Picture | Bytes, int, tuple[int, int]]:
        """The picture for a look at one in `scale` pixels: it, or a smaller one, by a factor.

        Returns pixels, the factor, and where the first corner of the smaller picture is in this
        one, x and y: pixels (x, y) there are factor * (x, y) + corner here.
        """
        least = self._file.least_factor
        factor = next((n for n in (8, 4, 2) if 1.5 * n <= scale or n == least), 1)
        if factor == 1:
            return self, 1, (0, 0)
        with self._lock:
            if factor not in self._levels:
                self._levels[factor] = self._smaller(factor)
        pixels = self._levels[factor]
        _, down, across = turns(self._file.turn)
        rows, columns = (
            length - factor * len_small
            for length, len_small in zip(self.shape[:2], pixels.shape[:2], strict=True)
        )
        return pixels, factor, (columns if across else 0, rows if down else 0)

    def keep(self, windows: Iterable[Window]) -> None:
        """Give up the full picture, but for rows and columns that are looked at again.

        As many as there is room for, the smallest first. What has not been decoded is not.
        """
        with self._lock:
            if "_finest" not in vars(self):
                return
            self._make_room()
            if self._file.least_factor == 1:
                room = _PARTS
                for window in sorted(windows, key=_area):
                    room -= 3 * _area(window)
                    if room < 0:
                        break
                    self._parts.append((window, self[window]))
            vars(self).pop("_finest")

    def release(self) -> None:
        """Give up the memory of what was decoded; it is decoded again when it is needed."""
        with self._lock:
            vars(self).pop("_finest", None)
            self._levels.clear()
            self._parts.clear()

    def _make_room(self) -> None:
        """Keep, of the smaller pictures, only those that take little."""
        if 2 in self._levels and 4 not in self._levels:
            self._levels[4] = self._smaller(4)
        self._levels.pop(2, None)

    def _smaller(self, factor: int) -> Bytes:
        finer = max((known for known in self._levels if known < factor), default=None)
        if finer is not None:
            pixels = Image.fromarray(stored(self._levels[finer], self._file.turn))
            return upright(np.array(pixels.reduce(factor // finer)), self._file.turn)
        if self._file.is_scalable and not self._file.is_progressive and "_finest" not in vars(self):
            return self._file.decoded(factor)
        image, meaning, turn = self._finest
        step = factor // self._file.least_factor
        size = (ceil(image.height / step), ceil(image.width / step), 3)
        result = np.empty(size, np.uint8)
        with reading(self._file.name):
            for top, strip in strips(image, step):
                part = Image.fromarray(meaning.pixels(strip)).reduce(step)
                result[top // step :][: part.height] = np.asarray(part)
        # Most photos need no more of it than this. Of a progressive one the decoder takes most: it
        # works once, before networks take their share.
        if not (self._levels or self._file.is_progressive) and self._file.cost > _KEPT:
            vars(self).pop("_finest")
        return upright(result, turn)

    @property
    def _whole(self) -> tuple[Image.Image, Meaning, int]:
        """Pillow's picture in full, what its values mean, and its EXIF orientation."""
        if self._file.least_factor > 1:
            raise PhotoError(f"{self._file.name}: too large to be read in full")
        return self._finest

    @cached_property
    def _finest(self) -> tuple[Image.Image, Meaning, int]:
        """As `_whole`, as many times smaller as the file is read at least."""
        with self._lock:
            self._make_room()
            return self._file.loaded(self._file.least_factor)


class PhotoFile:
    """A photo whose file has been opened, but not read yet.

    Attributes:
        name: what errors call it; for bytes that were somewhere, where.
        is_scalable: whether it can be decoded at a half, a quarter or an eighth of its size.
        is_progressive: whether its decoder holds all of it at full size, whatever the size wanted.
        cost: bytes that reading it takes at most, and its pixels then.

    Raises PhotoError for a file that is none, too small or too large.
    """

    def __init__(
        self, source: str | os.PathLike[str] | bytes | IO[bytes], name: str | None = None
    ) -> None:
        called, self._open = _content(source)
        self.name = called if name is None else name
        with reading(self.name), self._open() as file, self._opened(file) as image:
            self.size = image.size
            check_size(*image.size, self.name)
            self.is_scalable = image.format in ("JPEG", "MPO")
            self.is_progressive = bool(image.info.get("progressive"))
            self._costs = {
                factor: _cost(image, factor)
                for factor in ((1, 2, 4, 8) if self.is_scalable else (1,))
            }
            self.turn = orientation_of(image) if self.is_scalable else 1
        least = [factor for factor, cost in self._costs.items() if cost <= MAX_COST]
        if not least:
            raise PhotoError(
                f"{self.name}: {self.size[0]} x {self.size[1]} pixels of this kind take "
                f"{min(self._costs.values()) / 2**20:.0f} MB, more than {MAX_COST // 2**20}"
            )
        self.least_factor = least[0]
        self.cost = self._costs[self.least_factor] + 3 * min(self.size[0] * self.size[1], WHOLE)

    def read(self) -> Bytes | Picture:
        """Its pixels. Raises PhotoError for a broken file."""
        width, height = self.size
        if width * height <= WHOLE and self.least_factor == 1:
            return self.decoded(1)
        picture = Picture(self, (width, height) if self.turn > 4 else (height, width))
        if not self.is_scalable:  # what it really is shows when it is loaded
            image, _, self.turn = picture._whole
            swap = self.turn > 4
            picture.shape = (*((image.width, image.height) if swap else image.size[::-1]), 3)
        return picture

    def decoded(self, factor: int) -> Bytes:
        """RGB uint8 (H, W, 3), upright, `factor` times smaller."""
        image, meaning, turn = self.loaded(factor)
        with reading(self.name):
            return upright(meaning.pixels(image), turn)

    def loaded(self, factor: int) -> tuple[Image.Image, Meaning, int]:
        """Pillow's picture `factor` times smaller, what its values mean, its EXIF orientation."""
        with reading(self.name), self._open() as file:
            image = self._opened(file)
            if factor > 1:
                image.draft(image.mode, (image.width // factor, image.height // factor))
            return (image, *load(image, self.name))

    def _opened(self, file: IO[bytes]) -> Image.Image:
        try:
            return Image.open(file, formats=formats())
        except UnidentifiedImageError:
            file.seek(0)
            beginning = file.read(12)
        raise ForeignError(f"{self.name}: {_foreign(beginning)}")


def _holds(part: slice, start: int, stop: int) -> bool:
    return bool(part.start <= start <= stop <= part.stop)


def _area(window: Window) -> int:
    rows, columns = window
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def load(image: Image.Image, name: str) -> tuple[Meaning, int]:
    """Decode an opened picture; what its values mean, and its EXIF orientation."""
    with reading(name):
        check_layout(image, name)
        deep = is_deep(image)
        image.load()
        return Meaning.of(image, deep, name), orientation_of(image)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever goes wrong while a picture is read becomes a PhotoError that begins with `name`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes from half of MAX_PIXELS on, and of odd tags.
            warnings.simplefilter("ignore")
            yield
    except PhotoError:
        raise
    except Image.DecompressionBombError:
        raise PhotoError(f"{name}: larger than {MAX_PIXELS // 10**6} megapixels") from None
    except MemoryError:
        raise PhotoError(f"{name}: not enough memory") from None
    except Exception as error:  # a format's decoder may raise anything on broken data
        if isinstance(error, OSError) and error.strerror:
            raise PhotoError(f"{name}: cannot be read ({error.strerror})") from None
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise PhotoError(f"{name}: broken picture ({reason})") from None


@lru_cache(maxsize=1)
def formats() -> list[str]:
    """Those of FORMATS that this Pillow reads."""
    for module in filter(None, (module for module, _ in FORMATS.values())):
        with suppress(ImportError):
            import_module(f"PIL.{module}ImagePlugin")
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def check_size(width: int, height: int, name: str) -> None:
    """Raises PhotoError for a photo that is too small or too large."""
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name}: {width} x {height} pixels, a photo needs {MIN_SIDE} on each side"
        )
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{name}: larger than {MAX_PIXELS // 10**6} megapixels")


def _foreign(beginning: bytes) -> str:
    """What a file is that nothing reads, by its first bytes, and what to do about it."""
    if beginning[4:8] == b"ftyp" and beginning[8:] in _HEIF:
        return "a HEIC picture: pip install 'facerelief[heif]' reads it"
    if beginning.startswith(_JPEG_XL):
        return "a JPEG XL picture: convert it to PNG or JPEG, such as by djxl"
    return "not a picture in a known format"


def _cost(image: Image.Image, factor: int) -> int:
    """Bytes that decoding takes at most: Pillow's picture, and what its decoder holds beside it."""
    area = image.width * image.height
    bytes_a_pixel = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode[:2] == "I;" else 4)
    beside: float = FORMATS[image.format or "PNG"][1]
    if image.info.get("progressive"):  # all coefficients, 16 bits each, of a JPEG
        sampling = [(across, down) for _, across, down, _ in getattr(image, "layer", ())]
        most = max((across for across, _ in sampling), default=1) * max(
            (down for _, down in sampling), default=1
        )
        beside = 2 * sum(across * down for across, down in sampling) / most
    return int(area * (bytes_a_pixel / factor**2 + beside))


def _content(
    source: str | os.PathLike[str] | bytes | IO[bytes],
) -> tuple[str, Callable[[], IO[bytes]]]:
    """What to call a source, and how to open it, any number of times."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the bytes", lambda: io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        with reading("the stream"):
            data = _limited(source.read(_MAX_STREAM + 1), "the stream")
        return "the stream", lambda: io.BytesIO(data)
    if str(source) == STDIN:
        with reading("stdin"):
            piped = _limited(sys.stdin.buffer.read(_MAX_STREAM + 1), "stdin")
        return "stdin", lambda: io.BytesIO(piped)
    path, name = Path(source), str(source)
    with reading(name):
        if path.is_dir():
            raise PhotoError(f"{name}: a folder in which no picture was found")
        if not path.exists():
            raise PhotoError(f"{name}: no such file")
        kind = path.stat()
        if stat.S_ISFIFO(kind.st_mode):
            received = _through_pipe(path, name)
            return name, lambda: io.BytesIO(received)
        if not stat.S_ISREG(kind.st_mode):
            raise PhotoError(f"{name}: a device or socket, not a file")
        if kind.st_size == 0:
            raise PhotoError(f"{name}: an empty file")
    return name, lambda: path.open("rb")


def _through_pipe(path: Path, name: str) -> bytes:
    """All that comes out of a named pipe, or of a process that a shell has put in its place."""
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        data = bytearray()
        while len(data) <= _MAX_STREAM:
            if not select.select([pipe], [], [], _PATIENCE)[0]:
                raise PhotoError(f"{name}: a pipe through which nothing came for {_PATIENCE} s")
            part = os.read(pipe, 2**20)
            if not part:
                break
            data += part
    finally:
        os.close(pipe)
    return _limited(bytes(data), name)


def _limited(data: bytes, name: str) -> bytes:
    if not data:
        raise PhotoError(f"{name}: nothing came")
    if len(data) > _MAX_STREAM:
        raise PhotoError(f"{name}: more than {_MAX_STREAM // 2**20} MB, too much for a stream")
    return data
