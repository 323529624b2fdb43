"""A Rosetta stone of landmarks: where the points of other schemes lie on the skin of the head.

Every scheme is a list of places on the built-in head's skin: given one mesh with correspondence,
its points in all of them follow. `tools/build_landmark_schemes.py` makes the file;
docs/landmarks.md says how well each map was measured to hold.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.catalogue import read_arrays
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh

#: iBUG's 68; the 106 of JD-landmark and LaPa; MediaPipe's FaceMesh without and with irises.
SCHEMES = ("ibug68", "jd106", "facemesh468", "facemesh478")

#: Of the 106 points those that are iBUG's 68, in their order.
JD106_OF_68 = (
    *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63),
    *(66, 67, 69, 70, 71, 73), *(75, 76, 78, 79, 80, 82), *range(84, 104),
)  # fmt: skip


def scheme(name: str) -> Anchors:
    """The points of a scheme as places on the built-in head (one subdivision).

    Raises ValueError for an unknown name; the message lists the valid ones.
    """
    if name not in SCHEMES:
        raise ValueError(f"unknown landmark scheme {name!r}; one of {', '.join(SCHEMES)}")
    return _schemes()[name]


@lru_cache(maxsize=1)
def _schemes() -> dict[str, Anchors]:
    stored = read_arrays("landmark_schemes.npz")
    facemesh, jd106 = (
        Anchors(stored[f"{n}_vertices"].astype(np.int32), stored[f"{n}_weights"].astype(float))
        for n in ("facemesh", "jd106")
    )
    return {
        "ibug68": Anchors.at_vertices(builtin_head(SUBDIVISIONS, bases=False).landmarks),
        "jd106": jd106,
        "facemesh468": facemesh[:468],
        "facemesh478": facemesh,
    }


@lru_cache(maxsize=len(SCHEMES))
def on_skin(name: str) -> Anchors:
    """The points of a scheme as places on `skin_mesh`. Raises as `scheme`."""
    anchors = scheme(name)
    places = np.searchsorted(skin_mesh().source, anchors.vertices).astype(np.int32)
    return Anchors(places, anchors.weights)


@lru_cache(maxsize=len(SCHEMES))
def mirrored(name: str) -> NDArray[np.int64]:
    """(N,) which point of a scheme each one is in a mirrored face. Raises as `scheme`."""
    from scipy.optimize import linear_sum_assignment  # a photo's mesh has no need to wait for it

    places = scheme(name).of(builtin_head(SUBDIVISIONS, bases=False).mean)
    away = np.linalg.norm(places[:, None] - places * (-1, 1, 1), axis=-1)
    return linear_sum_assignment(away)[1].astype(np.int64)
