"""All light of a scene as a list of far directions, and what a surface sends back.

The sky is cut into cells round even directions, each with the light of its cell; lamps join the
list. Shading is then one sum over directions with a visibility each, from which cast shadows and
ambient occlusion follow alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from facerelief.geometry.environment import map_directions, solid_angles
from facerelief.render.scene import Lighting
from facerelief.render.shading import sh_basis
from facerelief.render.shadows import fibonacci_sphere

SKY_DIRECTIONS = 36
_GLOSS_ROWS = 16  # of the sky that is seen in reflections
_GLOSS_BLUR = 1.6  # of its cells of 11 degrees, standard deviation


@dataclass(frozen=True, eq=False)
class Illumination:
    """Light of a scene as tensors."""

    directions: Tensor  # (D, 3) towards the light; the sky's first, then the lamps'
    colours: Tensor  # (D, 3) irradiance on a surface that faces the light
    lamps: int  # how many of them are lamps
    radii: Tensor  # (lamps,) degrees
    gloss: Tensor  # (1, 3, h, w) blurred radiance of the sky

    def harmonics(self, first: int | None = None) -> Tensor:
        """(9, 3) coefficients of the radiance of the first lights, or of all, in the order and
        scale of `facerelief.geometry.light`."""
        return sh_basis(self.directions[:first]).T @ self.colours[:first]


def illumination(lighting: Lighting, device: torch.device | str) -> Illumination:
    """The directions of a scene's light."""
    sky = np.ascontiguousarray(lighting.environment, np.float32)
    height, width = sky.shape[:2]
    cell, weight = _cells(height, width)
    weighted = (sky * weight).reshape(-1, 3)
    colours = np.stack(
        [np.bincount(cell, weighted[:, c], minlength=SKY_DIRECTIONS) for c in range(3)], 1
    )
    lamps = lighting.lamps
    directions = [fibonacci_sphere(SKY_DIRECTIONS).numpy(), *[x.direction[None] for x in lamps]]
    colours = np.concatenate([colours, *[x.colour[None] for x in lamps]])
    # Skin is no mirror: the sky that it reflects is blurred as its microscopic relief does.
    rows, columns = height // _GLOSS_ROWS, width // (2 * _GLOSS_ROWS)
    small = sky[: rows * _GLOSS_ROWS, : columns * 2 * _GLOSS_ROWS]
    small = small.reshape(_GLOSS_ROWS, rows, 2 * _GLOSS_ROWS, columns, 3).mean((1, 3))
    small = gaussian_filter(small, (_GLOSS_BLUR, _GLOSS_BLUR, 0), mode=("nearest", "wrap", "wrap"))
    return Illumination(
        directions=torch.from_numpy(np.concatenate(directions).astype(np.float32)).to(device),
        colours=torch.from_numpy(colours.astype(np.float32)).to(device),
        lamps=len(lamps),
        radii=torch.tensor([x.radius for x in lamps], device=device),
        gloss=torch.from_numpy(small).permute(2, 0, 1)[None].contiguous().to(device),
    )


def gloss_grid(directions: Tensor) -> Tensor:
    """(..., 2) where `grid_sample` reads an equirectangular map towards `directions` (..., 3)."""
    x, y, z = directions.unbind(-1)
    return torch.stack(
        [torch.atan2(x, -z) / torch.pi, 2 * torch.acos(y.clamp(-1, 1)) / torch.pi - 1], -1
    )


def schlick(cosine: Tensor, at_normal: Tensor, at_grazing: Tensor | float = 1.0) -> Tensor:
    """Fresnel reflectance (Schlick, "An inexpensive BRDF model", 1994)."""
    rise = torch.clamp_min(torch.as_tensor(at_grazing) - at_normal, 0)
    return at_normal + rise * (1 - cosine).clamp(0, 1) ** 5


def ggx(normals: Tensor, view: Tensor, light: Tensor, f0: Tensor, roughness: Tensor) -> Tensor:
    """Specular reflection (N,) times cos: Walter et al., "Microfacet models", EGSR 2007.

    Of unit `normals` and `view` (N, 3), one `light` (3,), `f0` and `roughness` (N,). With the
    height-correlated masking of Smith in Hammon's approximation.
    """
    half = torch.nn.functional.normalize(view + light, dim=-1)
    nl = (normals * light).sum(-1).clamp_min(0)
    nv = (normals * view).sum(-1).clamp_min(1e-3)
    nh = (normals * half).sum(-1).clamp(0, 1)
    alpha2 = roughness**4
    distribution = alpha2 / (torch.pi * (nh * nh * (alpha2 - 1) + 1) ** 2)
    alpha = roughness**2
    masking = 0.5 / torch.lerp(2 * nl * nv, nl + nv, alpha).clamp_min(1e-4)
    return distribution * masking * schlick((view * half).sum(-1), f0) * nl


@lru_cache(maxsize=4)
def _cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest sky direction (H W,) of every pixel, and its solid angle (H, W, 1)."""
    directions = map_directions(height, width).reshape(-1, 3)
    nearest = (directions @ fibonacci_sphere(SKY_DIRECTIONS).numpy().T.astype(float)).argmax(1)
    return nearest, solid_angles(height, width)[..., None]
