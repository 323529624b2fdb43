"""The shine of skin: light that its oily surface sends back before it enters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.horizon import Horizons
from facerelief.geometry.lights import SOFTNESS, Lights
from facerelief.geometry.normals import normalise

#: Of skin at normal incidence (index of refraction 1.4, Weyrich et al., "Analysis of human faces
#: using a measurement-based skin reflectance model", SIGGRAPH 2006).
AT_NORMAL = 0.028
_FAINT = 0.02  # of the brightest light: what is fainter does not shine
ROUGHNESS = 0.5  # theirs lie between 0.3 and 0.5; normals that were estimated are smooth


def gloss(
    normals: FloatArray,
    horizons: Horizons,
    lights: Lights,
    roughness: float = ROUGHNESS,
    softness: float = SOFTNESS,
) -> NDArray[np.float32]:
    """(H, W, 3) what the surface of skin sends to the viewer, in units of `shade_lights`.

    Microfacets of Walter et al. ("Microfacet models for refraction through rough surfaces", EGSR
    2007) with Schlick's Fresnel term and Hammon's approximation of Smith's masking; the viewer is
    far away along +z. An even ambient term does not shine.
    """
    index = np.flatnonzero(normals.any(axis=-1))
    here = normals.reshape(-1, 3)[index].astype(np.float32)
    shines = np.zeros((len(index), 3), np.float32)
    strengths = lights.colours.max(axis=-1, initial=0)
    seen = strengths > _FAINT * strengths.max(initial=0)
    for direction, colour in zip(lights.directions[seen], lights.colours[seen], strict=True):
        cosine = np.maximum(here @ direction.astype(np.float32), 0)
        shine = _shine(here, cosine, direction, roughness)
        shine *= horizons.at(index, direction, softness)
        shines += shine[:, None] * colour.astype(np.float32)
    result = np.zeros(normals.shape, np.float32)
    result.reshape(-1, 3)[index] = shines
    return result


def _shine(
    normals: FloatArray, cosine: FloatArray, direction: FloatArray, roughness: float
) -> FloatArray:
    """(N,): pi D F G (n . l), of normals (N, 3) and their cosines to the light."""
    half = direction + np.array([0, 0, 1])
    if not np.linalg.norm(half) > 1e-6:  # straight from behind
        return np.zeros_like(cosine)
    half = normalise(half)
    alpha = np.float32(roughness**2)
    square = alpha * alpha
    facing = np.maximum(normals[..., 2], np.float32(0.05))
    along = np.clip(normals @ half.astype(np.float32), 0, 1)
    spread = square / (along * along * (square - 1) + 1) ** 2
    fresnel = np.float32(AT_NORMAL + (1 - AT_NORMAL) * (1 - float(direction @ half)) ** 5)
    masking = 0.5 / (2 * cosine * facing * (1 - alpha) + (cosine + facing) * alpha + 1e-6)
    return spread * masking * cosine * fresnel
