"""A head prepared for dressing: which parts of it things are tied to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, IntArray
from facerelief.geometry.morphable import MorphableModel
from facerelief.synth.ties.binding import spread

_CONTROLS = 160
_STILL = 1.5  # mm that an expression may move a control vertex
_INNER = ("eye_left", "eye_right", "eye_sockets", "teeth", "tongue", "mouth_inside")


@dataclass(frozen=True, eq=False)
class Wearer:
    """A head and what fitting needs to know about it."""

    head: MorphableModel
    skin: BoolArray  # (V,) not eyes, teeth or the inside of the mouth
    scalp: BoolArray  # (V,) where hair grows
    ears: BoolArray  # (V,)
    skin_triangles: IntArray  # (T, 3)
    bare_triangles: IntArray  # (T, 3) of the skin without the ears
    ear_triangles: IntArray  # (T, 3)
    controls: IntArray  # (K,) vertices spread over the skin that expressions leave in place
    skull_centre: NDArray[np.float64]  # (3,) mm, on the mean head


def prepare(head: MorphableModel) -> Wearer:
    """What accessories need to know about `head`.

    Raises:
        ValueError: the head lacks landmarks or the regions of the eyes or the scalp.
    """
    missing = [name for name in ("eye_left", "eye_right", "scalp") if name not in head.regions]
    if missing or head.landmarks is None:
        what = ", ".join(missing) or "the 68 landmarks"
        raise ValueError(f"accessories cannot be fitted to {head.name}: it lacks {what}")
    count = len(head.mean)
    inner, ears = np.zeros(count, bool), np.zeros(count, bool)
    for name, mask in head.regions.items():
        if name.startswith(_INNER):
            inner |= mask
        elif name.startswith("ear"):
            ears |= mask
    skin_triangles = head.triangles[~inner[head.triangles].all(axis=1)]
    skin = np.zeros(count, bool)
    skin[skin_triangles] = True
    still = skin & ~ears
    if len(head.expression):
        still &= (np.abs(head.expression).max(axis=(0, 2))) < _STILL
    candidates = np.flatnonzero(still)
    mean = head.mean.astype(np.float64)
    controls = candidates[spread(mean[candidates], _CONTROLS)]
    brows = mean[head.landmarks[17:27]]
    skull = mean[skin & (mean[:, 1] > brows[:, 1].mean())]
    centre = np.array(
        [0, brows[:, 1].mean(), (skull[:, 2].min() + skull[:, 2].max()) / 2], np.float64
    )
    return Wearer(
        head,
        skin,
        head.regions["scalp"] & skin,
        ears,
        skin_triangles,
        skin_triangles[~ears[skin_triangles].any(axis=1)],
        skin_triangles[ears[skin_triangles].any(axis=1)],
        controls,
        centre,
    )
