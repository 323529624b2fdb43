"""A photo of which a part changes: all else stays as its file has it.

The picture is written in its own mode, with its own alpha, profile, EXIF and resolution, and pixels
that do not change keep their values: 16 bits too, where Pillow reads them (grey). What the format
that is asked for cannot hold becomes 8-bit sRGB, over white.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from facerelief.colour import Meaning
from facerelief.encode import MARK, picture_format
from facerelief.images import Pixels
from facerelief.inputs import PhotoError
from facerelief.orientation import ORIENTATION, stored, stored_box, turned
from facerelief.photo_files import PhotoFile, reading


@dataclass(frozen=True)
class _Holds:
    """What a format holds."""

    modes: tuple[str, ...] = ("RGB",)  # Pillow's
    more: bool = True  # profiles, EXIF and resolution
    turns: bool = False  # whether readers turn pictures by their EXIF


_DEEP = ("L", "LA", "RGB", "RGBA", "I;16")
_FORMATS = {
    "PNG": _Holds(_DEEP),
    "TIFF": _Holds(_DEEP, turns=True),
    "JPEG": _Holds(("L", "RGB"), turns=True),
    "WEBP": _Holds(("RGB", "RGBA")),
    "AVIF": _Holds(("RGB", "RGBA")),
}
#: EXIF tags that say what a picture shows; the other ones of a TIFF say how it is stored.
_DESCRIPTIONS = (270, 271, 272, ORIENTATION, 305, 306, 315, 33432, 34665, 34853)
_QUALITY = 95  # of what is no JPEG and becomes one, or WebP and the like

#: Rows and columns of the upright photo, and how much their sRGB values change, (h, w, 3).
Change = tuple[tuple[slice, slice], NDArray[np.float32]]


def with_changes(photo: Pixels, changes: Iterable[Change]) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a photo, with `changes`; where there is no file to keep."""
    result = np.array(photo)
    for window, change in changes:
        result[window] = np.clip(np.rint(result[window] + change), 0, 255)
    return result


def retouched(
    file: PhotoFile, changes: Iterable[Change], suffix: str, marked: bool = False
) -> bytes:
    """The content of a file whose name ends in `suffix`: that of `file`, with `changes`.

    With `marked` a PNG or JPEG has our `encode.MARK`: a later run knows whose it is.

    Raises PhotoError for a broken file or one too large to be read in full, and ValueError for a
    suffix that says no format.
    """
    format = picture_format(suffix)
    holds = _FORMATS.get(format, _Holds(more=False))
    if file.least_factor > 1:
        raise PhotoError(f"{file.name}: too large to be read in full")
    image, meaning, turn = file.loaded(1)
    with reading(file.name):
        more = _more(image, format, holds) if holds.more else {}
        mode = image.mode
        image, own = _as_held(image, meaning, format, holds)
        if not own:
            meaning = Meaning()
            more.pop("icc_profile", None), more.pop("pnginfo", None)
        if format == "JPEG" and image.mode != mode:
            more.pop("qtables", None), more.pop("subsampling", None)
        size = (image.width, image.height) if turn > 4 else (image.height, image.width)
        for (rows, columns), change in changes:
            edges = (rows.start, rows.stop), (columns.start, columns.stop)
            box = stored_box(*edges, size, turn)
            image.paste(_changed(image.crop(box), meaning, stored(change, turn)), box[:2])
        image = image if holds.turns else turned(image, turn)
        if marked and format == "PNG":
            more.setdefault("pnginfo", PngInfo()).add_text("Software", MARK["Software"])
        elif marked and format == "JPEG":
            more["comment"] = MARK["Software"]
        # Not in memory, which has no room for a large picture and its file at once.
        with TemporaryFile() as buffer:
            more = more if "qtables" in more else {"quality": _QUALITY, **more}
            image.save(buffer, format, compress_level=1, **more)
            del image
            buffer.seek(0)
            return buffer.read()


def _more(image: Image.Image, format: str, holds: _Holds) -> dict[str, Any]:
    """What is kept beside the pixels, as Pillow takes it when it saves."""
    more: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    if "dpi" in image.info:
        more["dpi"] = image.info["dpi"]
    tags = _tags(image, holds)
    if tags:
        more["exif"] = tags
    if format == "PNG":
        chunks = PngInfo()
        if "gamma" in image.info:
            chunks.add(b"gAMA", struct.pack(">I", round(image.info["gamma"] * 1e5)))
        if "srgb" in image.info:
            chunks.add(b"sRGB", bytes([image.info["srgb"]]))
        more["pnginfo"] = chunks
    if format == "JPEG" and isinstance(image, JpegImagePlugin.JpegImageFile):
        # With its own tables, what has been through them once hardly changes again.
        more["qtables"] = image.quantization
        more["subsampling"] = JpegImagePlugin.get_sampling(image)
    return more


def _tags(image: Image.Image, holds: _Holds) -> Image.Exif | None:
    """The EXIF tags, without a small picture of what the photo was before."""
    try:
        found = image.getexif()
        if image.format == "TIFF":
            described = {tag: found[tag] for tag in _DESCRIPTIONS if tag in found}
            inner = {tag: found.get_ifd(tag) for tag in (34665, 34853) if tag in found}
            found = Image.Exif()
            found.update({**described, **inner})
        if not holds.turns:
            found.pop(ORIENTATION, None)
        found.tobytes()
    except Exception:  # they are read by the same code as pictures, and are worth less
        return None
    return found or None


def _as_held(
    image: Image.Image, meaning: Meaning, format: str, holds: _Holds
) -> tuple[Image.Image, bool]:
    """The picture in a mode that the format has, and whether its values are still its own."""
    if image.mode in ("P", "PA") or (image.has_transparency_data and image.mode in ("L", "RGB")):
        # Palettes have no room for new colours; a transparent one becomes alpha.
        grey = image.mode == "L"
        alpha = image.has_transparency_data
        image = image.convert(("LA" if grey else "RGBA") if alpha else "RGB")
    own = (
        image.mode in holds.modes
        and not meaning.inverted
        and (meaning.gamma is None or format == "PNG")
        and (meaning.transform is None or (holds.more and meaning.back is not None))
    )
    return (image, True) if own else (Image.fromarray(meaning.pixels(image)), False)


def _changed(part: Image.Image, meaning: Meaning, change: NDArray[np.float32]) -> Image.Image:
    """A part of the picture, stored as it is, whose sRGB values change."""
    if meaning.white is not None:
        values = np.asarray(part) + change.mean(-1) * (meaning.white / 255)
        return Image.fromarray(np.rint(values).clip(0, meaning.white).astype(np.uint16))
    colours, alpha = part, None
    if part.mode in ("LA", "RGBA"):
        alpha = part.getchannel("A")
        colours = part.convert(part.mode[:-1])
        share = np.asarray(alpha, np.float32)[..., None] / 255
        # The change is that of what is seen over white.
        change = np.divide(change, share, out=np.zeros_like(change), where=share > 0)
    old, before = np.asarray(colours), meaning.pixels(colours)
    after = np.rint(before + change).clip(0, 255).astype(np.uint8)
    # What a profile loses on the way there and back is lost in both.
    difference = _own(meaning, after, old.ndim) - _own(meaning, before, old.ndim)
    new = Image.fromarray((old + difference).clip(0, 255).astype(np.uint8))
    if alpha is not None:
        new.putalpha(alpha)
    return new


def _own(meaning: Meaning, colours: NDArray[np.uint8], axes: int) -> NDArray[np.int16]:
    """sRGB colours (h, w, 3) as values of the picture, which has so many axes."""
    values = meaning.values(colours).astype(np.int16)
    return values if values.ndim == axes else np.rint(values.mean(-1)).astype(np.int16)
