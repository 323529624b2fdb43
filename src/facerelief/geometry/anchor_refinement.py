"""Where a scheme's landmarks really lie on a model: bundle adjustment over many faces.

A map between two schemes that is made by hand, or from two mean faces, is off by millimetres, and
what it is off by turns into pose and shape. Seen in many faces and poses, each landmark shows in
three dimensions where on the model it belongs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facerelief.arrays import FloatArray
from facerelief.geometry.align import Aligner, Alignment, AlignmentError
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.mesh import vertex_normals

_FACING = 0.25  # cosine to the camera from which on a landmark is taken as seen
#: Otherwise shape, not the anchors, explains what all faces have in common.
_STIFF: dict[str, Any] = {
    "identity_deviation": 0.3,
    "expression_deviation": 0.03,
    "displacement": 0.0,
    "noise": 8.0,
    "displace": False,
}
_STAY = 0.02  # pull towards the old place, in landmarks seen from the front, a face


def refine_anchors(
    aligner: Aligner,
    faces: ArrayLike,
    weights: ArrayLike | None = None,
    mirror: ArrayLike | None = None,
    rounds: int = 3,
) -> Anchors:
    """Anchors on the same model that explain many faces better.

    Args:
        aligner: with the anchors to begin from.
        faces: (F, N, 2 or 3) landmarks of many faces, as `Aligner.fit` takes them; several poses
            are needed, since from the front alone depth does not show.
        weights: (N,) in [0, 1], as for `Aligner.fit`.
        mirror: (N,) the landmark on the other side of each, to keep the scheme symmetric about
            x = 0; None does not.
        rounds: of fitting all faces and moving the anchors.

    Raises:
        AlignmentError: not one of the faces could be fitted.
    """
    model = aligner.model
    closest = ClosestPoints(model.mean, model.triangles)
    normals = vertex_normals(model.mean.astype(np.float64), model.triangles)
    anchors = aligner.anchors
    options = replace(aligner.options, **_STIFF)
    for _ in range(rounds):
        fitter = Aligner(model, anchors, options)
        place = anchors.of(model.mean)
        place = place + _shift(_fitted(fitter, np.asarray(faces), weights), anchors.of(normals))
        if mirror is not None:
            place = (place + place[np.asarray(mirror)] * (-1, 1, 1)) / 2
        nearest = closest(place)
        anchors = Anchors.on_triangles(model.triangles, nearest.triangle, nearest.barycentrics)
    return anchors


def _fitted(
    aligner: Aligner, faces: FloatArray, weights: ArrayLike | None
) -> Iterable[tuple[Alignment, FloatArray]]:
    """Alignments and residuals (N, 2), mm in the camera's axes, of the faces that can be fitted."""
    done = 0
    for points in faces:
        try:
            alignment = aligner.fit(points, weights)
        except AlignmentError:
            continue
        done += 1
        at = aligner.anchors.of(alignment.vertices) @ alignment.rotation.T + alignment.translation
        gap = points[:, :2] - alignment.camera.project(at)[:, :2]
        yield alignment, gap * (1, -1) / alignment.scale
    if not done:
        raise AlignmentError("not one of the faces could be fitted")


def _shift(faces: Iterable[tuple[Alignment, FloatArray]], normals: FloatArray) -> FloatArray:
    """(N, 3) mm, head space: by how much all landmarks lie off their anchors at `normals` (N, 3).

    Least squares over the faces: each sees two of the three components.
    """
    hessian = np.zeros((len(normals), 3, 3))
    gradient = np.zeros((len(normals), 3))
    count = 0
    for alignment, gap in faces:
        screen = alignment.rotation[:2]
        seen = (
            (normals @ alignment.rotation[2] > _FACING) * alignment.weights * np.isfinite(gap[:, 0])
        )
        hessian += seen[:, None, None] * (screen.T @ screen)
        gradient += seen[:, None] * (np.nan_to_num(gap) @ screen)
        count += 1
    hessian += _STAY * count * np.eye(3)
    return np.linalg.solve(hessian, gradient[..., None])[..., 0]
