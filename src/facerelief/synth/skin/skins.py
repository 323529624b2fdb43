"""Skins: what one face's skin looks like and how it is formed, at random and quickly.

Every skin is three maps, of melanin, blood and shade, that a table of physical skin colours turns
into a picture; on it lie hair and make-up; under it, in millimetres, folds, lumps and pores.
Structure comes from textures where there are any, and else is made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.cache import cache_folder
from facerelief.geometry.morphable import MorphableModel
from facerelief.render.scene import Material
from facerelief.synth.skin.colour import Palette
from facerelief.synth.skin.details import SkinDetails, scar, spot, window
from facerelief.synth.skin.look import Look, draw_look
from facerelief.synth.skin.map import Map, SkinMap
from facerelief.synth.skin.noise import SkinNoise
from facerelief.synth.skin.paint import SkinPaint, sparse
from facerelief.synth.skin.regions import Regions
from facerelief.synth.skin.textures import (
    load_textures,
    makehuman_textures,
    photographed_textures,
)

#: Regions whose tone and flush differ, as `_weights` says.
_SOFT = (
    "cheeks", "nose", "ears", "chin", "forehead", "eye_socket", "under_eye", "lid", "neck",
    "perioral", "scalp",
)  # fmt: skip
_SHARP = ("lips", "lid_edge", "nostrils")


class Skins:
    """Endless skins for one head.

    Args:
        head: needs a UV layout and landmarks; MakeHuman's skins also need the head to know
            MakeHuman's layout, as the built-in head does.
        assets_root: folder of the assets, or None to make everything up.
        size: texels along a side of texture and relief.
        extra: more textures (S', S', 3) uint8 sRGB in the head's own layout, such as those lifted
            from photographs, with their own brows.
        cache: where resampled textures are kept; by default the package's cache folder.

    Raises:
        FileNotFoundError: the assets' folder of skins is there and empty.
        ValueError: a head without layout or landmarks, or a texture that is none.
    """

    def __init__(
        self,
        head: MorphableModel,
        assets_root: Path | None = None,
        size: int = 512,
        extra: Sequence[NDArray[np.uint8]] = (),
        cache: Path | None = None,
    ) -> None:
        self.skin = SkinMap(head, size)
        self.regions = Regions.build(self.skin)
        self.noise = SkinNoise(self.skin.position, self.skin.coarse)
        self.details = SkinDetails(self.skin, self.noise, self.regions.lips)
        self.paint = SkinPaint(self.skin, self.noise, self.regions)
        self.palette = Palette.build()
        files = makehuman_textures(assets_root) if assets_root is not None else []
        cache = cache or cache_folder() / "skins"
        painted = load_textures(self.skin, self.regions, files, cache)
        photographed = photographed_textures(extra, self.skin, self.regions, cache)
        self.textures = [*painted, *photographed]
        self._counts = len(painted), len(photographed)
        regions = self.regions
        face = regions.face * self.skin.mask * (1 - regions.lips) * (1 - regions.lid)
        sun = np.maximum(np.maximum(0.8 * regions.nose, 0.7 * regions.cheeks), regions.forehead)
        # Soft differences are kept at half the size, sharp ones where they are.
        named = [getattr(regions, name)[::2, ::2] for name in _SOFT]
        soft = np.stack([*named, sun[::2, ::2]])
        self._half, self._soft = soft.shape[1:], soft.reshape(len(soft), -1)
        self._sharp = [sparse(getattr(regions, name)) for name in _SHARP]
        self._face = np.flatnonzero(face.ravel() > 0.05).astype(np.int32)
        self._face_share = face.ravel()[self._face]
        self._sunny = (0.3 + 0.7 * sun).ravel()[self._face] * self._face_share
        self._ruddy = (regions.cheeks + regions.nose).ravel()[self._face] * self._face_share
        area = self._face_share * self.skin.texel.ravel()[self._face] ** 2
        self._chance = np.cumsum(area) / area.sum()

    def draw(
        self,
        g: np.random.Generator,
        *,
        expression: Mapping[str, float] | None = None,
        **limits: Any,
    ) -> Material:
        """One skin; the same state of `g` gives the same bytes on the same machine.

        Args:
            g: everything is drawn from it.
            expression: weights by ARKit's names, which deepen the lines that they make.
            limits: see `skin.look.draw_look`; ``brows=0`` where brows are meshes.
        """
        return self.make(self.look(g, **limits), g, expression)

    def look(self, g: np.random.Generator, **limits: Any) -> Look:
        """A random look for `make`; see `skin.look.draw_look` for the limits."""
        return draw_look(g, *self._counts, **limits)

    def make(
        self, look: Look, g: np.random.Generator, expression: Mapping[str, float] | None = None
    ) -> Material:
        """The skin of a look. What the look leaves open, such as where moles are, `g` decides.

        Raises:
            IndexError: the look names a texture that is not there.
        """
        size = self.skin.size
        relief = self.details.smooth(g, look.relief)
        for index, share in ((look.base, 1 - look.blend), (look.other, look.blend)):
            if index >= 0 and share and look.relief.painted:
                relief += self.textures[index].relief(look.relief.painted * share)
        folds = self.details.folds(g, look.relief, expression or {})
        tone, flush, shade = self._pigments(g, look)
        # Folds are shaded a little: light is lost in them, and skin gathers colour there.
        shade += np.float32(0.10 + 0.10 * look.age) * np.minimum(folds, 0)
        relief += folds
        self._spots(g, look, tone, flush, relief)

        tint = (1 + 0.012 * look.warmth, 1.0, 1 - 0.04 * look.warmth)
        picture = self.palette(tone.reshape(-1), flush.reshape(-1), tint)
        shade *= np.float32(1 / 2.3)  # on encoded values
        picture *= np.exp(shade, out=shade).reshape(-1)
        height = relief.reshape(-1)
        self.paint.lips_and_lids(picture, look)
        self.paint.make_up(g, picture, look)
        self.paint.scalp(g, picture, look)
        self.paint.beard(g, picture, height, look)
        self.paint.brows(g, picture, height, look)

        texture = np.full((size, size, 4), 255, np.uint8)
        picture *= 255
        np.clip(picture, 0, 255, out=picture)
        for channel, values in enumerate(picture.astype(np.uint8)):
            texture[..., channel] = values.reshape(size, size)
        return Material(
            texture,
            relief,
            specular=float(0.02 + 0.02 * look.oil),
            roughness=float(0.7 - 0.22 * look.oil),
        )

    def _pigments(self, g: np.random.Generator, look: Look) -> tuple[Map, Map, Map]:
        """Tone, flush and shade (S, S)."""
        textured = look.base >= 0
        even = 1 - 0.65 * look.foundation
        # A texture brings its own differences between regions; a few are added.
        amount = np.float32(look.regional * even * (0.35 if textured else 1.0))
        shape = (self.skin.size, self.skin.size)
        tone = self._regional(_weights(look, 0) * amount, look.tone)
        flush = self._regional(_weights(look, 1) * amount, look.flush)
        if textured:
            parts = self._structure(look.base, look, 1 - look.blend)
            if look.other >= 0 and look.blend:
                parts += self._structure(look.other, look, look.blend)
            tone += parts[0]
            flush += parts[1]
            shade = parts[2]
        else:
            shade = self.noise.add(g, 2.4, 0.025, np.zeros(shape, np.float32))
        uneven = look.mottling * even * (0.6 if textured else 1.0)
        self.noise.add(g, 25.0, 0.018 * uneven, tone)
        self.noise.add(g, 4.0, 0.010 * uneven, tone)
        self.noise.add(g, 13.0, 0.022 * uneven, flush)
        self.noise.add(g, 4.0, 0.018 * uneven, flush)
        self._marks(g, look, even, tone.reshape(-1), flush.reshape(-1))
        return tone, flush, shade

    def _regional(self, weights: Map, typical: float) -> Map:
        """(S, S): `typical` and how regions differ from it, by the weights of `_weights`."""
        size = self.skin.size
        half = (weights[: len(self._soft)] @ self._soft + np.float32(typical)).reshape(self._half)
        whole = np.empty((size, size), np.float32)
        for row in (0, 1):
            for column in (0, 1):
                part = whole[row::2, column::2]
                part[:] = half[: part.shape[0], : part.shape[1]]
        flat = whole.reshape(-1)
        for (index, share), weight in zip(self._sharp, weights[len(self._soft) :], strict=True):
            flat[index] += share * weight
        return whole

    def _structure(self, index: int, look: Look, share: float) -> Map:
        """(3, S, S): what a texture adds to tone, flush and shade."""
        texture = self.textures[index]
        # What was seen on dark skin is too much for fair skin, and the other way about.
        far = 1 - 0.5 * abs(look.tone - texture.typical[0])
        return texture.unpacked(look.contrast * share * far)

    def _marks(
        self, g: np.random.Generator, look: Look, even: float, tone: Map, flush: Map
    ) -> None:
        """Freckles, age spots and broken capillaries, added to flat tone and flush."""
        index = self._face
        if look.freckles:
            field = 0.75 * self.noise.draw(g, 2.4, index) + 0.5 * self.noise.draw(g, 4.0, index)
            dots = np.clip(1.6 * (field - (1.9 - 1.2 * look.freckles)), 0, 1) * self._sunny
            tone[index] += dots * np.float32((0.10 + 0.10 * look.freckles) * even)
        if look.age_spots:
            field = 0.8 * self.noise.draw(g, 7.0, index) + 0.4 * self.noise.draw(g, 4.0, index)
            dots = np.clip(1.8 * (field - (2.1 - 0.7 * look.age_spots)), 0, 1) * self._sunny
            tone[index] += dots * np.float32(0.13 * even)
        if look.veins:
            field = self.noise.draw(g, 7.0, index) + 0.4 * self.noise.draw(g, 2.4, index)
            threads = np.exp(-((field / 0.16) ** 2)) * self._ruddy
            flush[index] += threads * np.float32(0.13 * look.veins * even)

    def _spots(
        self, g: np.random.Generator, look: Look, tone: Map, flush: Map, relief: Map
    ) -> None:
        """Moles, blemishes and scars: each has its place, size and height."""
        for kind in ("mole",) * look.moles + ("blemish",) * look.blemishes + ("scar",) * look.scars:
            where, size, strong, high = g.uniform(size=4)
            texel = self._face[min(np.searchsorted(self._chance, where), len(self._face) - 1)]
            place = window(self.skin, texel, 4.0 if kind != "scar" else 14.0)
            here = place.rows, place.columns
            if kind == "mole":
                dot = spot(place, 0.7 + 1.3 * size**3)
                tone[here] += np.float32(0.18 + 0.3 * strong) * dot
                relief[here] += np.float32(0.7 * high**3) * dot
            elif kind == "blemish":
                dot = spot(place, 1.2 + 1.3 * size)
                flush[here] += np.float32((0.06 + 0.18 * strong) * (1 - look.foundation)) * dot
                relief[here] += np.float32(0.1 + 0.35 * high) * dot
            else:
                turn = g.normal(size=3).astype(np.float32)
                turn -= (turn @ (n := self.skin.normal.reshape(-1, 3)[texel])) * n
                line = scar(place, turn / np.linalg.norm(turn), 6 + 14 * size, 0.7 + 0.5 * strong)
                flush[here] += np.float32(0.12 * strong - 0.08) * line
                tone[here] -= np.float32(0.05) * line
                relief[here] += np.float32(0.5 * high - 0.4) * line


def _weights(look: Look, pigment: int) -> Map:
    """(R,): how much soft regions, the sun and sharp regions add to tone (0) or flush (1)."""
    ruddy, dark = look.ruddy, look.dark_circles
    # The lips of dark skin hold less melanin than the skin round them, those of fair skin more.
    lips = 0.10 * (look.lip_tone - 0.3) - 0.16 * look.lip_tone * max(look.tone - 0.5, 0)
    of = {
        "cheeks": (0.0, 0.02 + 0.11 * ruddy),
        "nose": (0.01, 0.03 + 0.10 * ruddy),
        "ears": (0.0, 0.04 + 0.09 * ruddy),
        "chin": (0.0, 0.02 + 0.03 * ruddy),
        "forehead": (-0.01, -0.04),
        "eye_socket": (0.015 + 0.03 * dark, 0.02),
        "under_eye": (0.07 * dark, 0.02 + 0.06 * dark),
        "lid": (0.03 * dark, 0.05),
        "lid_edge": (0.02, 0.12),
        "nostrils": (0.35, 0.10),
        "perioral": (0.03, -0.01),
        "neck": (-0.01 - 0.03 * look.sun, -0.03),
        "lips": (lips, 0.13 + 0.17 * look.lip_flush),
        "scalp": (-0.01, -0.02),
    }
    of["sun"] = (0.09 * look.sun, 0.03 * look.sun)
    return np.array([of[name][pigment] for name in (*_SOFT, "sun", *_SHARP)], np.float32)
