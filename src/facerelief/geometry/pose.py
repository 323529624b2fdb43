"""How the mean head lies where the points of a skin are, and whether they are a face at all.

Poses take head space (mm) to camera space in pixels: x right, y up, z towards the viewer. The
camera is parallel: pixel = (x, -y).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facerelief.arrays import FloatArray
from facerelief.geometry.camera import camera_space
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import skin_mesh

_SMALLEST = 12.0  # pixels of the landmarks' box, below which there is no face to speak of
_WORST = 0.12  # of the face's height: RMS distance from the mean head, beyond which it is no face


def pose(points: FloatArray, head: FloatArray | None = None) -> Similarity:
    """That which takes a head, the mean one unless said, to points, both (M, 3), over the face."""
    mesh = skin_mesh()
    model = mesh.mean if head is None else head
    return Similarity.between(model[mesh.outer], camera_space(points[mesh.outer]))


def residual(points: FloatArray, fitted: Similarity) -> float:
    """Pixels, RMS distance of the face of points (M, 3) from the mean head in that pose."""
    mesh = skin_mesh()
    off = camera_space(points[mesh.outer]) - fitted(mesh.mean[mesh.outer])
    return float(np.sqrt((off**2).sum(1).mean()))


def height(fitted: Similarity) -> float:
    """Pixels from the chin to the bridge of the mean head's nose, as it lies."""
    mesh = skin_mesh()
    chin, bridge = mesh.mean[mesh.landmarks[[8, 27]]]
    return fitted.scale * float(np.linalg.norm(chin - bridge))


def problem(
    points: FloatArray, size: int, pose_of: Callable[[FloatArray], Similarity] = pose
) -> str | None:
    """Why `points` (M, 3), read from a map of a picture of `size` pixels, are no face; or None.

    `pose_of` is asked for their pose, if they may be one.
    """
    if not np.isfinite(points).all():
        return "the position map is not finite"
    mesh = skin_mesh()
    marks = points[mesh.landmarks]
    low, high = marks[:, :2].min(0), marks[:, :2].max(0)
    if (high - low).max() < _SMALLEST:
        return "the position map has collapsed to a point"
    if (high < 0).any() or (low > size).any():
        return "the position map lies outside the picture"
    fitted = pose_of(points)
    if residual(points, fitted) > _WORST * height(fitted):
        return "the position map is no face"
    return None
