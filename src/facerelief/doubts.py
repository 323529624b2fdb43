"""What of a face is not to be relied on, as its picture, its mask and its expected error tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from facerelief.arrays import BoolArray, FloatArray

_SMALL = 48.0  # photo pixels of a crop's side
_BLURRED = 0.75  # of `softness`, from which on errors grow by a fifth and more
_NOISE = 0.6  # of `sharpness`: noise alone has 0.98
_EMPTY = 0.05  # of the crop; a face fills about half of it
_WHITE = 0.8  # of a face's pixels
_OFF = 16.0  # degrees expected of a face on average; of good photographs it is 8 to 13

_FINE, _COARSE = 4, 16  # sides of blocks, crop pixels
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
_CLIPPED = 250  # of 255


def of_picture(
    picture: NDArray[np.uint8], side: float, mask: BoolArray | None = None
) -> Iterator[str]:
    """For a crop's picture (256, 256, 3), whose side is `side` photo pixels.

    `mask` (256, 256) says where the face is; without one all of the crop counts.
    """
    if side < _SMALL:
        yield f"the face is small, {side:.0f} pixels: its shape is coarse"
    elif softness(picture, mask) > _BLURRED:
        yield "the face is blurred: its shape is coarse"
    if sharpness(picture) > _NOISE:
        yield "most of the picture is noise: its shape is a guess"
    if (white := whiteness(picture, mask)) > _WHITE:
        yield f"{100 * white:.0f} % of the face is overexposed: its shape is a guess"


def of_mask(mask: BoolArray) -> Iterator[str]:
    """For the pixels of a crop that show a face."""
    share = mask.mean()
    if share < _EMPTY:
        yield f"hardly any face is seen, on {100 * share:.1f} % of the crop"


def of_error(expected: FloatArray, mask: BoolArray) -> Iterator[str]:
    """For the expected error (256, 256), degrees, where the face is in `mask`."""
    mean = float(expected[mask].mean()) if mask.any() else 0.0
    if mean > _OFF:
        yield f"the normals are expected to be off by {mean:.0f} degrees"


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Contrast (standard deviation of brightness) finer than two pixels, over all of it."""
    grey = Image.fromarray(picture).convert("L")
    values, smooth = (np.asarray(p, np.float32) for p in (grey, grey.filter(GaussianBlur(2))))
    return float((values - smooth).std() / max(values.std(), 1))


def softness(picture: NDArray[np.uint8], mask: BoolArray | None = None) -> float:
    """How little of a picture (256, 256, 3) is finer than 16 pixels: at most 1, which is nothing.

    Contrast between neighbouring blocks of 4 x 4 pixels against that between blocks of 16 x 16,
    where both are in `mask`. Where brightness changes evenly it grows with the distance, to the
    fourfold: that is 1. Alike contrast is 0. Neither exposure nor the noise of single pixels
    matters much. Sharp faces have 0.4 to 0.55; those blurred by 8 pixels, or enlarged from 16,
    0.85.
    """
    grey = picture.astype(np.float32) @ _LUMA
    fine, coarse = (_contrast(grey, mask, side) for side in (_FINE, _COARSE))
    ratio = _COARSE / _FINE
    return float(np.log(max(coarse / fine, 1e-3)) / np.log(ratio)) if fine > 0 else 1.0


def whiteness(picture: NDArray[np.uint8], mask: BoolArray | None = None) -> float:
    """Share of a picture's pixels (of those in `mask`) that are white in all three colours."""
    red, green, blue = (picture[..., channel] for channel in range(3))
    # A least over the last axis takes ten times as long.
    white = np.minimum(np.minimum(red, green), blue) >= _CLIPPED
    inside = white if mask is None or not mask.any() else white[mask]
    return float(inside.mean())


def _contrast(grey: NDArray[np.float32], mask: BoolArray | None, side: int) -> float:
    """Root mean square of the differences between neighbouring blocks of `side` pixels."""
    blocks = _blocks(grey, side)
    inside = np.ones(blocks.shape, np.bool_)
    if mask is not None:
        inside = _blocks(mask.astype(np.float32), side) > 0.5
    total, count = 0.0, 0
    for values, known in ((blocks, inside), (blocks.T, inside.T)):
        apart = np.diff(values)[known[:, 1:] & known[:, :-1]]
        total, count = total + float(np.square(apart).sum()), count + apart.size
    return float(np.sqrt(total / max(count, 1)))


def _blocks(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means of blocks of `side` x `side`."""
    height, width = values.shape
    means: NDArray[np.float32] = values.reshape(height // side, side, width // side, side).mean(
        axis=(1, 3)
    )
    return means
