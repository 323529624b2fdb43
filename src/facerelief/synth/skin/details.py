"""Relief of the skin in millimetres: folds, lumps, pores, lip lines, spots and scars.

All of it is drawn at random in lengths on the face, not in texels; see `skin.map`. Slopes stay
below about 25 degrees, except where several folds meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.synth.skin.map import Map, SkinMap
from facerelief.synth.skin.noise import SkinNoise
from facerelief.synth.skin.wrinkles import Crease, draw_courses, wrinkles


@dataclass(frozen=True)
class Relief:
    """How strong each kind of relief is."""

    age: float = 0.4  # 0 child to 1 very old: deepens the lines and thins the skin
    folds: float = 1.0  # factor on all lines of age
    grain: float = 0.03  # mm, standard deviation of the waves of 2 to 5 mm: pores and texture
    lumps: float = 0.25  # mm, standard deviation of the waves of 7 to 25 mm: fat, bone, asymmetry
    lips: float = 0.15  # mm, depth of the lips' lines
    painted: float = 1.0  # mm for what a texture shows darker than round about by a factor of e


class SkinDetails:
    """Draws the relief of skins on one head.

    Args:
        skin: the map of the head.
        noise: random fields on the same map.
        lips: (S, S) in [0, 1], where the lips are.
    """

    def __init__(self, skin: SkinMap, noise: SkinNoise, lips: Map) -> None:
        self.skin, self.noise = skin, noise
        self.creases = [Crease(skin, line) for line in wrinkles(skin)]
        marks = skin.landmarks
        middle = (marks[[62, 63, 64]] + marks[[66, 65, 64]]) / 2
        middle[0, 0] = 0.0
        self._lip = skin.strip(middle[:, :2], 16.0)
        self._lip_share = lips.ravel()[self._lip.index]
        self._calm = 1 - np.clip(1.2 * lips, 0, 1)
        # Eyeballs lie close under the lids, whose skin is the thinnest: nothing lumpy there.
        lids = skin.blob(marks[42:48].mean(axis=0), (15 * skin.scale, 6 * skin.scale, 20))
        self._calm *= 1 - 0.85 * lids
        # Pores: coarse on nose and cheeks, fine on lids and lips.
        nose = skin.blob(marks[30] + [9, -2, -8], (10, 10, 14))
        cheek = skin.blob((marks[46] + marks[54]) / 2 + [3, 0, 0], (16, 16, 25))
        self._pores = (0.5 + 0.8 * nose + 0.6 * cheek) * self._calm

    def smooth(self, g: np.random.Generator, relief: Relief) -> Map:
        """(S, S) mm outwards: lumps, pores and the lips' lines."""
        height = self._lumps(g, relief.lumps)
        height += self._grain(g, relief)
        height.reshape(-1)[self._lip.index] += self._lip_lines(g, relief.lips)
        return height

    def folds(self, g: np.random.Generator, relief: Relief, expression: Mapping[str, float]) -> Map:
        """(S, S) mm outwards: the lines of age and of an expression, weights by ARKit's names."""
        height = np.zeros((self.skin.size, self.skin.size), np.float32)
        courses = draw_courses(g, self.creases, relief.age, relief.folds, expression)
        for i, crease in enumerate(self.creases):
            if courses.depth[i].max() > 0.03:  # mm; less is not seen
                crease.press(
                    height.reshape(-1), courses.depth[i], courses.shift[i], courses.width[i]
                )
        return height

    def _lumps(self, g: np.random.Generator, strength: float) -> Map:
        waves = np.zeros((self.skin.size, self.skin.size), np.float32)
        self.noise.add(g, 25.0, 0.85 * strength, waves)
        self.noise.add(g, 13.0, 0.22 * strength, waves)
        waves *= self._calm
        return waves

    def _grain(self, g: np.random.Generator, relief: Relief) -> Map:
        fine = self.noise.add(g, 2.4, 1.0, np.zeros_like(self._pores))
        # Pores are pits: what rises is halved.
        np.minimum(fine, 0.5 * fine, out=fine)
        self.noise.add(g, 4.0, 0.4 + 0.6 * relief.age, fine)
        fine *= self._pores
        fine *= np.float32(relief.grain)
        return fine

    def _lip_lines(self, g: np.random.Generator, depth: float) -> NDArray[np.float32]:
        strip = self._lip
        bend = self.noise.draw(g, 13.0, strip.index)
        # Lines run across the lip: waves along it, of unequal lengths, that lean a little.
        x = strip.along * np.float32(strip.length) + 0.35 * bend
        x = np.where(strip.right, -x, x) + 0.12 * strip.beside * np.sign(x)
        waves = np.zeros(len(x), np.float32)
        for wavelength in g.uniform(1.6, 3.6, 4):
            waves += np.cos(x * np.float32(2 * np.pi / wavelength) + np.float32(g.uniform(0, 7)))
        lines: NDArray[np.float32] = np.clip(0.35 + 0.4 * waves, 0, 1.2)
        return -np.float32(depth) * self._lip_share * lines


@dataclass(frozen=True, eq=False)
class Window:
    """The texels round one place."""

    rows: slice
    columns: slice
    offset: NDArray[np.float32]  # (h, w, 3) mm from the place


def window(skin: SkinMap, texel: int, radius: float) -> Window:
    """Texels within about `radius` mm of a texel (index into the flat map)."""
    row, column = divmod(int(texel), skin.size)
    reach = int(np.ceil(radius / max(float(skin.texel[row, column]), 0.2))) + 1
    rows = slice(max(row - reach, 0), row + reach + 1)
    columns = slice(max(column - reach, 0), column + reach + 1)
    return Window(rows, columns, skin.position[rows, columns] - skin.position[row, column])


def spot(place: Window, radius: float) -> Map:
    """(h, w) in [0, 1]: a round bump of `radius` mm with soft edges."""
    distance2 = (place.offset**2).sum(axis=-1) / np.float32(radius**2)
    return np.exp(-(distance2**1.5)).astype(np.float32)


def scar(place: Window, direction: NDArray[np.float32], length: float, width: float) -> Map:
    """(h, w) in [0, 1]: a line of `length` and `width` mm along a unit vector (3,)."""
    ahead = place.offset @ direction
    past = np.maximum(np.abs(ahead) - length / 2, 0)
    beside2 = (place.offset**2).sum(axis=-1) - ahead**2
    return np.exp(-0.5 * (beside2 + past**2) / np.float32(width**2)).astype(np.float32)
