"""Translucent parts: brows and lashes that colour the skin; hair, glasses and hats before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facerelief.render import textures
from facerelief.render.compiled import array, kernels
from facerelief.render.illumination import Illumination
from facerelief.render.raster import Fragments, fragments
from facerelief.render.scene import Scene
from facerelief.render.shadows import DepthMaps
from facerelief.render.surface import Placed, Surface, interpolate, project
from facerelief.render.vectors import dot

_DEEPEST = 12  # layers of one pixel that are composed; what lies behind is hidden by then
_DECAL_REACH = 6.0  # mm before or behind the skin at which a brow's card still colours it
_WRAP = 0.35  # share of light that strands catch whatever their direction
_FAINT = 0.02  # alpha that is nothing


@dataclass(frozen=True, eq=False)
class Layers:
    """Fragments in front of the opaque surface, composed: what they show and what they let by."""

    radiance: Tensor  # (H W, 3) premultiplied
    transmittance: Tensor  # (H W,)


def draw_decals(decals: list[Placed], surface: Surface, scene: Scene) -> Tensor:
    """(N, 3) albedo of the surface's pixels with brows and lashes painted on."""
    albedo = surface.albedo.clone()
    where = torch.full((scene.size**2,), -1, device=albedo.device)
    where[surface.pixel] = torch.arange(len(surface.pixel), device=albedo.device)
    for decal in decals:
        pieces = _fragments(decal, scene, surface.depth - _DECAL_REACH)
        near = pieces.depth < surface.depth[pieces.pixel] + _DECAL_REACH  # where there is a surface
        pieces = pieces.chosen(near)
        pixel, colour = where[pieces.pixel], _colours(decal, pieces)
        if compiled := kernels(albedo):
            made = compiled.paint(array(albedo), array(pixel), array(colour))
            albedo = torch.from_numpy(made)
            continue
        transmittance = torch.ones(len(albedo), device=albedo.device)
        alpha = colour[:, 3]
        transmittance.scatter_reduce_(0, pixel, 1 - alpha, "prod")
        total, weight = torch.zeros_like(albedo), torch.zeros_like(transmittance)
        total.index_add_(0, pixel, colour[:, :3] * alpha[:, None])
        weight.index_add_(0, pixel, alpha)
        mean = total / weight.clamp_min(1e-6)[:, None]
        albedo = mean + (albedo - mean) * transmittance[:, None]
    return albedo


def draw_layers(
    layered: list[Placed],
    surface: Surface,
    scene: Scene,
    light: Illumination,
    sky: DepthMaps,
    lamps: DepthMaps | None,
) -> Layers:
    """Light the parts at their vertices and compose all of their fragments, nearest first."""
    pixels, depths, colours = [], [], []
    for part in layered:
        pieces = _fragments(part, scene, surface.depth)
        colour = _colours(part, pieces)
        solid = colour[:, 3] > _FAINT
        pieces, colour = pieces.chosen(solid), colour[solid]
        shade = _vertex_light(part, light, sky, lamps)
        shade = interpolate(shade, part.triangles[pieces.triangle], pieces.barycentrics)
        pixels.append(pieces.pixel)
        depths.append(pieces.depth)
        colours.append(torch.cat([colour[:, :3] * shade, colour[:, 3:]], 1))
    return _compose(torch.cat(pixels), torch.cat(depths), torch.cat(colours), scene.size**2)


def _compose(pixel: Tensor, depth: Tensor, colour: Tensor, count: int) -> Layers:
    if compiled := kernels(colour):
        parts = array(pixel), array(depth), array(colour)
        return Layers(*map(torch.from_numpy, compiled.compose(*parts, count, _DEEPEST)))
    nearest_first = torch.argsort(depth, descending=True, stable=True)
    by_pixel = torch.argsort(pixel[nearest_first], stable=True)
    order = nearest_first[by_pixel]
    pixel, colour = pixel[order], colour[order]
    # Rank of a fragment within its pixel.
    start = torch.searchsorted(pixel, pixel)
    rank = torch.arange(len(pixel), device=pixel.device) - start
    radiance, transmittance = colour.new_zeros(count, 3), colour.new_ones(count)
    for depth_rank in range(min(_DEEPEST, int(rank.max()) + 1 if len(rank) else 0)):
        chosen = rank == depth_rank
        at, alpha = pixel[chosen], colour[chosen, 3]
        left = transmittance[at]
        radiance[at] += colour[chosen, :3] * (alpha * left)[:, None]
        transmittance[at] = left * (1 - alpha)
    return Layers(radiance, transmittance)


def _fragments(placed: Placed, scene: Scene, behind: Tensor) -> Fragments:
    """Those of a part that are nearer than `behind` (H * W,)."""
    screen, size = project(placed.vertices, scene), (scene.size, scene.size)
    return fragments(screen, placed.triangles, size, perspective=True, behind=behind)


def _colours(placed: Placed, pieces: Fragments) -> Tensor:
    """(F, 4) linear colour and alpha of fragments."""
    uv = interpolate(placed.uv, placed.uv_triangles[pieces.triangle], pieces.barycentrics)
    return textures.sample(placed.part.material.texture, uv)


def _vertex_light(
    part: Placed, light: Illumination, sky: DepthMaps, lamps: DepthMaps | None
) -> Tensor:
    """(V, 3) shading of both sides of a part: matt, wrapped round, shadowed."""
    facing = dot(part.normals, part.vertices) <= 0
    normals = torch.where(facing, part.normals, -part.normals)
    cosine = (light.directions @ normals.T).clamp_min(0)
    response = _WRAP / 2 + (1 - _WRAP) * cosine
    reach = [sky.visibility(part.vertices, normals)]
    if lamps is not None:
        reach.append(lamps.visibility(part.vertices, normals))
    return (torch.cat(reach) * response).T @ light.colours / torch.pi
