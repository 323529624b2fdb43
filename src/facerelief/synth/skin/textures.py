"""Photographed and painted skins, taken apart into pigments in the head's own layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from facerelief.cache import cached, cached_rows, digest
from facerelief.synth.skin.colour import Pigments, decode, separate
from facerelief.synth.skin.map import Map, SkinMap
from facerelief.synth.skin.regions import Regions

#: Where MakeHuman's skins lie under the root of the assets.
FOLDER = Path("makehuman", "base", "skins", "textures")
_STEPS = 100  # of a stored pigment, per unit
_CREASE_STEPS = 400
_VERSION = 3  # of what the cache holds


@dataclass(frozen=True, eq=False)
class SkinTexture:
    """The structure of one skin: how every texel differs from typical, a byte a value."""

    name: str
    parts: NDArray[np.int8]  # (3, S, S): tone, flush and shade, hundredths
    creases: NDArray[np.int8]  # (S, S) see `mesoscopic`, 1 / 400
    typical: tuple[float, float]  # tone and flush

    @classmethod
    def of(cls, name: str, stored: Mapping[str, NDArray[Any]]) -> SkinTexture:
        """The one whose `stored` these are."""
        return cls(name, stored["parts"], stored["creases"], tuple(stored["typical"].tolist()))

    def stored(self) -> dict[str, NDArray[Any]]:
        """As arrays."""
        return {
            "parts": self.parts, "creases": self.creases, "typical": np.array(self.typical)
        }  # fmt: skip

    def unpacked(self, strength: float) -> Map:
        """(3, S, S): tone, flush and shade times `strength`."""
        values: Map = self.parts.astype(np.float32)
        values *= np.float32(strength / _STEPS)
        return values

    def relief(self, strength: float) -> Map:
        """(S, S) mm: `strength` mm for what is darker than round about by a factor of e."""
        height: Map = self.creases.astype(np.float32)
        height *= np.float32(strength / _CREASE_STEPS)
        return height


def makehuman_textures(root: Path) -> list[Path]:
    """Files of MakeHuman's bare skins, sorted.

    Raises:
        FileNotFoundError: the folder is there but holds none; the message says what is missing.
    """
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    files = sorted(
        path
        for path in folder.iterdir()
        if "_diffuse" in path.name and path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no *_diffuse*.png or .jpg: get the skins of makehuman-assets"
            " (github.com/makehumancommunity/makehuman-assets, base/skins, needs git-lfs)"
        )
    return files


def load_textures(
    skin: SkinMap, regions: Regions, files: Sequence[Path], cache: Path
) -> list[SkinTexture]:
    """MakeHuman's textures in the layout of `skin`, whose head knows MakeHuman's.

    Resampling takes about half a second each, so the result is kept in `cache`.

    Raises:
        ValueError: a file that is no picture; the message names it.
    """
    layout = getattr(skin.head, "uv_makehuman", None)
    if layout is None or not files:
        return []
    corners = layout[skin.head.uv_makehuman_triangles]  # type: ignore[attr-defined]

    def resampled(path: Path) -> dict[str, NDArray[Any]]:
        try:
            picture = np.asarray(Image.open(path).convert("RGB"))
        except OSError as error:
            raise ValueError(f"{path} is no picture that can be read: {error}") from error
        rgb = skin.from_uv(corners, picture)
        texture = take_apart(path.stem, np.clip(rgb, 0, 255).astype(np.uint8), skin, regions)
        return texture.stored()

    layout_key = digest(_layout_key(skin, regions), corners)
    keys = [f"{path.stem}-{digest(layout_key, path.read_bytes())}" for path in files]
    return [
        SkinTexture.of(path.stem, cached(cache, key, partial(resampled, path)))
        for path, key in zip(files, keys, strict=True)
    ]


def photographed_textures(
    photographs: Sequence[NDArray[np.uint8]], skin: SkinMap, regions: Regions, cache: Path
) -> list[SkinTexture]:
    """Textures (S', S', 3) uint8 in the layout of `skin`, taken apart.

    There may be hundreds, so they are kept in `cache` and read from there when they are used; all
    processes share what was read.

    Raises:
        ValueError: one that is no such array.
    """
    if not len(photographs):
        return []
    for number, rgb in enumerate(photographs):
        if (
            rgb.ndim != 3
            or rgb.shape[0] != rgb.shape[1]
            or rgb.shape[2] != 3
            or (rgb.dtype != np.uint8)
        ):
            raise ValueError(f"extra {number} must be (S, S, 3) uint8, got {rgb.shape} {rgb.dtype}")

    def rows() -> Iterator[dict[str, NDArray[Any]]]:
        for number, rgb in enumerate(photographs):
            yield take_apart(f"extra {number}", rgb, skin, regions).stored()

    key = f"photographed-{digest(_layout_key(skin, regions), *photographs)}"
    stacks = cached_rows(cache, key, ("parts", "creases", "typical"), rows, len(photographs))
    return [
        SkinTexture.of(f"extra {i}", {name: stack[i] for name, stack in stacks.items()})
        for i in range(len(photographs))
    ]


def _layout_key(skin: SkinMap, regions: Regions) -> str:
    """Of the code and the layout that textures are taken apart by."""
    return digest(f"{_VERSION} {skin.size}", skin.head.mean, skin.uv, regions.lips)


def take_apart(name: str, rgb: NDArray[np.uint8], skin: SkinMap, regions: Regions) -> SkinTexture:
    """The structure of a texture (S', S', 3) in the layout of `skin`, of any size."""
    if len(rgb) != skin.size:
        rgb = np.asarray(Image.fromarray(rgb).resize((skin.size, skin.size), Image.Resampling.BOX))
    pigments: Pigments = separate(rgb, plain_skin(skin, regions))
    parts = np.stack([pigments.tone, pigments.flush, pigments.shade])
    packed = np.clip(np.round(parts * _STEPS), -127, 127).astype(np.int8)
    creases = np.round(mesoscopic(rgb, skin, regions) * _CREASE_STEPS)
    return SkinTexture(name, packed, np.clip(creases, -127, 127).astype(np.int8), pigments.typical)


def plain_skin(skin: SkinMap, regions: Regions) -> NDArray[np.bool_]:
    """(S, S) bool: cheeks, forehead and nose, without lips, eyes, brows or beard."""
    plain = np.maximum(regions.cheeks, regions.forehead) + regions.nose
    plain = plain * (1 - regions.lips) * (1 - regions.eye_socket) * skin.mask
    result: NDArray[np.bool_] = plain > 0.4
    return result


def mesoscopic(rgb: NDArray[np.uint8], skin: SkinMap, regions: Regions) -> Map:
    """(S, S): logarithm of how much lighter a texel is than what is round it, 1 to 4 mm wide.

    Dark creases are deep ones, more often than not (Beeler et al., *High-quality single-shot
    capture of facial geometry*, 2010), so relief can follow what is painted; not where it is
    dark for other reasons, as lips, lids and hair are.
    """
    table = np.log(np.maximum(decode(np.arange(256) / 255), 5e-3)).astype(np.float32)
    light = table[rgb].mean(axis=-1)
    texel = float(np.median(skin.texel[regions.face * skin.mask > 0.5]))
    band = ndimage.gaussian_filter(light, 0.6 / texel) - ndimage.gaussian_filter(light, 2.5 / texel)
    brow = np.zeros(skin.size**2, np.float32)
    strip = regions.brow
    brow[strip.index] = np.clip(2 - np.abs(strip.beside) / (4 * skin.scale), 0, 1)
    other = [regions.lips, regions.lid_edge, regions.nostrils, regions.scalp, regions.lid]
    hidden = np.maximum.reduce([*other, brow.reshape(light.shape)])
    band *= np.clip(1 - 1.5 * hidden, 0, 1) * regions.face
    # Noise of dark pictures is strong on this scale, and no relief.
    spread = float(band[regions.face * skin.mask > 0.5].std())
    return band * np.float32(min(1.0, 0.02 / max(spread, 1e-6)))
