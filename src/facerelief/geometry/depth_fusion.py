"""Depth and normals of one view made one surface: depth tells what is large, normals the rest.

Nehab, Rusinkiewicz, Davis & Ramamoorthi, "Efficiently combining positions and normals for precise
3D geometry" (SIGGRAPH 2005), for a depth camera and normals estimated from a photo, in two steps.

1. Normals. The slow part of the photo's normals is turned towards that of the smoothed depth. They
   turn it all the way, since a scanner's positions are right in what is large; those of a camera
   that is held before a face are as wrong as a good estimator there, and each other's errors have
   little in common: the way is a share.
2. Positions. P = distance * ray; a chord between neighbours is to be at right angles to the normal
   between them, n . (P_b - P_a) = 0, and each distance is to be the measured one. Both are linear
   in the distances: one sparse least squares problem. Depth sensors fail by steps rather than by
   noise: measured distances have Cauchy's weights.

Holes are filled by the normals alone. Distances are mm along the camera's axis, larger is further.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import SuperLU

from facerelief.arrays import BoolArray, DoubleArray, FloatArray
from facerelief.geometry.depth_registration import blurred, surface_normals
from facerelief.geometry.factorised import factorised
from facerelief.geometry.normals import normalise

_STEEPEST = 0.1  # cosine to the ray, beyond which a normal is not believed to be steeper
#: Of a Gaussian's weight that has depth: at a straight border it is half, and what is smooth there
#: is bent. From the first to the second its normals begin to be believed.
_SURROUNDED = (0.2, 0.5)


@dataclass(frozen=True)
class FusionOptions:
    """What is believed how far; lengths in mm at the face."""

    smoothing: float = 8.0  # of the depth, before it has normals: standard deviation
    detail: float = 2.0  # of the photo's normals: what is finer than this is theirs alone
    share: float = 0.3  # of the way from the photo's slow normals to the depth's
    length: float = 30.0  # waves longer than six times this follow the measured distances
    noise: float = 2.0  # off the surface, where a measured distance counts half
    rounds: int = 3  # of weights


@dataclass(frozen=True, eq=False)
class Fused:
    """A surface (H, W) over the mask."""

    distance: DoubleArray  # (H, W) mm, NaN outside the mask
    normals: NDArray[np.float32]  # (H, W, 3) the surface's own, zero outside the mask
    filled: BoolArray  # (H, W) where nothing was measured, or what was measured is not believed


def fused(
    measured: FloatArray,
    normals: FloatArray,
    mask: BoolArray,
    rays: FloatArray,
    options: FusionOptions = FusionOptions(),
) -> Fused:
    """One surface of a depth map and normals of the same pixels.

    Args:
        measured: (H, W) mm, NaN where the sensor saw nothing of this surface.
        normals: (H, W, 3) unit, camera space.
        mask: (H, W) the pixels that are wanted.
        rays: (H, W, 3) of the pixels, z = -1.

    Raises ValueError where less than an eighth of the mask was measured.
    """
    known = np.isfinite(measured) & mask
    if known.sum() < max(mask.sum() / 8, 16):
        raise ValueError("too little of the face was measured")
    pixel = float(np.median(measured[known])) * _spacing(rays)
    surface = _Surface(corrected(measured, normals, mask, rays, pixel, options), mask, rays, pixel)
    target = np.where(known, measured, 0)[mask]
    believed = known[mask].astype(np.float64)
    for _ in range(options.rounds):
        distance = surface.solved(target, believed / options.length**2)
        off = (distance - target) / options.noise
        believed = known[mask] / (1 + off**2)
    whole = np.full(mask.shape, np.nan)
    whole[mask] = distance
    doubted = np.zeros(mask.shape, np.bool_)
    doubted[mask] = believed < 0.1
    shown = surface_normals(whole, rays).astype(np.float32)
    return Fused(whole, shown, mask & (~known | doubted))


def corrected(
    measured: FloatArray,
    normals: FloatArray,
    mask: BoolArray,
    rays: FloatArray,
    pixel: float,
    options: FusionOptions = FusionOptions(),
) -> FloatArray:
    """(H, W, 3) the normals, their slow part turned towards the depth's; arguments as of `fused`.

    `pixel` is the width of one, mm.
    """
    known = np.isfinite(measured).astype(np.float64)
    smooth, weight = blurred(np.nan_to_num(measured), known, options.smoothing / pixel)
    measured_slow = surface_normals(np.where(weight > 1e-3, smooth, np.nan), rays)
    inside = np.where(mask[..., None], normals, 0)
    slow = normalise(gaussian_filter(inside, options.detail / pixel, axes=(0, 1)))
    low, high = _SURROUNDED
    trust = options.share * np.clip((weight - low) / (high - low), 0, 1)
    trust *= np.einsum("...i,...i", slow, measured_slow) > 0
    turned = normalise(slow + trust[..., None] * (measured_slow - slow))
    return np.where(mask[..., None], rotated(normals, slow, turned), 0)


def rotated(vectors: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """Vectors (..., 3) turned by the smallest rotation that takes unit `start` to unit `end`.

    Where one of these is zero, or they are opposite, nothing turns.
    """
    axis = np.cross(start, end)
    cosine = np.einsum("...i,...i", start, end)[..., None]
    along = np.einsum("...i,...i", axis, vectors)[..., None]
    usable = cosine > -0.99
    usable &= (np.abs(start).max(-1, keepdims=True) > 0) & (np.abs(end).max(-1, keepdims=True) > 0)
    ratio = along / np.where(usable, 1 + cosine, 1)
    turned: FloatArray = cosine * vectors + np.cross(axis, vectors) + ratio * axis
    return np.where(usable, turned, vectors)


def _spacing(rays: FloatArray) -> float:
    """Width of a pixel at the distance 1."""
    across = np.linalg.norm(np.diff(rays[len(rays) // 2, :, :2], axis=0), axis=-1)
    return float(np.median(across))


class _Surface:
    """What normals say of the distances of a mask's pixels: equations between neighbours."""

    def __init__(
        self, normals: FloatArray, mask: BoolArray, rays: FloatArray, pixel: float
    ) -> None:
        self.count = int(mask.sum())
        index = np.full(mask.shape, -1)
        index[mask] = np.arange(self.count)
        pairs = [
            np.stack([before.ravel(), after.ravel()])
            for before, after in ((index[:, :-1], index[:, 1:]), (index[:-1], index[1:]))
        ]
        ends = np.concatenate([pair[:, (pair >= 0).all(axis=0)] for pair in pairs], axis=1)
        unit, ray = np.asarray(normals, np.float64)[mask], rays[mask]
        mean = _facing(unit[ends].sum(axis=0), ray[ends].sum(axis=0))
        # A pixel apart: slopes, so that their weight goes with no resolution.
        slope = (mean * ray[ends]).sum(axis=-1) * [[-1 / pixel], [1 / pixel]]
        rows = np.tile(np.arange(ends.shape[1]), 2)
        shape = (ends.shape[1], self.count)
        chords = sparse.csr_array((slope.ravel(), (rows, ends.ravel())), shape)
        self.normal_part = sparse.csc_array(chords.T @ chords)

    def solved(self, target: FloatArray, weight: FloatArray) -> DoubleArray:
        """(N,) distances, nearest to `target` (N,) where `weight` (N,) is, 1 / mm^2."""
        # Parts of the mask that have no depth at all lie where the rest does.
        level = np.full(self.count, np.average(target, weights=weight))
        held = 1e-9
        system = self.normal_part + sparse.diags_array(weight + held)
        factors: SuperLU = factorised(sparse.csc_array(system))
        solution: DoubleArray = factors.solve(weight * target + held * level)
        return solution


def _facing(normals: FloatArray, rays: FloatArray) -> FloatArray:
    """Normals at length 1, turned so far towards the viewer that the surface is seen."""
    unit, back = normalise(normals), -normalise(rays)
    cosine = np.einsum("...i,...i", unit, back)[..., None]
    return normalise(unit + np.maximum(_STEEPEST - cosine, 0) * back)
