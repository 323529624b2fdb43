"""Photos as their files have them, and upright: the eight ways of EXIF."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112  # the EXIF tag
#: What `turns` says of its values.
_TURNS = {
    2: (False, False, True), 3: (False, True, True), 4: (False, True, False),
    5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def orientation_of(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # tags are read by the same code as pictures, and are worth less
        return 1


def turns(orientation: int) -> tuple[bool, bool, bool]:
    """Whether x and y change places, then whether the rows and the columns turn round."""
    return _TURNS.get(orientation, (False, False, False))


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) as stored, turned as the EXIF tag says."""
    if orientation not in _TURNS:
        return pixels
    swap, down, across = _TURNS[orientation]
    pixels = pixels.swapaxes(0, 1) if swap else pixels
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if across else 1])


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Pillow's picture, of any mode, turned as the EXIF tag says."""
    swap, down, across = turns(orientation)
    ways = Image.Transpose
    for wanted, turn in (
        (swap, ways.TRANSPOSE),
        (down, ways.FLIP_TOP_BOTTOM),
        (across, ways.FLIP_LEFT_RIGHT),
    ):
        image = image.transpose(turn) if wanted else image
    return image


def stored(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Upright pixels (h, w, ...) as a file of this orientation has them: undoes `upright`."""
    swap, down, across = turns(orientation)
    pixels = pixels[:: -1 if down else 1, :: -1 if across else 1]
    return pixels.swapaxes(0, 1) if swap else pixels


def stored_box(
    rows: tuple[int, int], columns: tuple[int, int], size: tuple[int, int], orientation: int
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, as stored, of rows and columns of an upright (height, width)."""
    (top, bottom), (left, right), (height, width) = rows, columns, size
    swap, down, across = turns(orientation)
    if down:
        top, bottom = height - bottom, height - top
    if across:
        left, right = width - right, width - left
    return (top, left, bottom, right) if swap else (left, top, right, bottom)
