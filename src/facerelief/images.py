"""Photos in, whatever they come as."""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.colour import Bytes
from facerelief.inputs import PhotoError
from facerelief.orientation import upright
from facerelief.photo_files import PhotoFile, Picture, check_size, load, reading

#: What can be a photo: a path ("-" for what is piped in), the content of a file as bytes or as a
#: stream, a Pillow image, an array.
Source = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | NDArray[Any] | Picture
#: A photo (H, W, 3), RGB uint8: a large one is not an array as a whole.
Pixels = NDArray[np.uint8] | Picture


def load_photo(source: Source) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) from a file, a Pillow image or an array, upright by its EXIF tag.

    A file is a path ("-" reads what is piped in), its content as `bytes`, or a stream. Colours
    become sRGB by the picture's profile. Grey becomes three equal channels, 16 bits become 8, an
    animation gives its first frame and transparent pixels are laid over white, as a browser shows
    them. Arrays are RGB, (H, W) or (H, W, 1 to 4) with alpha last: uint8, uint16, bool, or float
    in [0, 1].

    Raises PhotoError where there is no photo to be had: a missing, empty, broken or foreign file,
    a side under 16 pixels, or more pixels than can be read (see the documentation of limits).
    """
    return np.asarray(open_photo(source))


def open_photo(source: Source) -> Pixels:
    """As `load_photo`, but a large photo is decoded as far as it is looked at, when it is."""
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        name = "the image"
        with reading(name):
            check_size(*source.size, name)
            meaning, orientation = load(source, name)
            return upright(meaning.pixels(source), orientation)
    return PhotoFile(source).read()


def seen_at(photo: Pixels, scale: float) -> tuple[Bytes, int, tuple[int, int]]:
    """The whole photo for a look at one in `scale` pixels, as `Picture.at`; an array is itself."""
    if isinstance(photo, Picture):
        pixels, factor, corner = photo.at(scale)
        return np.asarray(pixels), factor, corner
    return photo, 1, (0, 0)


def _from_array(array: NDArray[Any], name: str = "the array") -> Bytes:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise PhotoError(f"{name}: shape {array.shape}, a photo is (H, W) or (H, W, 1 to 4)")
    check_size(array.shape[1], array.shape[0], name)
    values = _to_uint8(array, name)
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:].astype(np.float32) / 255
        values = np.rint(values[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _to_uint8(array: NDArray[Any], name: str) -> Bytes:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise PhotoError(f"{name}: values outside [0, 1], where a float photo lies")
        return np.rint(array * 255).astype(np.uint8)
    raise PhotoError(f"{name}: {array.dtype} values; a photo is uint8, uint16, bool or float")
