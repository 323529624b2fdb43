"""What all renderers do alike once light and surfaces are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.render import film
from facerelief.render.position_map import position_map
from facerelief.render.scene import Scene
from facerelief.samples.rendering import Rendering

_LINEAR = srgb_to_linear(np.arange(256) / 255).astype(np.float32)  # of every byte
_LANDMARK_TOLERANCE = 0.3  # mm that a visible landmark may lie behind the plane of what is drawn


def background(scene: Scene) -> NDArray[np.float32]:
    """(H, W, 3) radiance behind the head.

    It was exposed when it was taken: what the film will do to it is undone.
    """
    gain = np.asarray(scene.film.white_balance, np.float32) * scene.film.exposure
    return _LINEAR[scene.background] / gain


def photograph(
    radiance: NDArray[np.float32], covered: NDArray[np.float32], scene: Scene
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The photo (H, W, 3) of linear radiance, cut-outs before it, and what hides the face (H, W).

    Args:
        covered: (H, W) how much of the face the layers before it take away, 0 to 1.
    """
    photo = film.develop(radiance, scene.film, np.random.default_rng([scene.seed, 1]))
    for cutout in scene.cutouts:
        alpha = cutout.picture[..., 3:].astype(np.float32) / 255
        mixed = photo + (cutout.picture[..., :3] - photo.astype(np.float32)) * alpha
        photo, covered = np.rint(mixed).astype(np.uint8), np.maximum(covered, alpha[..., 0])
    return photo, covered > 0.5


def rendering(
    scene: Scene,
    photo: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    *,
    normals: NDArray[np.float32],
    normals_smooth: NDArray[np.float32],
    depth: NDArray[np.float32],
    albedo: NDArray[np.float32],
    shading: FloatArray,
    irradiance: NDArray[np.float32],
) -> Rendering:
    """All that is known of a picture; see `Rendering` for what the arrays are.

    Args:
        hidden: (H, W) from `photograph`.
        albedo: (H, W, 3) linear.
    """
    drawn = np.isfinite(depth)
    rotation = np.asarray(scene.rotation, np.float32)
    points = scene.landmarks @ rotation.T + scene.translation
    pixels = scene.camera.project(points)
    column, row = pixels[:, :2].astype(int).clip(0, scene.size - 1).T
    inside = ((pixels[:, :2] >= 0) & (pixels[:, :2] < scene.size)).all(1)
    # Depth alone would not tell: within half a pixel, steep skin falls off by millimetres.
    shown = scene.camera.unproject(np.column_stack([column + 0.5, row + 0.5, -depth[row, column]]))
    gap = np.einsum("lc,lc->l", normals_smooth[row, column], points - shown)
    near = gap > -_LANDMARK_TOLERANCE  # not where nothing is drawn: the gap is no number there
    return Rendering(
        photo=photo,
        normals=normals,
        normals_smooth=normals_smooth,
        depth=depth,
        albedo=np.rint(255 * linear_to_srgb(albedo.clip(0, 1))).astype(np.uint8),
        shading=shading.astype(np.float16),
        mask=drawn & ~hidden,
        occluder=drawn & hidden,
        position=position_map(scene),
        landmarks=pixels[:, :2].astype(np.float32),
        landmarks_visible=inside & near & ~hidden[row, column],
        rotation=rotation,
        translation=np.asarray(scene.translation, np.float32),
        focal=scene.camera.focal,
        centre=np.array(scene.camera.centre, np.float32),
        irradiance=irradiance,
        coefficients=scene.coefficients,
    )
