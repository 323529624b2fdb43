"""The face model, whose coefficients photos tell: people and expressions on the built-in head.

`tools/build_face_model.py` makes its file; docs/systems/full_pose.md says what it is made of.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from facerelief.catalogue import read_arrays
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS
from facerelief.geometry.subdivision import catmull_clark


@lru_cache(maxsize=1)
def face_model() -> BuiltinHead:
    """The built-in head (one subdivision) with the shapes of MakeHuman's and of scanned people.

    Its 80 identity coefficients are standard deviations; expressions are ARKit's 52, by the head's
    names and in their order. The result is shared between calls: do not write into its arrays.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    data = read_arrays("face_model.npz")
    coarse, head = builtin_head(0, bases=False), builtin_head(SUBDIVISIONS, bases=False)
    step = catmull_clark(coarse.quads, len(coarse.mean))
    identity, expression = (
        step.apply(data[name] * data[f"{name}_scale"][:, None, None])
        for name in ("identity", "expression")
    )
    mean = step.apply(data["mean"])
    eyes = [mean[head.regions[name]].mean(axis=0) for name in ("eye_left", "eye_right")]
    model = head.with_bases(
        mean,
        identity,
        expression,
        name="face model",
        licence="MIT AND CC0-1.0",
        expression_names=tuple(data["expression_names"].tolist()),
        eye_centres=np.stack(eyes).astype(np.float32),
    )
    assert isinstance(model, BuiltinHead)
    return model
