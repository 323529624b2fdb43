"""Matt meshes under far light in pictures, differentiable: what a face is fitted to a photo with.

The batched torch twin of `facerelief.geometry.drawing`, equal to it by test. What is seen where is
decided without gradients, once a picture; places on the surface, normals, colours and light are
then computed for the seen pixels only. Gradients go to vertices (through places and normals),
camera, albedo or texture, and light, and are those of a picture whose outline stays: visibility
itself has none. `Raster.coverage` of the `raster` gives those of the outline, at a price.

Where no gradient is wanted, under `torch.no_grad`, compiled kernels do most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from facerelief.geometry.drawing import check_colours
from facerelief.geometry.light import COSINE_LOBE
from facerelief.render.raster import Raster, rasterise
from facerelief.render.shading import sh_basis, vertex_normals


@dataclass(frozen=True, eq=False)
class Pinhole:
    """`geometry.camera.Perspective` for each item of a batch, differentiable.

    It looks along -z: pixel = centre + focal * (x, -y) / -z. What it sees has z < 0.
    """

    focal: Tensor  # (B,) pixels
    centre: Tensor  # (B, 2) principal point, pixels

    def project(self, points: Tensor) -> Tensor:
        """(B, ..., 3) camera space to (B, ..., 3): pixel x, pixel y and the same z.

        What is not in front of the camera (z >= 0) has no place: its pixels mean nothing, but are
        finite, so that no gradient is lost. Rasterisers leave it out by its z.
        """
        x, y, z = points.unbind(-1)
        shape = (-1, *[1] * (z.ndim - 1))
        zoom = self.focal.view(shape) / torch.where(z < 0, -z, 1)
        across, down = (side.view(shape) for side in self.centre.unbind(-1))
        return torch.stack([across + zoom * x, down - zoom * y, z], -1)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture of each mesh; zero where nothing is seen. Colours are linear light."""

    image: Tensor  # (B, 3, H, W) albedo times shading
    albedo: Tensor  # (B, 3, H, W)
    shading: Tensor  # (B, 3, H, W) of a white surface
    normals: Tensor  # (B, 3, H, W) unit, camera space
    raster: Raster

    @property
    def mask(self) -> Tensor:
        """(B, H, W) bool, where there is a surface."""
        return self.raster.mask

    def shows(self, triangles: Tensor) -> Tensor:
        """(B, H, W) where one of the chosen `triangles` (T,) is seen.

        With `geometry.drawn_head.DrawnHead.skin` it is the visible skin.
        """
        return self.mask & triangles[self.raster.triangle]


def draw(
    vertices: Tensor,
    triangles: Tensor,
    camera: Pinhole,
    size: tuple[int, int],
    harmonics: Tensor,
    *,
    albedo: Tensor | None = None,
    texture: Tensor | None = None,
    uv: Tensor | None = None,
) -> Drawing:
    """Draw a batch of meshes that share their triangles, from the front.

    Args:
        vertices: (B, V, 3) camera space, in front of the camera.
        triangles: (T, 3) int64, counter-clockwise seen from outside.
        size: (height, width).
        harmonics: (B, 9, 3) lights, as `render.shading.shade_sh` takes them; not clamped.
        albedo: (B, V, 3) linear RGB of the vertices, or None for a texture.
        texture: (B, 3, S, S') linear RGB, row 0 at v = 1, with `uv` (T, 3, 2) of the triangles'
            corners.

    Raises:
        ValueError: neither an albedo nor a texture with `uv`, or both.
    """
    check_colours(albedo is not None, texture is not None, uv is not None)
    raster = rasterise(
        camera.project(vertices), triangles, size, perspective=True, cull_back_faces=True
    )
    item, row, column = raster.mask.nonzero(as_tuple=True)
    seen = raster.triangle[item, row, column]
    shares = raster.barycentrics[item, row, column][..., None]
    corners = triangles[seen] + item[:, None] * vertices.shape[1]
    counts = raster.mask.flatten(1).sum(1).tolist()

    def at(values: Tensor) -> Tensor:
        """(P, C) of vertices (B, V, C) at the seen pixels."""
        chosen = values.flatten(0, 1).index_select(0, corners.flatten())
        return (chosen.view(*corners.shape, -1) * shares).sum(1)

    turned = vertex_normals(vertices, triangles)
    if albedo is not None:
        turned, colours = at(torch.cat([turned, albedo.to(turned)], -1)).split([3, 3], -1)
    else:
        assert texture is not None and uv is not None
        turned, places = at(turned), (uv[seen].to(shares) * shares).sum(1)
        colours = _looked_up(texture, places, counts)
    normals = normalize(turned, dim=-1)
    basis = sh_basis(normals) * normals.new_tensor(COSINE_LOBE)
    lit = [of_one @ light for of_one, light in zip(basis.split(counts), harmonics, strict=True)]
    shading = torch.cat(lit)
    values = torch.cat([colours * shading, colours, shading, normals], -1)
    picture = values.new_zeros(*raster.mask.shape, 12).index_put((item, row, column), values)
    image, colour, shade, normal = picture.permute(0, 3, 1, 2).split(3, 1)
    return Drawing(image, colour, shade, normal, raster)


def _looked_up(texture: Tensor, places: Tensor, counts: list[int]) -> Tensor:
    """(P, 3) of textures (B, 3, S, S') at uv `places` (P, 2), of which `counts` belong to each."""
    grid = (2 * places - 1) * places.new_tensor((1, -1))
    found = [
        grid_sample(one[None], of_one[None, None], padding_mode="border", align_corners=False)
        for one, of_one in zip(texture, grid.split(counts), strict=True)
    ]
    return torch.cat([one[0, :, 0].T for one in found])
