"""What `assets/picture.frag` of a page draws, number by number in NumPy."""

import numpy as np

from facerelief.apps.view.scene import Relightable
from facerelief.arrays import FloatArray
from facerelief.geometry.light import direction
from facerelief.geometry.normals import normalise


def relit(
    picture: FloatArray, shown: Relightable, alpha: FloatArray, light: dict[str, float]
) -> FloatArray:
    """`picture` (H, W, 3), sRGB in [0, 1], in the `light` of a page's state."""
    towards = direction(light["azimuth"], light["elevation"])
    halfway = normalise(towards + np.array([0, 0, 1]))
    facing = np.maximum(shown.normals @ towards, 0)
    glint = np.maximum(shown.normals @ halfway, 0) ** 16 * np.minimum(5 * facing, 1)
    glare = light["shine"] * light["key"] * (0.35 + 0.65 * (1 - halfway[2]) ** 3)
    gain = (light["fill"] + light["key"] * facing / shown.shading) ** (1 / 2.2)
    values = picture * gain[..., None] + (glare * alpha * glint)[..., None]
    most = values.max(axis=-1, keepdims=True)
    over = np.maximum(most - 0.85, 0)
    return np.where(
        over > 0, values * (0.85 + 0.15 * over / (over + 0.15)) / np.maximum(most, 1e-6), values
    )
