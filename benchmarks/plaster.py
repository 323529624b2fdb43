"""Faces in plaster: what relief looks like in one light and in another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import facerelief as fr
from facerelief.detail import Detail, Maker
from facerelief.detailed import DetailedFace
from facerelief.evaluate.detailed_meshes import shown
from facerelief.images import Pixels

#: Towards the light, camera space: over the camera's left shoulder, and from the right, raking.
LIGHTS = {"front": (-0.45, 0.55, 0.7), "raking": (0.8, 0.2, 0.5)}
_AMBIENT = 0.18

Picture = NDArray[np.uint8]


def plaster(made: DetailedFace, light: str, size: int) -> Picture:
    """(size, size, 3) of a face's crop, white off the face."""
    normals, mask = shown(made, size)
    towards = np.array(LIGHTS[light]) / np.linalg.norm(LIGHTS[light])
    bright = _AMBIENT + (1 - _AMBIENT) * np.maximum(normals @ towards, 0)
    grey = np.where(mask, 240 * bright ** (1 / 1.4), 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def coarse(face: fr.Face) -> DetailedFace:
    """Without relief."""
    return DetailedFace(face, Detail.none(512))


def row(
    photo: Pixels, face: fr.Face, makers: dict[str, Maker], size: int, lights: tuple[str, ...]
) -> list[Picture]:
    """The crop; then for each light the smooth mesh and each kind of relief."""
    made = [coarse(face), *(DetailedFace(face, maker(face, photo)) for maker in makers.values())]
    return [
        cropped(photo, face, size),
        *(plaster(m, light, size) for light in lights for m in made),
    ]


def cropped(photo: Pixels, face: fr.Face, size: int) -> Picture:
    """(size, size, 3)."""
    picture = Image.fromarray(face.crop.extract(photo)) if face.crop.side < size else None
    if picture is not None:
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
    return fr.Crop(face.crop.centre, face.crop.side, face.crop.angle, size).extract(photo)


def sheet(rows: list[list[Picture]]) -> Picture:
    """Rows of pictures of one size, side by side."""
    return np.concatenate([np.concatenate(one, axis=1) for one in rows])
