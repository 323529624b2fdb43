"""The face model, whose coefficients photos tell: people and expressions on the built-in head.

`tools/build_face_model.py` makes its file; docs/systems/full_pose.md says what it is made of.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.catalogue import read_arrays
from facerelief.geometry.head import BuiltinHead, builtin_head, refinement
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.skin_mesh import SUBDIVISIONS

assert SUBDIVISIONS == 1


@lru_cache(maxsize=1)
def face_model() -> BuiltinHead:
    """The built-in head (one subdivision) with the shapes of MakeHuman's and of scanned people.

    Its 80 identity coefficients are standard deviations; expressions are ARKit's 52, by the head's
    names and in their order. The result is shared between calls: do not write into its arrays.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    coarse, head = cage(), builtin_head(SUBDIVISIONS, bases=False)
    mean, identity, expression = map(
        refinement().apply, (coarse.mean, coarse.identity, coarse.expression)
    )
    eyes = [mean[head.regions[name]].mean(axis=0) for name in ("eye_left", "eye_right")]
    model = head.with_bases(
        mean,
        identity,
        expression,
        name=coarse.name,
        licence=coarse.licence,
        expression_names=coarse.expression_names,
        eye_centres=np.stack(eyes).astype(np.float32),
    )
    assert isinstance(model, BuiltinHead)
    return model


def face_vertices(
    identity: ArrayLike | None = None, expression: ArrayLike | None = None
) -> NDArray[np.float32]:
    """`face_model().vertices(identity, expression)`, but for rounding, and many times as fast.

    Shapes are added up before they are subdivided, which is linear.
    """
    return refinement().apply(cage().vertices(identity, expression)).astype(np.float32)


@lru_cache(maxsize=1)
def cage() -> MorphableModel:
    """The model before its subdivision, with the same coefficients. Shared as well."""
    data = read_arrays("face_model.npz")
    identity, expression = (
        data[name] * data[f"{name}_scale"][:, None, None] for name in ("identity", "expression")
    )
    return MorphableModel(
        name="face model",
        licence="MIT AND CC0-1.0",
        mean=data["mean"],
        triangles=builtin_head(0, bases=False).triangles,
        identity=identity,
        expression=expression,
        expression_names=tuple(data["expression_names"].tolist()),
    )
