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

from facerelief.render.finish import background, photograph, rendering
from facerelief.render.illumination import illumination
from facerelief.render.layers import draw_decals, draw_layers
from facerelief.render.light import light_surface
from facerelief.render.scene import DECAL_KINDS, FACE_KINDS, Scene
from facerelief.render.shadows import DepthMaps
from facerelief.render.surface import draw_surface, place
from facerelief.samples.rendering import Rendering

_SKY_CELLS, _LAMP_CELLS = 48, 176  # along each side of a depth map


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
    irradiance, specular = light_surface(surface, albedo, light, sky, lamps)

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


def _image(values: Tensor, size: int) -> NDArray[np.float32]:
    return values.view(size, size, *values.shape[1:]).cpu().numpy()
