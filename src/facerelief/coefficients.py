"""Faces from coefficients of the face model: what such networks answer with.

`geometry.face_model` has the model, `train.systems.full_pose` a system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.geometry import position
from facerelief.geometry.camera import Perspective
from facerelief.geometry.face_model import cage, face_vertices
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.geometry.view import View
from facerelief.reconstruction import ShapeEstimate, SkinShape
from facerelief.types import Estimate, Place

#: ARKit's names of the expressions, in the order of the coefficients.
EXPRESSIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
IDENTITIES, ALBEDOS = 80, 80

#: What a network of coefficients answers with, and the shape of each.
OUTPUTS = {
    "identity": (IDENTITIES,),  # standard deviations
    "expression": (len(EXPRESSIONS),),  # weights in [0, 1]
    "rotation": (3, 3),  # head to camera space
    "camera": (4,),  # crop pixel x, y of the head's origin; pixels a mm there; mm to there
    "light": (9, 3),
    "albedo": (ALBEDOS,),
}


def vertices(identity: ArrayLike | None = None, **expressions: float) -> NDArray[np.float32]:
    """(V, 3) of the face model in head space, mm, from its coefficients.

    Args:
        identity: (k <= 80,) standard deviations; None is the mean.
        expressions: weights by ARKit's names.

    Raises:
        ValueError: an unknown name, which lists the valid ones, or too many coefficients.
    """
    return face_vertices(identity, cage().expression_weights(**expressions))


def from_coefficients(arrays: Mapping[str, NDArray[Any]], size: int) -> Estimate:
    """What the `OUTPUTS` (N, ...) of a network of crops of `size` pixels say."""
    rows = zip(*(np.asarray(arrays[name], np.float32) for name in OUTPUTS), strict=True)
    return ShapeEstimate([_shape(dict(zip(OUTPUTS, row, strict=True)), size) for row in rows])


def view(told: Mapping[str, NDArray[Any]], size: int) -> View:
    """How the camera of one face's `OUTPUTS` sees it in a crop of `size` pixels."""
    x, y, scale, distance = told["camera"].astype(float)
    middle = size / 2
    return View(
        rotation=told["rotation"].astype(float),
        translation=np.array([(x - middle) / scale, (middle - y) / scale, -distance]),
        camera=Perspective(scale * distance, (middle, middle)),
        harmonics=told["light"],
        colours=told["albedo"],
    )


def _shape(told: dict[str, NDArray[np.float32]], size: int) -> SkinShape:
    whole = face_vertices(told["identity"], told["expression"])
    head = position.spread(whole)[skin_mesh().source]
    seen = view(told, size)
    skin = Skin(
        seen.in_crop(head).astype(np.float32), size, solid=_solid(seen, head).astype(np.float32)
    )
    return SkinShape(skin, Place.of_crop(size), head=head, coefficients=told, view=seen)


def _solid(seen: View, head: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """As `View.in_crop`, by parallel rays: no nearer part is larger."""
    turned = (seen(head) - seen.translation) * (seen.scale, -seen.scale, seen.scale)
    origin = seen.camera.project(seen.translation) * (1, 1, 0)
    return np.asarray(turned + origin)
