"""What the lights send to a surface, and what it sends to the camera."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from facerelief.geometry.light import COSINE_LOBE, SH_CONSTANTS
from facerelief.render.compiled import array, kernels
from facerelief.render.illumination import Illumination, ggx, gloss_grid, schlick
from facerelief.render.shading import shade_sh
from facerelief.render.shadows import DepthMaps
from facerelief.render.surface import Surface, interpolate
from facerelief.render.vectors import dot, unit

_BLOCKER_DISTANCE = 25.0  # mm, typical; sets how wide a lamp's penumbra is
_SUBSURFACE = (0.5, 0.25, 0.12)  # share of the smooth normal in the diffuse light of R, G and B
_BOUNCE = 0.5  # share of shadowed sky that comes back from the skin around
_BLEND = 0.3  # share of the smooth normal under the sky
_RELIEF = (0.25, 4.0)  # least and greatest change of the sky's light by the displacement


def light_surface(
    surface: Surface, albedo: Tensor, light: Illumination, sky: DepthMaps, lamps: DepthMaps | None
) -> tuple[Tensor, Tensor]:
    """Irradiance over pi (N, 3), and radiance of the gloss (N, 3)."""
    irradiance, gloss = _sky_light(surface, albedo, light, sky)
    if lamps is not None:
        diffuse, mirrored = _lamp_light(surface, light, lamps)
        irradiance, gloss = irradiance + diffuse, gloss + mirrored
    return irradiance / torch.pi, gloss


def _sky_light(
    surface: Surface, albedo: Tensor, light: Illumination, sky: DepthMaps
) -> tuple[Tensor, Tensor]:
    """Irradiance (N, 3) of the sky, and its gloss (N, 3).

    The sky is soft: its shadows are found at the vertices and interpolated, and what the
    displacement adds is the ratio that it has without shadows.
    """
    count = len(light.directions) - light.lamps
    used, local = _used(surface.corners, len(surface.vertices))
    normals = surface.normals.index_select(0, used)
    seen = sky.visibility(surface.vertices.index_select(0, used), normals)  # (D, V)
    cosine = (light.directions[:count] @ normals.T).clamp_min(0)
    reached = cosine * seen
    colours = light.colours[:count]
    parts = [reached.T @ colours, (cosine - reached).T @ colours, seen.mean(0)[:, None]]
    arriving = interpolate(torch.cat(parts, 1), local, surface.weights)
    harmonics = light.harmonics(count)
    floor = 0.05 * harmonics[0] + 1e-6
    if compiled := kernels(arriving):
        weights = harmonics * harmonics.new_tensor(SH_CONSTANTS * COSINE_LOBE)[:, None]
        given = (arriving, surface.points, surface.smooth, surface.detail, albedo)
        look = (surface.specular[:, 0], surface.roughness[:, 0])
        made = compiled.sky_light(
            *map(array, (*given, *look, weights, floor, light.gloss[0].permute(1, 2, 0))),
            *map(arriving.numpy().dtype.type, (_BLEND, *_RELIEF, _BOUNCE)),
        )
        return torch.from_numpy(made[0]), torch.from_numpy(made[1])

    direct, hidden, openness = arriving.split([3, 3, 1], 1)
    blend = unit(torch.lerp(surface.detail, surface.smooth, _BLEND))
    with_detail = torch.maximum(shade_sh(blend[None], harmonics[None])[0], floor)
    without = torch.maximum(shade_sh(surface.smooth[None], harmonics[None])[0], floor)
    irradiance = direct * (with_detail / without).clamp(*_RELIEF) + hidden * albedo * _BOUNCE

    view = unit(-surface.points)
    facing = dot(surface.detail, view)
    mirrored = 2 * facing * surface.detail - view
    gloss = grid_sample(
        light.gloss, gloss_grid(mirrored)[None, None], padding_mode="border", align_corners=False
    )[0, :, 0].T
    # A rough surface mirrors less at grazing angles (Lagarde, "Adopting a physically based
    # shading model", 2011).
    fresnel = schlick(facing, surface.specular, (1 - surface.roughness) ** 2)
    return irradiance, gloss * fresnel * (2 * openness).clamp_max(1)


def _lamp_light(surface: Surface, light: Illumination, lamps: DepthMaps) -> tuple[Tensor, Tensor]:
    """Irradiance (N, 3) of the lamps, and their gloss (N, 3)."""
    penumbra = torch.tan(torch.deg2rad(light.radii)) * _BLOCKER_DISTANCE  # mm
    spread = 0.5 + penumbra / lamps.cell[:, 0] / 1.5
    reach = lamps.visibility(surface.points, surface.smooth, spread, taps=3)
    directions, colours = light.directions[-light.lamps :], light.colours[-light.lamps :]
    specular, roughness = surface.specular[:, 0], surface.roughness[:, 0]
    view = unit(-surface.points)
    if compiled := kernels(reach):
        given = (surface.smooth, surface.detail, view, specular, roughness)
        made = compiled.lamp_light(
            *map(array, (reach, directions, colours, *given, reach.new_tensor(_SUBSURFACE)))
        )
        return torch.from_numpy(made[0]), torch.from_numpy(made[1])

    irradiance, gloss = torch.zeros_like(view), torch.zeros_like(view)
    for one, direction, colour in zip(reach, directions, colours, strict=True):
        lit = one[:, None] * colour
        smooth, detail = surface.smooth @ direction, surface.detail @ direction
        # Light spreads under the skin, red farthest: its small relief is softer in red.
        cosines = torch.stack([torch.lerp(detail, smooth, s) for s in _SUBSURFACE], 1)
        irradiance += lit * cosines.clamp_min(0) * (smooth > 0)[:, None]
        gloss += lit * ggx(surface.detail, view, direction, specular, roughness)[:, None]
    return irradiance, gloss


def _used(corners: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Those of `count` vertices that are among `corners`, and the corners as places in that list.

    As `unique` with its inverse, without sorting.
    """
    flat = corners.flatten()
    named = torch.zeros(count, dtype=torch.bool, device=corners.device)
    named.index_fill_(0, flat, True)
    return named.nonzero()[:, 0], (named.cumsum(0) - 1).index_select(0, flat).view_as(corners)
