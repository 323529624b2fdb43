"""What the readers of morphable model files share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.mesh import face_areas, face_normals
from facerelief.geometry.morphable import MorphableModel


class ModelFileError(ValueError):
    """A file that is not the morphable model it should be; one line says what was expected."""


def numbered(stem: str, count: int) -> tuple[str, ...]:
    """Names of statistical components, which have none: ``expression0``, ``expression1``..."""
    return tuple(f"{stem}{index}" for index in range(count))


def outwards(vertices: FloatArray, triangles: IntArray) -> IntArray:
    """`triangles` (T, 3) counter-clockwise seen from outside, whichever way they turned.

    Outside is where most of the surface faces away from its centre, which holds for masks of faces
    as for whole heads.
    """
    areas = face_areas(vertices, triangles)[:, None]
    centres = vertices[triangles].mean(axis=1)
    away = centres - (areas * centres).sum(axis=0) / areas.sum()
    facing = (areas * face_normals(vertices, triangles) * away).sum()
    return triangles if facing >= 0 else triangles[:, ::-1]


def checked_model(
    name: str,
    licence: str,
    mean: ArrayLike,
    triangles: ArrayLike,
    identity: ArrayLike,
    expression: ArrayLike,
    expression_names: tuple[str, ...],
    **parts: Any,
) -> MorphableModel:
    """The model of arrays in mm, once they fit together.

    Arguments:
        mean: (V, 3). triangles: (T, 3) from 0, turning either way (all the same).
        identity, expression: (K, V, 3) and (E, V, 3).
        parts: other fields of `MorphableModel`.

    Raises:
        ModelFileError: shapes that do not fit, numbers that are not finite, triangles of vertices
            that do not exist.
    """
    points = np.asarray(mean, np.float32)
    faces = np.asarray(triangles)
    bases = {
        "identity": np.asarray(identity, np.float32),
        "expression": np.asarray(expression, np.float32),
    }
    if points.ndim != 2 or points.shape[1:] != (3,) or len(points) < 3:
        raise ModelFileError(f"{name}: the mean should be (V, 3), it is {points.shape}")
    for kind, basis in bases.items():
        if basis.shape[1:] != points.shape:
            expected = f"(components, {len(points)}, 3)"
            raise ModelFileError(f"{name}: the {kind} basis should be {expected}, {basis.shape}")
    if faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        raise ModelFileError(f"{name}: triangles should be (T, 3), they are {faces.shape}")
    if faces.min() < 0 or faces.max() >= len(points):
        raise ModelFileError(
            f"{name}: triangles name vertices {faces.min()} to {faces.max()} of {len(points)}"
        )
    for kind, values in {"mean": points, **bases}.items():
        if not np.isfinite(values).all():
            raise ModelFileError(f"{name}: the {kind} holds numbers that are not finite")
    turned = outwards(points, faces)
    if turned is not faces and "uv_triangles" in parts:
        parts["uv_triangles"] = parts["uv_triangles"][:, ::-1]
    return MorphableModel(
        name=name,
        licence=licence,
        mean=points,
        triangles=turned.astype(np.int32),
        identity=bases["identity"],
        expression=bases["expression"],
        expression_names=expression_names,
        **parts,
    )
