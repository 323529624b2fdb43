"""What of a face is not to be relied on, as its picture and its mask tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from facerelief.arrays import BoolArray

_SMALL = 48.0  # photo pixels of a crop's side
#: Of `sharpness`: of 21 photographs of seven sources the least sharp has 0.054; blurred by two
#: pixels of a crop of 119, or shrunk to a crop of 28 pixels, one of 0.091 has 0.02 and 0.03.
_BLURRED = 0.03
_NOISE = 0.6  # of `sharpness`: noise alone has 0.98
_EMPTY = 0.05  # of the crop; a face fills about half of it


def of_picture(picture: NDArray[np.uint8], side: float) -> Iterator[str]:
    """For a crop's picture (256, 256, 3), whose side is `side` photo pixels."""
    sharp = sharpness(picture)
    if side < _SMALL:
        yield f"the face is small, {side:.0f} pixels: its shape is coarse"
    elif sharp < _BLURRED:
        yield "the face is blurred: its shape is coarse"
    if sharp > _NOISE:
        yield "most of the picture is noise: its shape is a guess"


def of_mask(mask: BoolArray) -> Iterator[str]:
    """For the pixels of a crop that show a face."""
    share = mask.mean()
    if share < _EMPTY:
        yield f"hardly any face is seen, on {100 * share:.1f} % of the crop"


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Contrast (standard deviation of brightness) finer than two pixels, over all of it."""
    grey = Image.fromarray(picture).convert("L")
    values, smooth = (np.asarray(p, np.float32) for p in (grey, grey.filter(GaussianBlur(2))))
    return float((values - smooth).std() / max(values.std(), 1))
