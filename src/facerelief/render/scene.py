"""A description of one picture of one head, which every renderer takes.

Head space is the morphable model's: x to the subject's left, y up, z out of the face, mm. Camera
space is x right, y up, z towards the viewer, the camera at the origin; light is given in it.
Colours of textures are sRGB bytes; radiance is linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.camera import Perspective

#: What a part is. Skin, eyes and teeth are the face, whose normals are the truth. Brows and lashes
#: only colour the skin behind them. Everything else occludes.
Kind = Literal["skin", "eye", "teeth", "brow", "lash", "hair", "glasses", "hat"]
FACE_KINDS = ("skin", "eye", "teeth")
DECAL_KINDS = ("brow", "lash")


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks."""

    texture: NDArray[np.uint8]  # (H, W, 4) RGBA sRGB, row 0 at v = 1; alpha 0 is a hole
    displacement: NDArray[np.float32] | None = None  # (H', W') mm along the normal, outwards
    specular: float = 0.04  # reflectance at normal incidence
    roughness: float = 0.5  # GGX, 0 mirror to 1


@dataclass(frozen=True, eq=False)
class Part:
    """A textured mesh in head space."""

    kind: Kind
    vertices: NDArray[np.float32]  # (V, 3) mm
    triangles: NDArray[np.int32]  # (T, 3) counter-clockwise seen from outside
    uv: NDArray[np.float32]  # (U, 2) in [0, 1], v upwards
    uv_triangles: NDArray[np.int32]  # (T, 3) into uv
    material: Material

    @property
    def occludes(self) -> bool:
        """Whether it hides the face, instead of being it or colouring it."""
        return self.kind not in FACE_KINDS + DECAL_KINDS


@dataclass(frozen=True, eq=False)
class Lamp:
    """A far light: a disc in the sky."""

    direction: NDArray[np.float32]  # (3,) unit, from the head towards the light, camera space
    colour: NDArray[np.float32]  # (3,) irradiance on a surface that faces it
    radius: float = 2.0  # degrees, half the angle that it fills


@dataclass(frozen=True, eq=False)
class Lighting:
    """All the light there is."""

    # (H, W, 3) radiance on an equirectangular map in camera space: row 0 is up (+y), the middle
    # column is where the camera looks (-z), and columns run to the right (+x is at 3/4).
    environment: NDArray[np.float32]
    lamps: tuple[Lamp, ...] = ()
    shadows: bool = True  # whether things keep light from each other; off for ablations


@dataclass(frozen=True, eq=False)
class Film:
    """What the camera makes of the light."""

    exposure: float = 1.0  # factor on radiance; 1 shows a white surface under irradiance pi as 1
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factors on linear RGB
    contrast: float = 1.0  # exponent on the encoded picture about middle grey
    saturation: float = 1.0  # 0 is grey
    noise: float = 0.0  # standard deviation of shot noise at white, in encoded units
    blur: float = 0.0  # pixels, standard deviation
    jpeg: int | None = None  # quality, or None for none


@dataclass(frozen=True, eq=False)
class Cutout:
    """Something flat between the camera and the head: a hand, a scarf, a mask."""

    picture: NDArray[np.uint8]  # (size, size, 4) RGBA sRGB, over the whole picture


@dataclass(frozen=True, eq=False)
class Scene:
    """One head, its looks, its light and its camera; a picture is `size` pixels square."""

    seed: int
    size: int
    parts: tuple[Part, ...]
    rotation: NDArray[np.float32]  # (3, 3) head space to camera space
    translation: NDArray[np.float32]  # (3,) mm, of the head's origin in camera space
    camera: Perspective
    lighting: Lighting
    background: NDArray[np.uint8]  # (size, size, 3) sRGB
    film: Film
    landmarks: NDArray[np.float32]  # (68, 3) head space, mm
    cutouts: tuple[Cutout, ...] = ()
    #: What it was made from: coefficients, angles, names of assets.
    coefficients: dict[str, Any] = field(default_factory=dict)
