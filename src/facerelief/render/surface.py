"""What is opaque in a scene, at every pixel that shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from facerelief.render import textures
from facerelief.render.raster import rasterise
from facerelief.render.scene import Part, Scene
from facerelief.render.shading import vertex_normals
from facerelief.render.vectors import tilted, unit

_SOLID_ALPHA = 127  # of a texture: what is less lets light through
_FEWER = 8  # pixels, one of which is asked for the size of all on the texture


@dataclass(frozen=True, eq=False)
class Placed:
    """A part of a scene in camera space."""

    part: Part
    vertices: Tensor  # (V, 3) mm
    normals: Tensor  # (V, 3) unit
    triangles: Tensor  # (T, 3)
    uv: Tensor  # (U, 2)
    uv_triangles: Tensor  # (T, 3) into uv

    def casters(self) -> Tensor:
        """(P, 3) middles of the triangles, but for those in holes of the texture."""
        centres = _middles(self.vertices, self.triangles)
        alpha = self.part.material.texture[..., 3]
        if alpha.min() > _SOLID_ALPHA:
            return centres
        height, width = alpha.shape
        u, v = _middles(self.uv, self.uv_triangles).clamp(0, 1).cpu().numpy().T
        column = (u * width).astype(int).clip(0, width - 1)
        row = ((1 - v) * height).astype(int).clip(0, height - 1)
        return centres[torch.from_numpy(alpha[row, column] > _SOLID_ALPHA).to(centres.device)]


def interpolate(attributes: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """(N, C): attributes (V, C) summed over `corners` (N, 3) with `weights` (N, 3)."""
    # What embeddings do for words, and many times faster than gathering and summing.
    return embedding_bag(corners, attributes, per_sample_weights=weights, mode="sum")


def _middles(points: Tensor, triangles: Tensor) -> Tensor:
    """(T, C): the mean of `points` (V, C) at the corners of triangles (T, 3)."""
    return embedding_bag(triangles, points, mode="sum") / 3


def place(part: Part, scene: Scene, device: torch.device | str) -> Placed:
    """A part as tensors, moved to camera space."""
    rotation, translation = (
        torch.from_numpy(np.asarray(values, np.float32)).to(device)
        for values in (scene.rotation, scene.translation)
    )
    vertices = torch.from_numpy(np.asarray(part.vertices, np.float32)).to(device)
    vertices = vertices @ rotation.T + translation
    triangles, uv_triangles = (
        torch.from_numpy(corners.astype(np.int64)).to(device)
        for corners in (part.triangles, part.uv_triangles)
    )
    return Placed(
        part=part,
        vertices=vertices,
        normals=vertex_normals(vertices[None], triangles)[0],
        triangles=triangles,
        uv=torch.from_numpy(np.array(part.uv)).to(device),
        uv_triangles=uv_triangles,
    )


def project(vertices: Tensor, scene: Scene) -> Tensor:
    """(V, 3) pixel x, pixel y and z of camera-space `vertices` (V, 3)."""
    x, y, z = vertices.unbind(1)
    zoom = torch.where(z < 0, scene.camera.focal / -z, torch.nan)
    return torch.stack([scene.camera.centre[0] + zoom * x, scene.camera.centre[1] - zoom * y, z], 1)


@dataclass(frozen=True, eq=False)
class Surface:
    """The N pixels that show something opaque."""

    pixel: Tensor  # (N,) row * width + column
    points: Tensor  # (N, 3) camera space, mm
    smooth: Tensor  # (N, 3) unit normals of the meshes
    detail: Tensor  # (N, 3) unit normals with the displacement
    albedo: Tensor  # (N, 3) linear
    specular: Tensor  # (N, 1) reflectance at normal incidence
    roughness: Tensor  # (N, 1)
    depth: Tensor  # (H W,) camera z, -inf where nothing is
    # The meshes behind the pixels.
    vertices: Tensor  # (V, 3)
    normals: Tensor  # (V, 3)
    corners: Tensor  # (N, 3) vertices of the triangle that a pixel shows
    weights: Tensor  # (N, 3) barycentrics

    def interpolate(self, attributes: Tensor) -> Tensor:
        """(N, C) at the pixels of attributes (V, C) of the vertices."""
        return interpolate(attributes, self.corners, self.weights)


def draw_surface(solid: list[Placed], scene: Scene) -> Surface:
    """Rasterise opaque parts and read their materials."""
    vertices, normals, uv = (
        torch.cat(parts)
        for parts in zip(*((p.vertices, p.normals, p.uv) for p in solid), strict=True)
    )
    triangles = _joined([p.triangles for p in solid], [len(p.vertices) for p in solid])
    uv_triangles = _joined([p.uv_triangles for p in solid], [len(p.uv) for p in solid])
    raster = rasterise(
        project(vertices, scene)[None],
        triangles,
        (scene.size, scene.size),
        perspective=True,
        cull_back_faces=True,
    )
    pixel = raster.mask.flatten().nonzero()[:, 0]
    triangle = raster.triangle.flatten().index_select(0, pixel)
    weights = raster.barycentrics.flatten(0, 2).index_select(0, pixel)
    corners, uv_corners = (x.index_select(0, triangle) for x in (triangles, uv_triangles))
    points = interpolate(vertices, corners, weights)
    smooth = unit(interpolate(normals, corners, weights))
    places = interpolate(uv, uv_corners, weights)
    gradients = textures.uv_gradients(vertices, corners, uv, uv_corners)
    detail, albedo = smooth.clone(), torch.zeros_like(smooth)
    specular, roughness = torch.zeros_like(smooth[:, :1]), torch.ones_like(smooth[:, :1])

    ends = np.cumsum([len(p.triangles) for p in solid])
    owner = torch.bucketize(triangle, torch.from_numpy(ends).to(triangle.device), right=True)
    for number, part in enumerate(solid):
        chosen = (owner == number).nonzero()[:, 0]
        if len(chosen) == 0:
            continue
        material = part.part.material
        at, change = places.index_select(0, chosen), gradients.index_select(0, chosen)
        mm = -points.index_select(0, chosen)[:, 2].mean() / scene.camera.focal  # of a pixel
        # Some of the pixels tell how large they are on the texture.
        footprint = float(change[::_FEWER].norm(dim=2).median() * mm)
        texture = textures.reduce(material.texture, _texels(footprint, len(material.texture)))
        albedo.index_copy_(0, chosen, textures.sample(texture, at)[:, :3])
        specular.index_fill_(0, chosen, material.specular)
        roughness.index_fill_(0, chosen, material.roughness)
        if material.displacement is not None:
            relief = material.displacement
            slopes = textures.displacement_slopes(relief, _texels(footprint, len(relief)))
            upright = smooth.index_select(0, chosen)
            detail.index_copy_(0, chosen, tilted(upright, textures.sample(slopes, at), change))
    return Surface(
        pixel=pixel,
        points=points,
        smooth=smooth,
        detail=detail,
        albedo=albedo,
        specular=specular,
        roughness=roughness,
        depth=raster.depth.flatten().nan_to_num(-torch.inf),
        vertices=vertices,
        normals=normals,
        corners=corners,
        weights=weights,
    )


def _joined(triangles: list[Tensor], counts: list[int]) -> Tensor:
    """Triangles of several lists of `counts` things, of one list of them all."""
    starts = np.cumsum([0, *counts]).tolist()
    return torch.cat([part + start for part, start in zip(triangles, starts, strict=False)])


def _texels(footprint: float, texels: int) -> int:
    """How many texels of a texture's side one pixel covers, 1 to 4: what to average first."""
    return min(max(round(footprint * texels), 1), 4)
