"""Robust calibrated photometric stereo, for far lights and for lights near the object.

Lambertian image formation (Woodham 1980): ``I_k = albedo * <normal, light_k>``, where ``light_k``
is the direction towards light k times its irradiance. Shadows, highlights and movement break it,
so the three unknowns of each pixel are found by iteratively reweighted least squares with Cauchy
weights on the residual relative to the albedo.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facerelief.geometry.integrate import normals_to_depth


@dataclass(frozen=True)
class PhotometricStereo:
    """What photometric stereo found."""

    normals: np.ndarray  # (H, W, 3) float32, unit, camera space; (0, 0, 1) where unsolvable
    albedo: np.ndarray  # (H, W) float32, in the units of the images
    residual: np.ndarray  # (H, W) float32, root mean square of residual / albedo over valid images
    weight: np.ndarray  # (H, W) float32, sum of the robust weights: how many lights agree

    def mask(self, max_residual: float = 0.2, min_weight: float = 9.0) -> np.ndarray:
        """(H, W) bool: pixels whose normal can be trusted."""
        facing = self.normals[..., 2] > 0
        return (self.residual <= max_residual) & (self.weight >= min_weight) & facing


def photometric_stereo(
    images: np.ndarray,
    lights: np.ndarray,
    valid: np.ndarray | None = None,
    cauchy_scale: float = 0.08,
    iterations: int = 12,
) -> PhotometricStereo:
    """Normals and albedo from images of one view under known lights.

    Args:
        images: (K, H, W), linear in the light.
        lights: (K, 3) for far lights or (K, H, W, 3) per pixel; direction times irradiance.
        valid: (K, H, W) bool, e.g. neither black nor saturated; all where None.
        cauchy_scale: residual relative to the albedo at which an observation's weight halves.
        iterations: rounds of reweighting.

    Raises:
        ValueError: fewer than three images, or shapes that do not agree.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 3 or len(images) < 3:
        raise ValueError(f"need at least three images (K, H, W), got shape {images.shape}")
    count, height, width = images.shape
    lights = np.asarray(lights, np.float32)
    if lights.shape == (count, 3):
        lights = lights[:, None, None, :]
    if lights.shape not in ((count, 1, 1, 3), (count, height, width, 3)):
        raise ValueError(f"lights {lights.shape} do not fit images {images.shape}")
    valid = np.ones(images.shape, bool) if valid is None else np.asarray(valid, bool)

    lights = np.broadcast_to(lights, (*images.shape, 3))
    base = valid.astype(np.float32)
    weights = base
    for _ in range(iterations):
        scaled_normals = _weighted_normal_equations(images, lights, weights)
        albedo = np.linalg.norm(scaled_normals, axis=-1)
        predicted = np.einsum("khwc,hwc->khw", lights, scaled_normals)
        relative = (images - np.maximum(predicted, 0)) / np.maximum(albedo, 1e-6)
        weights = base / (1 + (relative / cauchy_scale) ** 2)

    weight = weights.sum(0)
    # Unweighted: the weights would hide exactly the pixels that no single normal explains.
    residual = np.sqrt((base * relative**2).sum(0) / np.maximum(base.sum(0), 1))
    solvable = albedo > 1e-6
    normals = np.where(
        solvable[..., None],
        scaled_normals / np.maximum(albedo, 1e-6)[..., None],
        np.array([0, 0, 1], np.float32),
    )
    return PhotometricStereo(
        normals.astype(np.float32),
        albedo.astype(np.float32),
        np.where(solvable, residual, np.inf).astype(np.float32),
        weight.astype(np.float32),
    )


def near_lights(positions: np.ndarray, points: np.ndarray, reference: float) -> np.ndarray:
    """Per-pixel light vectors of point lights: direction times inverse-square falloff.

    Args:
        positions: (K, 3) of the lights; points: (H, W, 3) of the surface, same unit.
        reference: distance at which a light's irradiance is one.

    Returns:
        (K, H, W, 3) float32.
    """
    offset = positions[:, None, None, :] - points[None]
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    return (offset / distance * (reference / distance) ** 2).astype(np.float32)


def near_light_photometric_stereo(
    images: np.ndarray,
    directions: np.ndarray,
    valid: np.ndarray | None = None,
    light_distance: float = 2000.0,
    pixel_size: float = 1.0,
    passes: int = 2,
    integrate: Callable[..., np.ndarray] = normals_to_depth,
) -> PhotometricStereo:
    """Photometric stereo with point lights at a known distance from the picture's centre.

    The surface's depth, which the lights' direction and falloff depend on, comes from integrating
    the normals of the pass before; the first pass takes the surface as flat.

    Args:
        images: (K, H, W); directions: (K, 3) unit, from the picture's centre to each light.
        valid: (K, H, W) bool; light_distance and pixel_size share one unit (millimetres).
        passes: of normals and depth.
        integrate: ``normals_to_depth`` or one with its signature.

    Raises:
        ValueError: as `photometric_stereo`.
    """
    height, width = images.shape[1:]
    x = (np.arange(width) + 0.5 - width / 2) * pixel_size
    y = (height / 2 - np.arange(height) - 0.5) * pixel_size
    points = np.stack([*np.meshgrid(x, y), np.zeros((height, width))], -1)
    positions = np.asarray(directions, np.float64) * light_distance

    result = photometric_stereo(images, near_lights(positions, points, light_distance), valid)
    for _ in range(passes - 1):
        mask = result.mask()
        depth = integrate(result.normals, mask, pixel_size=pixel_size)
        # Outside the mask the depth only steers light vectors nobody will read; keep it finite.
        points[..., 2] = np.where(mask, depth, 0.0)
        result = photometric_stereo(images, near_lights(positions, points, light_distance), valid)
    return result


def _weighted_normal_equations(
    images: np.ndarray, lights: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """(H, W, 3) least squares solution of lights @ x = images, pixel by pixel."""
    weighted = lights * weights[..., None]
    matrix = np.einsum("khwi,khwj->hwij", weighted, lights, optimize=True)
    right = np.einsum("khwi,khw->hwi", weighted, images, optimize=True)
    # A pixel seen by too few lights is singular; the ridge returns zeros there.
    ridge = 1e-6 * np.eye(3, dtype=matrix.dtype)
    return np.linalg.solve(matrix + ridge, right[..., None])[..., 0]
