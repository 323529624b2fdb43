"""Photographed and painted skins, taken apart into pigments in the head's own layout."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from facerelief.synth.skin_colour import Pigments, separate
from facerelief.synth.skin_map import SkinMap
from facerelief.synth.skin_regions import Regions

Map = NDArray[np.float32]

#: Where MakeHuman's skins lie under the root of the assets.
FOLDER = Path("makehuman", "base", "skins", "textures")
_STEPS = 100  # of a stored pigment, per unit
_VERSION = 1  # of what the cache holds


@dataclass(frozen=True, eq=False)
class SkinTexture:
    """The structure of one skin: how every texel differs from typical, a byte a value."""

    name: str
    parts: NDArray[np.int8]  # (3, S, S): tone, flush and shade, hundredths
    typical: tuple[float, float]  # tone and flush

    def unpacked(self, strength: float) -> Map:
        """(3, S, S): tone, flush and shade times `strength`."""
        values: Map = self.parts.astype(np.float32)
        values *= np.float32(strength / _STEPS)
        return values


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
    digest = hashlib.sha256(f"{_VERSION} {skin.size}".encode())
    for array in (skin.head.mean, skin.head.uv, corners, regions.lips):
        digest.update(np.ascontiguousarray(array).tobytes())
    result = []
    for path in files:
        key = digest.copy()
        key.update(path.read_bytes())
        kept = cache / f"{path.stem}-{key.hexdigest()[:16]}.npz"
        if kept.is_file():
            with np.load(kept) as file:
                result.append(SkinTexture(path.stem, file["parts"], tuple(file["typical"])))
            continue
        try:
            picture = np.asarray(Image.open(path).convert("RGB"))
        except OSError as error:
            raise ValueError(f"{path} is no picture that can be read: {error}") from error
        rgb = skin.from_uv(corners, picture)
        texture = take_apart(path.stem, np.clip(rgb, 0, 255).astype(np.uint8), skin, regions)
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = cache / f".{kept.name}.{os.getpid()}.npz"
        np.savez_compressed(unfinished, parts=texture.parts, typical=texture.typical)
        unfinished.replace(kept)
        result.append(texture)
    return result


def take_apart(name: str, rgb: NDArray[np.uint8], skin: SkinMap, regions: Regions) -> SkinTexture:
    """The structure of a texture (S', S', 3) in the layout of `skin`, of any size.

    Raises:
        ValueError: not (S', S', 3) bytes.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.shape[0] != rgb.shape[1] or rgb.dtype != np.uint8:
        raise ValueError(f"{name} must be (S, S, 3) uint8, got {rgb.shape} {rgb.dtype}")
    if len(rgb) != skin.size:
        rgb = np.asarray(Image.fromarray(rgb).resize((skin.size, skin.size), Image.Resampling.BOX))
    pigments: Pigments = separate(rgb, plain_skin(skin, regions))
    parts = np.stack([pigments.tone, pigments.flush, pigments.shade])
    packed = np.clip(np.round(parts * _STEPS), -127, 127).astype(np.int8)
    return SkinTexture(name, packed, pigments.typical)


def plain_skin(skin: SkinMap, regions: Regions) -> NDArray[np.bool_]:
    """(S, S) bool: cheeks, forehead and nose, without lips, eyes, brows or beard."""
    plain = np.maximum(regions.cheeks, regions.forehead) + regions.nose
    plain = plain * (1 - regions.lips) * (1 - regions.eye_socket) * skin.mask
    result: NDArray[np.bool_] = plain > 0.4
    return result


def mesoscopic(skin: SkinMap, shade: Map) -> Map:
    """(S, S) in about [-1, 1]: where a texture is darker than round about, 1 to 4 mm wide.

    Dark creases are deep ones, more often than not (Beeler et al., *High-quality single-shot
    capture of facial geometry*, 2010): relief that follows what is painted.
    """
    texel = float(np.median(skin.texel[skin.mask]))
    fine = ndimage.gaussian_filter(shade, 0.7 / texel)
    return fine - ndimage.gaussian_filter(shade, 3.0 / texel)
