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

from facerelief.geometry.morphable import MorphableModel
from facerelief.synth.scene import Material
from facerelief.synth.skin_colour import Palette
from facerelief.synth.skin_details import SkinDetails, scar, spot, window
from facerelief.synth.skin_look import Look, draw_look
from facerelief.synth.skin_map import SkinMap
from facerelief.synth.skin_noise import SkinNoise
from facerelief.synth.skin_paint import SkinPaint
from facerelief.synth.skin_regions import Regions
from facerelief.synth.skin_textures import (
    load_textures,
    makehuman_textures,
    mesoscopic,
    take_apart,
)

Map = NDArray[np.float32]

#: How tone and flush of a region differ from the cheek's, per unit of what `_weights` says.
_REGIONS = (
    "cheeks", "nose", "ears", "chin", "forehead", "eye_socket", "under_eye", "lid", "lid_edge",
    "nostrils", "perioral", "neck", "lips", "scalp",
)  # fmt: skip


class Skins:
    """Endless skins for one head.

    Args:
        head: needs a UV layout and landmarks; MakeHuman's skins also need the head to know
            MakeHuman's layout, as the built-in head does.
        assets_root: folder of the assets, or None to make everything up.
        size: texels along a side of texture and relief.
        extra: more textures (S, S, 3) uint8 sRGB in the head's own layout.
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
        self.noise = SkinNoise(self.skin.position)
        self.details = SkinDetails(self.skin, self.noise, self.regions.lips)
        self.paint = SkinPaint(self.skin, self.noise, self.regions)
        self.palette = Palette.build()
        files = makehuman_textures(assets_root) if assets_root is not None else []
        if cache is None and files:
            from facerelief.data.sources import cache_folder

            cache = cache_folder() / "skins"
        self.textures = load_textures(self.skin, self.regions, files, cache) if cache else []
        self.textures += [
            take_apart(f"extra {i}", texture, self.skin, self.regions)
            for i, texture in enumerate(extra)
        ]
        self._differences = np.stack([getattr(self.regions, name).ravel() for name in _REGIONS])
        face = self.regions.face * self.skin.mask * (1 - self.regions.lips)
        self._calm_face = face * (1 - self.regions.lid)
        area = (self._calm_face * self.skin.texel**2).ravel()
        self._spots = np.flatnonzero(area > 1e-3)
        self._spot_chance = np.cumsum(area[self._spots]) / area[self._spots].sum()
        self._sun = np.clip(
            0.6 * self.regions.nose + 0.7 * self.regions.cheeks + self.regions.forehead, 0, 1
        )
        self._meso = self.details.quiet

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
            limits: see `skin_look.draw_look`; ``brows=0`` where brows are meshes.
        """
        return self.make(draw_look(g, len(self.textures), **limits), g, expression)

    def make(
        self, look: Look, g: np.random.Generator, expression: Mapping[str, float] | None = None
    ) -> Material:
        """The skin of a look. What the look leaves open, such as where moles are, `g` decides.

        Raises:
            IndexError: the look names a texture that is not there.
        """
        size = self.skin.size
        relief = self.details.draw(g, look.relief, expression or {})
        creases = np.minimum(relief - self.noise_free(relief), 0)
        tone, flush, shade = self._pigments(g, look, relief)
        shade += np.float32(0.12 + 0.1 * look.age) * creases
        self._spots_on(g, look, tone, flush, relief)

        picture = self.palette(tone, flush)
        shade *= np.float32(1 / 2.3)  # on encoded values
        np.exp(shade, out=shade)
        tint = np.array([1 + 0.012 * look.warmth, 1.0, 1 - 0.06 * look.warmth], np.float32)
        picture *= shade[..., None] * tint
        flat, height = picture.reshape(-1, 3), relief.reshape(-1)
        self.paint.lips_and_lids(flat, look)
        self.paint.make_up(g, flat, look)
        self.paint.scalp(g, flat, look)
        self.paint.beard(g, flat, height, look)
        self.paint.brows(g, flat, height, look)

        texture = np.full((size, size, 4), 255, np.uint8)
        np.clip(picture, 0, 1, out=picture)
        picture *= 255
        picture += 0.5
        texture[..., :3] = picture
        return Material(
            texture,
            relief,
            specular=float(0.028 + 0.03 * look.oil),
            roughness=float(0.62 - 0.3 * look.oil),
        )

    def noise_free(self, relief: Map) -> Map:
        return np.zeros_like(relief)
