"""Draw a scene: a photograph and everything known about it.

One z-buffer for what is opaque, sorted fragments for hair, glasses and hats, and one sum over far
lights, each with its shadows. Displaced skin is shaded, and its normals are given, as the surface
that the displacement makes, at every pixel and to first order in its slope: n - grad d.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from facerelief.render.finish import background, photograph, rendering
from facerelief.render.illumination import Illumination, ggx, gloss_grid, illumination, schlick
from facerelief.render.layers import draw_decals, draw_layers
from facerelief.render.scene import DECAL_KINDS, FACE_KINDS, Rendering, Scene
from facerelief.render.shading import shade_sh
from facerelief.render.shadows import DepthMaps
from facerelief.render.surface import Surface, draw_surface, interpolate, place
from facerelief.render.vectors import dot, unit

_SKY_CELLS, _LAMP_CELLS = 48, 176  # along each side of a depth map
_BLOCKER_DISTANCE = 25.0  # mm, typical; sets how wide a lamp's penumbra is
_SUBSURFACE = (0.5, 0.25, 0.12)  # share of the smooth normal in the diffuse light of R, G and B
_BOUNCE = 0.5  # share of shadowed sky that comes back from the skin around


@torch.no_grad()
def render(scene: Scene, device: torch.device | str = "cpu") -> Rendering:
    """Draw one scene (`facerelief.render.scene` says what goes in and what comes out).

    The same scene gives the same bytes on the same machine and device.
    """
    placed = [place(part, scene, device) for part in scene.parts]
    solid = [p for p in placed if p.part.kind in FACE_KINDS]
    decals = [p for p in placed if p.part.kind in DECAL_KINDS]
    layered = [p for p in placed if p.part.occludes]
    light = illumination(scene.lighting, device)
    casters = torch.cat([p.casters() for p in solid + layered])
    surface = draw_surface(solid, scene)
    if not scene.lighting.shadows:
        casters = casters[:0]
    sky_lights, lamp_lights = light.directions.split(
        [len(light.directions) - light.lamps, light.lamps]
    )
    sky = DepthMaps(casters[::3], surface.points, sky_lights, _SKY_CELLS)
    lamps = DepthMaps(casters, surface.points, lamp_lights, _LAMP_CELLS) if light.lamps else None

    albedo = draw_decals(decals, surface, scene) if decals else surface.albedo
    irradiance, specular = _light(surface, albedo, light, sky, lamps)

    picture = torch.from_numpy(background(scene)).to(device).flatten(0, 1)
    picture[surface.pixel] = albedo * irradiance + specular
    covered = np.zeros((scene.size, scene.size), np.float32)
    if layered:
        layers = draw_layers(layered, surface, scene, light, sky, lamps)
        picture = picture * layers.transmittance[:, None] + layers.radiance
        covered = 1 - _image(layers.transmittance, scene.size)
    photo, hidden = photograph(_image(picture, scene.size), covered, scene)

    def spread(values: Tensor, fill: float = 0.0) -> NDArray[np.float32]:
        full = values.new_full((scene.size**2, *values.shape[1:]), fill)
        full.index_copy_(0, surface.pixel, values)
        return _image(full, scene.size)

    return rendering(
        scene,
        photo,
        hidden,
        normals=spread(surface.detail),
        normals_smooth=spread(surface.smooth),
        depth=-spread(surface.points[:, 2], torch.nan),
        albedo=spread(albedo),
        shading=spread(irradiance),
        irradiance=light.harmonics().cpu().numpy(),
    )


def _light(
    surface: Surface,
    albedo: Tensor,
    light: Illumination,
    sky: DepthMaps,
    lamps: DepthMaps | None,
) -> tuple[Tensor, Tensor]:
    """Irradiance over pi (N, 3), and radiance of the gloss (N, 3)."""
    count = len(light.directions) - light.lamps
    # The sky is soft: its shadows are found at the vertices and interpolated, and what the
    # displacement adds is the ratio that it has without shadows.
    used, local = _used(surface.corners, len(surface.vertices))
    normals = surface.normals[used]
    seen = sky.visibility(surface.vertices[used], normals)  # (D, V)
    cosine = (light.directions[:count] @ normals.T).clamp_min(0)
    parts = [
        (cosine * seen).T @ light.colours[:count],
        (cosine * (1 - seen)).T @ light.colours[:count],
    ]
    at_vertices = torch.cat([*parts, seen.mean(0)[:, None]], 1)
    found = interpolate(at_vertices, local, surface.weights)
    direct, hidden, openness = found.split([3, 3, 1], 1)
    blend = unit(torch.lerp(surface.detail, surface.smooth, 0.3))
    open_light = light.harmonics(count)
    floor = 0.05 * open_light[0] + 1e-6
    with_detail = torch.maximum(shade_sh(blend[None], open_light[None])[0], floor)
    without = torch.maximum(shade_sh(surface.smooth[None], open_light[None])[0], floor)
    total = direct * (with_detail / without).clamp(0.25, 4) + hidden * albedo * _BOUNCE

    view = unit(-surface.points)
    facing = dot(surface.detail, view)
    mirrored = 2 * facing * surface.detail - view
    gloss = grid_sample(
        light.gloss, gloss_grid(mirrored)[None, None], padding_mode="border", align_corners=False
    )[0, :, 0].T
    # A rough surface mirrors less at grazing angles (Lagarde, "Adopting a physically based
    # shading model", 2011).
    fresnel = schlick(facing, surface.specular, (1 - surface.roughness) ** 2)
    specular = gloss * fresnel * (2 * openness).clamp_max(1)

    if lamps is not None:
        spread = (
            0.5 + torch.tan(torch.deg2rad(light.radii)) * _BLOCKER_DISTANCE / lamps.cell[:, 0] / 1.5
        )
        reach = lamps.visibility(surface.points, surface.smooth, spread, taps=3)
        for one, direction, colour in zip(
            reach, light.directions[count:], light.colours[count:], strict=True
        ):
            lit = one[:, None] * colour
            smooth, detail = surface.smooth @ direction, surface.detail @ direction
            # Light spreads under the skin, red farthest: its small relief is softer in red.
            cosines = torch.stack([torch.lerp(detail, smooth, s) for s in _SUBSURFACE], 1)
            total = total + lit * cosines.clamp_min(0) * (smooth > 0)[:, None]
            specular = (
                specular
                + lit
                * ggx(
                    surface.detail, view, direction, surface.specular[:, 0], surface.roughness[:, 0]
                )[:, None]
            )
    return total / torch.pi, specular


def _used(corners: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Those of `count` vertices that are among `corners`, and the corners as places in that list.

    As `unique` with its inverse, without sorting.
    """
    named = torch.zeros(count, dtype=torch.bool, device=corners.device)
    named[corners.flatten()] = True
    return named.nonzero()[:, 0], (named.cumsum(0) - 1)[corners]


def _image(values: Tensor, size: int) -> NDArray[np.float32]:
    return values.view(size, size, *values.shape[1:]).cpu().numpy()
