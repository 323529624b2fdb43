"""Colours and textures of hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from facerelief.arrays import FloatArray

# sRGB of hair in shade and of its highlights; the share among light and dark skinned people; and
# whether age turns it grey.
_COLOURS: tuple[tuple[tuple[int, int, int], tuple[int, int, int], float, float], ...] = (
    ((10, 9, 9), (62, 56, 54), 0.16, 0.72),  # black
    ((24, 17, 13), (92, 70, 56), 0.24, 0.18),  # dark brown
    ((44, 29, 19), (140, 104, 76), 0.22, 0.04),  # brown
    ((74, 52, 32), (186, 150, 108), 0.12, 0.005),  # dark blond
    ((112, 88, 56), (232, 208, 164), 0.10, 0.005),  # blond
    ((74, 28, 12), (190, 96, 52), 0.05, 0.005),  # red
    ((70, 68, 66), (190, 188, 184), 0.06, 0.03),  # grey
    ((130, 128, 124), (240, 238, 234), 0.04, 0.015),  # white
)
_DYED_SHARE = 0.03


@dataclass(frozen=True, eq=False)
class HairColour:
    """Bytes of RGB for every grey level of a strand texture."""

    table: NDArray[np.uint8]  # (256, 3)
    shade: FloatArray  # (3,) sRGB in [0, 1] of the darker strands

    def paint(self, grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 4) RGBA of grey levels and alpha (H, W)."""
        packed = packed_table(self.table, np.zeros(256, np.uint8)).take(grey)
        picture = packed.view(np.uint8).reshape(*grey.shape, 4)
        picture[..., 3] = alpha
        return picture

    def darker(self, factor: float) -> HairColour:
        """The same hue with its brightness times `factor`, as brows are to hair."""
        return HairColour((self.table * factor).astype(np.uint8), self.shade * factor)


def packed_table(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(256,) RGBA as one number each, so that a texture is one look-up."""
    table = np.empty((256, 4), np.uint8)
    table[:, :3], table[:, 3] = rgb, alpha
    return table.view(np.uint32)[:, 0]


def draw_colour(g: np.random.Generator, dark: float = 0.5, grey: float = 0.0) -> HairColour:
    """A random hair colour.

    Args:
        dark: 0 to 1, the skin's tone: the darker, the more often black.
        grey: 0 to 1, how much of it has gone grey.
    """
    low = np.array([c[0] for c in _COLOURS], float) / 255
    high = np.array([c[1] for c in _COLOURS], float) / 255
    share = np.array([c[2] * (1 - dark) + c[3] * dark for c in _COLOURS])
    i, j = g.choice(len(_COLOURS), 2, p=share / share.sum())
    mix = g.uniform(0, 0.3)  # two colours a little mixed fill the space between them
    dim, bright = low[i] + mix * (low[j] - low[i]), high[i] + mix * (high[j] - high[i])
    if g.random() < _DYED_SHARE:
        hue = g.random(3) ** 1.5
        dim, bright = 0.3 * hue, 0.25 + 0.75 * hue
    dim, bright = dim + grey * (low[-2] - dim), bright + grey * (high[-2] - bright)
    dim, bright = dim * g.uniform(0.8, 1.2), bright * g.uniform(0.8, 1.15)
    level = np.linspace(0, 1, 256)[:, None] ** g.uniform(0.8, 1.3)
    table = np.clip(dim + (bright - dim) * level, 0, 1)
    return HairColour((table * 255).astype(np.uint8), table[80])


def strands(
    g: np.random.Generator, height: int, width: int, curl: float = 0.0
) -> NDArray[np.uint8]:
    """(height, width) grey levels of strands that run down the picture; its sides meet.

    Args:
        curl: 0 straight, 1 frizzy.
    """

    def noise(rows: float, columns: float) -> FloatArray:
        white = g.standard_normal((height, width), dtype=np.float32)
        soft = gaussian_filter(white, (rows, columns), mode=("nearest", "wrap"), truncate=2)
        return soft / soft.std()

    reach = height * (0.12 * (1 - curl) + 0.006)
    mixed = noise(reach, 0.7) + 0.8 * noise(1.5 * reach, 3.0)
    mixed = mixed + 0.5 * noise(height / 12, width / 32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns = (columns + noise(height / 12, width / 40) * width * (0.006 + 0.01 * curl)) % width
    mixed = map_coordinates(mixed, [rows, columns], order=1, mode="grid-wrap")
    return np.clip(110 + 48 * mixed / mixed.std(), 0, 255).astype(np.uint8)


def resized(values: FloatArray, height: int, width: int) -> NDArray[np.float32]:
    """(height, width) bilinear: the corners of the grid come to lie on those of the picture."""
    rows, columns = values.shape
    source = Image.fromarray(np.ascontiguousarray(values, np.float32))
    box = (0.5, 0.5, columns - 0.5, rows - 0.5)
    return np.asarray(source.resize((width, height), Image.Resampling.BILINEAR, box=box))


def tufted(mask: NDArray[np.bool_], g: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W) alpha of cards of hair whose strands run down: full inside, frayed at their tips."""
    height, width = mask.shape
    below = np.zeros((height, width))
    run = np.zeros(width)
    for row in range(height - 1, -1, -1):  # how far each pixel is from the end of its card
        run = (run + 1) * mask[row]
        below[row] = run
    noise = gaussian_filter(g.standard_normal((height, width)), (height / 16, 0.8))
    noise = np.abs(noise / noise.std())
    alpha = np.clip((below - noise * height / 28) / (height / 60), 0, 1)
    return (alpha * 255).astype(np.uint8)
