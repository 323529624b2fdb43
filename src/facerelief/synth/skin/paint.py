"""What lies on the skin: brows, beards, make-up. Each paints a few texels of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.synth.skin.look import Colour, Look
from facerelief.synth.skin.map import Map, SkinMap, Strip
from facerelief.synth.skin.noise import SkinNoise
from facerelief.synth.skin.regions import Regions

Picture = NDArray[np.float32]  # (3, N) sRGB in [0, 1], planes of the flat texture
Index = NDArray[np.int32]


class SkinPaint:
    """Paints on skins of one head; every method adds to a flat picture and its relief."""

    def __init__(self, skin: SkinMap, noise: SkinNoise, regions: Regions) -> None:
        self.skin, self.noise, self.regions = skin, noise, regions
        self._lips = sparse(regions.lips)
        self._mouth = sparse(regions.mouth)
        self._lid = sparse(regions.lid)
        self._edge = sparse(regions.lid_edge)
        self._scalp = sparse(regions.scalp)
        self._blush = sparse(regions.cheeks)
        parts = np.stack([regions.moustache, regions.goatee, regions.jaw, regions.throat])
        parts = parts.reshape(4, -1)
        self._beard = np.flatnonzero(parts.max(axis=0) > 0.02).astype(np.int32)
        self._beard_parts = parts[:, self._beard]
        # Texels under the chin are too coarse for single hairs.
        self._beard_held = np.clip(4.0 / skin.coarse.ravel()[self._beard] - 1.0, 0, 1)
        self._beard_fall = skin.position.reshape(-1, 3)[self._beard]

    def lips_and_lids(self, picture: Picture, look: Look) -> None:
        """The inside of the mouth, and the roots of the lashes."""
        index, share = self._mouth
        _blend(picture, index, share * np.float32(0.8), (0.30, 0.10, 0.10))
        index, share = self._edge
        dark = tuple(0.35 * c for c in look.hair_colour)
        _blend(picture, index, share * np.float32(0.28), dark)  # type: ignore[arg-type]

    def make_up(self, g: np.random.Generator, picture: Picture, look: Look) -> None:
        """Lipstick, eye shadow, liner and blush."""
        blush = (0.80, 0.33, 0.33) if look.tone < 0.55 else (0.55, 0.16, 0.14)
        index, share = self._blush
        if look.blush:
            _blend(picture, index, share * np.float32(0.4 * look.blush), blush)
        index, share = self._lips
        if look.lipstick:
            patchy = 1 - 0.12 * np.abs(self.noise.draw(g, 4.0, index))
            _blend(picture, index, share * patchy * np.float32(look.lipstick), look.lipstick_colour)
        index, share = self._lid
        if look.eye_shadow:
            uneven = 1 + 0.1 * self.noise.draw(g, 4.0, index)
            alpha = share * uneven * np.float32(0.85 * look.eye_shadow)
            _blend(picture, index, alpha, look.eye_shadow_colour)
        if look.eye_liner:
            strip, k = self.regions.upper_lid, self.skin.scale
            thick = (0.5 + 0.9 * look.eye_liner * strip.along) * k  # a wing towards the temple
            line = np.clip(1.5 - np.abs(strip.beside - 0.4 * k) / thick, 0, 1)
            line *= np.exp(-0.5 * (strip.beyond / (2.0 * k)) ** 2)
            _blend(picture, strip.index, line * np.float32(0.85), (0.06, 0.05, 0.05))

    def brows(self, g: np.random.Generator, picture: Picture, relief: Map, look: Look) -> None:
        """Hairs that lean outwards, dense in the middle; they also stand a little out."""
        strip, k = self.regions.brow, self.skin.scale
        along = strip.along + np.sign(strip.along - 0.5) * strip.beyond / np.float32(strip.length)
        centre = (
            look.brow_lift
            + 3.0 * look.brow_arch * np.sin(np.pi * np.clip(along, 0, 1) ** 1.6)
            - 1.0
        )
        across = strip.beside / k - centre.astype(np.float32)
        half = look.brow_thickness * np.interp(
            along, [-0.15, 0.0, 0.12, 0.6, 1.0, 1.15], [0.3, 2.5, 3.3, 2.8, 1.0, 0.2]
        ).astype(np.float32)
        wild = self.noise.draw(g, 7.0, strip.index)
        hairs = _hairs(g, strip, np.interp(along, [0, 0.35, 1], [70, 25, -12]), wild)
        edge = np.clip((half - np.abs(across)) / 1.3 + 0.55 + 0.4 * hairs, 0, 1)
        ends = np.clip((along + 0.08) / 0.16, 0, 1) * np.clip((1.12 - along) / 0.2, 0, 1)
        alpha = edge * ends * (0.8 + 0.15 * hairs) * np.float32(look.brows)
        alpha = np.clip(alpha, 0, 0.95).astype(np.float32)
        _blend(picture, strip.index, alpha, look.hair_colour)
        relief[strip.index] += alpha * (0.25 + 0.06 * hairs)

    def beard(self, g: np.random.Generator, picture: Picture, relief: Map, look: Look) -> None:
        """The shadow of a shaved beard, and short beards."""
        if not (look.stubble or look.moustache or look.goatee or look.beard):
            return
        lengths = np.array([look.moustache, look.goatee, look.beard, look.beard], np.float32)
        grain = self.noise.draw(g, 2.4, self._beard)
        clumps = self.noise.draw(g, 7.0, self._beard)
        if look.stubble:
            where = np.array([0.9, 1.0, 0.75, 0.55], np.float32) @ self._beard_parts
            where = np.minimum(where, 1) * (0.75 + 0.15 * grain + 0.1 * clumps)
            shadow = tuple(
                0.55 * c + 0.45 * b
                for c, b in zip(look.hair_colour, (0.22, 0.24, 0.27), strict=True)
            )
            alpha = np.clip(where, 0, 1) * np.float32(0.42 * look.stubble)
            _blend(picture, self._beard, alpha, shadow)  # type: ignore[arg-type]
            relief[self._beard] += alpha * grain * 0.02
        if lengths.max() > 0:
            place = self._beard_fall
            # Hair falls down and outwards from the middle of the upper lip.
            lean = 0.35 * np.sign(place[:, 0]) * place[:, 1] + place[:, 0]
            streaks = _waves(g, lean + 0.8 * clumps, (1.8, 4.0)) * self._beard_held
            full = (self._beard_parts * lengths[:, None]).max(axis=0)
            ragged = 0.16 * clumps + 0.12 * grain - 0.25
            cover = np.clip(1.9 * full + ragged * np.minimum(3 * full, 1), 0, 1)
            alpha = (cover * (0.78 + 0.14 * streaks)).astype(np.float32)
            _blend(picture, self._beard, np.clip(alpha, 0, 0.95), look.hair_colour, 0.25 * streaks)
            relief[self._beard] += cover * (0.5 + 0.06 * streaks + 0.03 * grain)

    def scalp(self, g: np.random.Generator, picture: Picture, look: Look) -> None:
        """Very short hair, or the shadow of a shaved head."""
        index, share = self._scalp
        if not look.scalp:
            return
        speckle = 0.85 + 0.15 * self.noise.draw(g, 2.4, index)
        thin = 1 + 0.12 * self.noise.draw(g, 13.0, index)
        alpha = np.clip(share * thin * 1.2, 0, 1) * speckle * np.float32(0.85 * look.scalp)
        _blend(picture, index, np.clip(alpha, 0, 0.95), look.hair_colour)


def sparse(mask: Map, least: float = 0.02) -> tuple[Index, NDArray[np.float32]]:
    """Flat indices and values of a mask where it is not nearly zero."""
    index = np.flatnonzero(mask.ravel() > least).astype(np.int32)
    return index, mask.ravel()[index]


def _blend(
    picture: Picture,
    index: Index,
    alpha: NDArray[np.floating],
    colour: Colour,
    brighter: NDArray[np.floating] | float = 0.0,
) -> None:
    """Lays a colour over some texels of a picture; `brighter` (n,) is a share of it."""
    cover = alpha.astype(np.float32)
    gain = cover * (1 + np.asarray(brighter, np.float32))
    for plane, value in zip(picture, colour, strict=True):
        below = plane[index]
        below *= 1 - cover
        below += gain * np.float32(value)
        plane[index] = below


def _waves(
    g: np.random.Generator,
    x: NDArray[np.floating],
    wavelengths: tuple[float, float],
) -> NDArray[np.float32]:
    """Uneven stripes (n,) in about [-1, 1] across a coordinate in mm."""
    total = np.zeros(len(x), np.float32)
    for wavelength in g.uniform(*wavelengths, 3):
        phase = np.float32(g.uniform(0, 2 * np.pi))
        total += np.cos(x.astype(np.float32) * np.float32(2 * np.pi / wavelength) + phase)
    return total / np.float32(1.7)


def _hairs(
    g: np.random.Generator,
    strip: Strip,
    degrees: NDArray[np.floating],
    wild: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Stripes (n,) beside a curve that lean `degrees` (n,) off it, of unequal length."""
    angle = np.radians(degrees).astype(np.float32)
    s = strip.along * np.float32(strip.length)
    across = np.cos(angle) * strip.beside - np.sin(angle) * s + 0.25 * wild
    return _waves(g, across, (1.5, 3.2))
