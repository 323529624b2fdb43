"""Heads whose relief and light are known, in pictures: what relief is read from."""

import numpy as np

import posed_heads
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.camera import WeakPerspective, camera_space
from facerelief.geometry.drawing import draw
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.laid_out import SIZE
from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.geometry.uv import skin_layout

HEAD = drawn_head(fine=True, skin_only=True)
#: Mostly even, and from the picture's right and above.
LIGHT = np.zeros((9, 3))
LIGHT[0], LIGHT[1], LIGHT[2], LIGHT[3] = 2.0, 0.5, 0.8, 1.0


def skin(yaw: float = 0.0) -> Skin:
    """Of the mean head in a crop of 256 pixels."""
    return Skin(posed_heads.points(yaw)[skin_mesh().source], 256)


def bumps(height: float = 1.5) -> np.ndarray:
    """(SIZE, SIZE) mm: waves of about 50 texels, which the mesh has vertices enough for."""
    row, column = np.mgrid[:SIZE, :SIZE] / SIZE
    return (height * np.sin(35 * column) * np.sin(30 * row)).astype(np.float32)


def picture(yaw: float = 0.0, relief: np.ndarray | None = None) -> np.ndarray:
    """(256, 256, 3) sRGB of the mean head in the mean skin, raised by `relief` (S, S), mm."""
    vertices = camera_space(posed_heads.points(yaw)).astype(float)
    if relief is not None:
        by = np.nan_to_num(skin_layout(1, len(relief)).read(relief[..., None]))
        vertices += 0.9 * by * vertex_normals(vertices, HEAD.triangles)
    texture = srgb_to_linear(albedo_basis().mean)
    seen = draw(
        vertices, HEAD.triangles, WeakPerspective(), (256, 256), LIGHT, texture=texture, uv=HEAD.uv
    )
    return linear_to_srgb(np.clip(seen.image, 0, 1))
