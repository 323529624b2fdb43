"""Everything on and before a head: eyes, teeth, brows, lashes, hair, beards, glasses and hats.

What MakeHuman publishes is used where it is given; what needs no assets is drawn from noise. All
of it is bound to a head once and then follows every head of its topology.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.morphable import MorphableModel
from facerelief.render.scene import Cutout, Part
from facerelief.synth.features.eyes import Eyes
from facerelief.synth.features.teeth import Teeth
from facerelief.synth.hair import brows
from facerelief.synth.hair.beards import Beards
from facerelief.synth.hair.strands import HairColour, draw_colour
from facerelief.synth.hair.styles import MESHES, STYLES, CapHair, HairMesh
from facerelief.synth.ties import proxies
from facerelief.synth.ties.shell import HeadGrid
from facerelief.synth.ties.wearer import prepare
from facerelief.synth.worn import cutouts
from facerelief.synth.worn.glasses import Glasses
from facerelief.synth.worn.hats import Hats

# How often each of MakeHuman's styles is drawn: those that hide half of the face, less.
_MESH_SHARES = {"bob01": 0.25, "bob02": 0.4, "short03": 0.5}
_LONG = ("bob01", "bob02", "short03", "braid01", "long01", "ponytail01", "bob", "long")
_LONG_AND_BEARD = 0.15  # how often long hair goes with a beard, of how often it is drawn


@dataclass(frozen=True)
class Chances:
    """How often a head wears what.

    Raises ValueError for a share that is not in 0 to 1.
    """

    bald: float = 0.08
    mesh_hair: float = 0.6  # of the hair, where there are assets: MakeHuman's meshes
    beard: float = 0.15
    hat: float = 0.08
    glasses: float = 0.15
    sunglasses: float = 0.2  # of the glasses
    brows: float = 0.95
    lashes: float = 0.9

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be 0 to 1, got {value}")


class Accessories:
    """Draws what heads of one topology wear."""

    def __init__(self, head: MorphableModel, assets_root: Path | None = None) -> None:
        """Args:
        head: the model whose vertices are dressed, such as `geometry.head.builtin_head()`.
        assets_root: a folder with MakeHuman's base assets, as published (`proxies.PUBLISHED`).
            What it lacks, or everything if None, is drawn without assets.

        Raises:
            FileNotFoundError: no such folder, or a file that belongs to an asset is missing.
            ValueError: the head lacks landmarks or regions.
        """
        folder = proxies.find_folder(assets_root)
        self._wearer = prepare(head)
        self._grid = HeadGrid(self._wearer)
        self._cap = CapHair(self._grid)
        self._hats = Hats(self._wearer, self._grid)
        self._beards = Beards(self._wearer)
        self._glasses = Glasses(self._wearer)
        self._teeth = Teeth(head)
        self._eyes = Eyes(head, folder)
        self._brows: list[brows.Decal] = []
        self._lashes: list[brows.Decal] = []
        self._meshes: list[HairMesh] = []
        of_base = getattr(head, "makehuman_vertices", None)
        if folder is not None and of_base is not None:
            base = proxies.base_on_head(
                proxies.read_obj(folder / "3dobjs" / "base.obj").vertices, head.mean, of_base
            )
            for one in proxies.folders(folder / "eyebrows"):
                self._brows.append(brows.load_brows(one, base, self._wearer))
            for one in proxies.folders(folder / "eyelashes"):
                lashes = brows.load_lashes(one, base, self._wearer, of_base)
                self._lashes += [] if lashes is None else [lashes]
            for one in proxies.folders(folder / "hair"):
                if one.name in MESHES:
                    self._meshes.append(HairMesh.load(one, base, self._wearer))
        self._lashes = self._lashes or [brows.simple_lashes(self._wearer)]

    def draw(
        self,
        g: np.random.Generator,
        vertices: FloatArray,
        *,
        dark: float | None = None,
        age: float | None = None,
        colour: HairColour | None = None,
        chances: Chances | None = None,
    ) -> list[Part]:
        """What the head with `vertices` (V, 3) wears, eyes and teeth first.

        Args:
            g: where chance comes from.
            vertices: of a head of the topology that this was made for, mm.
            dark: 0 to 1, how dark the skin is: hair and irises go with it. None draws it.
            age: 0 to 1, how much of the hair is grey. None draws it.
            colour: of the hair; None draws it.
            chances: how often it wears what.

        Raises:
            ValueError: another number of vertices.
        """
        expected = self._wearer.head.mean.shape
        if np.shape(vertices) != expected:
            raise ValueError(f"vertices must be {expected}, got {np.shape(vertices)}")
        chances = chances or Chances()
        dark = float(g.random()) if dark is None else float(dark)
        age = float(max(0.0, g.normal(-0.2, 0.4))) if age is None else float(age)
        # One stream each: whether there is a hat does not change the eyes.
        streams = dict(
            zip(
                ("eyes", "teeth", "colour", "brows", "lashes", "hair", "beard", "glasses", "hat"),
                g.spawn(9),
                strict=True,
            )
        )
        vertices = np.ascontiguousarray(vertices, np.float32)
        colour = colour or draw_colour(streams["colour"], dark, min(age, 1.0))
        parts = [
            self._eyes.draw(streams["eyes"], vertices, dark),
            *self._teeth.draw(streams["teeth"], vertices),
            *self._decals(streams["brows"], streams["lashes"], vertices, colour, chances),
        ]
        hat: list[Part] = []
        covered = False
        if streams["hat"].random() < chances.hat:
            hat, covered = self._hats.draw(streams["hat"], vertices)
        rare = _LONG_AND_BEARD if covered else 1.0
        beard = streams["beard"].random() < chances.beard * rare
        if not covered and streams["hair"].random() >= chances.bald:
            meshes = (
                self._meshes if not hat and streams["hair"].random() < chances.mesh_hair else []
            )
            parts.append(
                self._hair(streams["hair"], vertices, colour, meshes, dark, bool(beard), bool(hat))
            )
        if beard:
            parts.append(self._beards.draw(streams["beard"], vertices, colour))
        parts += hat
        if streams["glasses"].random() < chances.glasses:
            sun = bool(streams["glasses"].random() < chances.sunglasses)
            parts += self._glasses.draw(streams["glasses"], vertices, sun)
        return parts

    def draw_cutout(
        self,
        g: np.random.Generator,
        size: int,
        face_box: Sequence[float] | None = None,
        textures: Sequence[NDArray[np.uint8]] | None = None,
    ) -> Cutout:
        """Something flat before the face; see `facerelief.synth.cutouts.draw_cutout`."""
        return cutouts.draw_cutout(g, size, face_box, textures)

    def _decals(
        self,
        brow: np.random.Generator,
        lash: np.random.Generator,
        vertices: FloatArray,
        colour: HairColour,
        chances: Chances,
    ) -> list[Part]:
        """Brows, where there are assets for them (skins have painted ones), and lashes."""
        parts = []
        if self._brows and brow.random() < chances.brows:
            one = self._brows[brow.integers(len(self._brows))]
            shade = colour.darker(float(brow.uniform(0.55, 1.0)))
            parts.append(one.draw(brow, vertices, shade, float(brow.uniform(0.5, 1.1))))
        if lash.random() < chances.lashes:
            one = self._lashes[lash.integers(len(self._lashes))]
            shade = colour.darker(float(lash.uniform(0.1, 0.6)))
            parts.append(one.draw(lash, vertices, shade, float(lash.uniform(0.3, 1.0))))
        return parts

    def _hair(
        self,
        g: np.random.Generator,
        vertices: FloatArray,
        colour: HairColour,
        meshes: list[HairMesh],
        dark: float,
        beard: bool,
        flat: bool,
    ) -> Part:
        """Hair that goes with the tone of the skin and with a beard: of `meshes`, if any."""

        def choose(names: list[str], shares: list[float]) -> int:
            rare = [_LONG_AND_BEARD if beard and name in _LONG else 1.0 for name in names]
            weights = np.multiply(shares, rare)
            return int(g.choice(len(names), p=weights / weights.sum()))

        if meshes:
            names = [mesh.name for mesh in meshes]
            mesh = meshes[choose(names, [_MESH_SHARES.get(name, 1.0) for name in names])]
            return mesh.draw(g, vertices, self._grid.centre(vertices), colour)
        names = [style.name for style in STYLES]
        shares = [0.2 + 1.5 * dark if style.curl == 1 else 1.0 for style in STYLES]
        style = STYLES[choose(names, shares)]
        return self._cap.draw(g, vertices, colour, style, flat)
