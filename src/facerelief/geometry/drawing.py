"""A matt mesh under far light in a picture: z-buffer, texture and nine harmonics, in NumPy.

`facerelief.render.drawing` is its batched, differentiable twin in torch, equal by test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.camera import Camera
from facerelief.geometry.light import shade_sh
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import Raster, rasterise


@dataclass(frozen=True, eq=False)
class Drawing:
    """One picture of a mesh; zero where nothing is seen. Colours are linear light."""

    image: FloatArray  # (H, W, 3) albedo times shading
    albedo: FloatArray  # (H, W, 3)
    shading: FloatArray  # (H, W, 3) of a white surface
    normals: FloatArray  # (H, W, 3) unit, camera space
    raster: Raster

    @property
    def mask(self) -> BoolArray:
        """(H, W) where there is a surface."""
        return self.raster.mask

    def shows(self, triangles: BoolArray) -> BoolArray:
        """(H, W) where one of the chosen `triangles` (T,) is seen; `DrawnHead.skin` for skin."""
        return self.mask & triangles[self.raster.triangle]


def draw(
    vertices: ArrayLike,
    triangles: ArrayLike,
    camera: Camera,
    size: tuple[int, int],
    harmonics: ArrayLike,
    *,
    albedo: ArrayLike | None = None,
    texture: ArrayLike | None = None,
    uv: ArrayLike | None = None,
) -> Drawing:
    """Draw a mesh from the front.

    Args:
        vertices: (V, 3) camera space, in front of the camera.
        triangles: (T, 3) counter-clockwise seen from outside.
        size: (height, width).
        harmonics: (9, 3) the light, as `geometry.light.shade_sh` takes it. Second order may dip
            below zero, and is not clamped.
        albedo: (V, 3) linear RGB of the vertices, or None for a texture.
        texture: (S, S', 3) linear RGB, row 0 at v = 1, with `uv` (T, 3, 2) of the triangles'
            corners. Looked up between four texels.

    Raises:
        ValueError: neither an albedo nor a texture with `uv`, or both.
    """
    check_colours(albedo is not None, texture is not None, uv is not None)
    points = np.asarray(vertices)
    raster = rasterise(
        camera.project(points), triangles, size, perspective=camera.perspective,
        cull_back_faces=True,
    )  # fmt: skip
    normals = normalise(raster.interpolate(vertex_normals(points, triangles)))
    if albedo is not None:
        colours = raster.interpolate(albedo)
    else:
        assert texture is not None and uv is not None
        seen = raster.mask
        corners = np.asarray(uv)[raster.triangle[seen]]
        places = np.einsum("pk,pkc->pc", raster.barycentrics[seen], corners)
        colours = np.zeros((*size, 3))
        colours[seen] = sample_texture(texture, places)
    shading = np.where(raster.mask[..., None], shade_sh(normals, harmonics), 0)
    return Drawing(colours * shading, colours, shading, normals, raster)


def sample_texture(texture: ArrayLike, places: ArrayLike) -> FloatArray:
    """A texture (S, S', C) at `places` (n, 2) of uv: bilinear, the edge's values beyond it.

    Row 0 is at v = 1, and texel centres lie at half-integers.
    """
    texels, uv = np.asarray(texture), np.asarray(places)
    height, width = texels.shape[:2]
    x = np.clip(uv[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - uv[:, 1]) * height - 0.5, 0, height - 1)
    left, top = _before(x, width), _before(y, height)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = texels[top, left] * (1 - across) + texels[top, right] * across
    lower = texels[bottom, left] * (1 - across) + texels[bottom, right] * across
    result: FloatArray = upper * (1 - down) + lower * down
    return result


def _before(place: FloatArray, size: int) -> NDArray[np.int64]:
    return np.minimum(np.floor(place).astype(np.int64), max(size - 2, 0))


def check_colours(albedo: bool, texture: bool, uv: bool) -> None:
    """Raises ValueError unless there is an albedo, or a texture with its uv."""
    if albedo == texture or texture != uv:
        raise ValueError("a drawing takes an albedo, or a texture with uv")
