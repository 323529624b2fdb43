"""Similarities of space: turning, scaling and shifting, and the one that fits points best."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray

_UPRIGHT = 1e-7  # cosine of pitch, below which there is no telling yaw from roll


@dataclass(frozen=True, eq=False)
class Similarity:
    """target = scale * rotation @ source + translation."""

    scale: float
    rotation: NDArray[np.float64]  # (3, 3)
    translation: NDArray[np.float64]  # (3,)

    @classmethod
    def between(cls, source: ArrayLike, target: ArrayLike) -> Similarity:
        """That which takes points (N, 3) nearest to others, by least squares.

        Umeyama, "Least-squares estimation of transformation parameters" (PAMI 13(4), 1991).

        Raises:
            ValueError: fewer than three pairs, or shapes that differ.
        """
        a, b = np.asarray(source, float), np.asarray(target, float)
        if a.shape != b.shape or a.ndim != 2 or len(a) < 3:
            raise ValueError(f"three or more pairs of points expected, got {a.shape} and {b.shape}")
        centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
        a, b = a - centre_a, b - centre_b
        u, strength, vt = np.linalg.svd(b.T @ a)
        proper = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
        rotation = (u * proper) @ vt
        scale = float((strength * proper).sum() / (a**2).sum())
        return cls(scale, rotation, centre_b - scale * rotation @ centre_a)

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Points (..., 3) of the source in the target."""
        moved: FloatArray = self.scale * np.asarray(points) @ self.rotation.T + self.translation
        return moved

    def undo(self, points: ArrayLike) -> FloatArray:
        """Points (..., 3) of the target in the source."""
        moved: FloatArray = (np.asarray(points) - self.translation) @ self.rotation / self.scale
        return moved

    def __matmul__(self, first: Similarity) -> Similarity:
        """Another one, and then this one."""
        shift = self.scale * self.rotation @ first.translation + self.translation
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, shift)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 4), takes (x, y, z, 1) of the source to the target."""
        return np.column_stack([self.scale * self.rotation, self.translation])

    @property
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees: rotation = R_y(yaw) R_x(pitch) R_z(roll).

        Of a head in camera space, yaw is positive when the nose points to the picture's right,
        pitch when it points down, roll when the head leans to the picture's left.
        """
        (x, _, sin_yaw), (sin_roll, cos_roll, down), (z, _, cos_yaw) = self.rotation.tolist()
        level = hypot(sin_roll, cos_roll)
        if level < _UPRIGHT:  # straight up or down, yaw and roll are one turn: all of it is yaw
            sin_yaw, cos_yaw, sin_roll, cos_roll = -z, x, 0.0, 1.0
        yaw, pitch, roll = atan2(sin_yaw, cos_yaw), atan2(-down, level), atan2(sin_roll, cos_roll)
        return degrees(yaw), degrees(pitch), degrees(roll)
