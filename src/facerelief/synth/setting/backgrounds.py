"""What is behind a head: pieces of photographs without their people, or made up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

_SIDE = 320  # pixels, of a photograph that is kept
_KEPT = 1024  # photographs, 200 KB each


def draw_background(g: np.random.Generator, photos: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """(size, size, 3) sRGB: a corner of a photograph, a plain wall, a gradient or blurred noise."""
    kind = g.random()
    if photos and kind < 0.7:
        picture = _photo(photos[int(g.integers(len(photos)))])
        # People stand in the middle of these photographs: take a side, where there is room.
        side = max(int(min(picture.size) * g.uniform(0.25, 0.45)), 8)
        left = int(g.choice([0, picture.width - side]))
        top = int(g.integers(0, max(int(0.6 * (picture.height - side)), 0) + 1))
        piece = picture.crop((left, top, left + side, top + side))
        if g.random() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        piece = piece.resize((size, size), Image.Resampling.BICUBIC)
        return np.asarray(piece.filter(ImageFilter.GaussianBlur(g.uniform(0, 4) * size / 256)))
    if kind < 0.8:
        return np.full((size, size, 3), g.integers(0, 256, 3), np.uint8)
    if kind < 0.85:
        return np.zeros((size, size, 3), np.uint8)
    side = int(g.integers(2, 24))
    grey = g.normal(g.uniform(40, 215), g.uniform(5, 50), (side, side, 1))
    colours = grey + g.normal(0, g.uniform(0, 25), (side, side, 3))
    noise = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    return np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))


@lru_cache(maxsize=_KEPT)
def _photo(path: Path) -> Image.Image:
    with Image.open(path) as file:
        file.draft("RGB", (_SIDE, _SIDE))  # JPEGs are decoded no larger than needed
        picture = ImageOps.exif_transpose(file).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    return picture
