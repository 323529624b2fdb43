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
from facerelief.render.vectors import dot, unit

_SOLID_ALPHA = 127  # of a texture: what is less lets light through


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
        centres = embedding_bag(self.triangles, self.vertices, mode="mean")
        alpha = self.part.material.texture[..., 3]
        if alpha.min() > _SOLID_ALPHA:
            return centres
        height, width = alpha.shape
        places = embedding_bag(self.uv_triangles, self.uv, mode="mean")
        u, v = places.clamp(0, 1).cpu().numpy().T
        column = (u * width).astype(int).clip(0, width - 1)
        row = ((1 - v) * height).astype(int).clip(0, height - 1)
        return centres[torch.from_numpy(alpha[row, column] > _SOLID_ALPHA).to(centres.device)]


def interpolate(attributes: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """(N, C): attributes (V, C) summed over `corners` (N, 3) with `weights` (N, 3)."""
    # What embeddings do for words, and many times faster than gathering and summing.
    return embedding_bag(corners, attributes, per_sample_weights=weights, mode="sum")


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
    vertices, normals = (
        torch.cat([p.vertices for p in solid]),
        torch.cat([p.normals for p in solid]),
    )
    starts = np.cumsum([0, *(len(p.vertices) for p in solid)])
    triangles = torch.cat([p.triangles + int(s) for p, s in zip(solid, starts, strict=False)])
    raster = rasterise(
        project(vertices, scene)[None],
        triangles,
        (scene.size, scene.size),
        perspective=True,
        cull_back_faces=True,
    )
    pixel = raster.mask.flatten().nonzero()[:, 0]
    triangle = raster.triangle.flatten()[pixel]
    weights, corners = raster.barycentrics.flatten(0, 2)[pixel], triangles[triangle]
    points = interpolate(vertices, corners, weights)
    smooth = unit(interpolate(normals, corners, weights))
    detail, albedo = smooth.clone(), torch.zeros_like(smooth)
    specular, roughness = torch.zeros_like(smooth[:, :1]), torch.ones_like(smooth[:, :1])

    first = 0
    for part in solid:
        chosen = ((triangle >= first) & (triangle < first + len(part.triangles))).nonzero()[:, 0]
        local = triangle[chosen] - first
        first += len(part.triangles)
        if len(chosen) == 0:
            continue
        material = part.part.material
        uv_corners = part.uv_triangles[local]
        uv = interpolate(part.uv, uv_corners, weights[chosen])
        gradients = textures.uv_gradients(
            part.vertices, part.triangles[local], part.uv, uv_corners
        )
        mm = -points[chosen, 2].mean() / scene.camera.focal  # of a pixel
        footprint = float(gradients.norm(dim=2).median() * mm)
        texture = textures.reduce(material.texture, _texels(footprint, len(material.texture)))
        albedo[chosen] = textures.sample(texture, uv)[:, :3]
        specular[chosen], roughness[chosen] = material.specular, material.roughness
        if material.displacement is not None:
            relief = material.displacement
            slopes = textures.displacement_slopes(relief, _texels(footprint, len(relief)))
            change = textures.sample(slopes, uv)
            tilt = (change[:, None] @ gradients)[:, 0]
            upright = smooth[chosen]
            detail[chosen] = unit(upright - tilt + dot(tilt, upright) * upright)
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


def _texels(footprint: float, texels: int) -> int:
    """How many texels of a texture's side one pixel covers, 1 to 4: what to average first."""
    return min(max(round(footprint * texels), 1), 4)
