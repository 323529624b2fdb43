"""A Rosetta stone of landmarks: where the points of other schemes lie on the skin of the head.

Every scheme is a list of places on the built-in head's skin: given one mesh with correspondence,
its points in all of them follow. On each topology of meshes they have other indices.
`tools/build_landmark_schemes.py` makes the file; docs/landmarks.md says how well each map was
measured to hold.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.catalogue import read_arrays
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, SkinMesh, skin_mesh

#: iBUG's 68; the 106 of JD-landmark and LaPa; MediaPipe's FaceMesh without and with irises.
SCHEMES = ("ibug68", "jd106", "facemesh468", "facemesh478")
#: The built-in head (one subdivision); its skin alone, with neck and scalp; of that the face alone.
TOPOLOGIES = ("head", "skin", "face")

#: Of the 106 points those that are iBUG's 68, in their order.
JD106_OF_68 = (
    *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63),
    *(66, 67, 69, 70, 71, 73), *(75, 76, 78, 79, 80, 82), *range(84, 104),
)  # fmt: skip


def scheme(name: str, topology: str | None = "head") -> Anchors:
    """The points of a scheme as places on the meshes of a topology, such as `Mesh.topology`.

    Meshes of photos are `face`, and `skin` with neck and scalp; the built-in head is `head`.

    Raises ValueError for an unknown name or topology (the message lists the valid ones); so does
    what it returns, for vertices of another number than the topology's.
    """
    for kind, value, known in (
        ("landmark scheme", name, SCHEMES),
        ("topology", topology, TOPOLOGIES),
    ):
        if value not in known:
            raise ValueError(f"unknown {kind} {value!r}; one of {', '.join(known)}")
    return _on(name, str(topology))


def topology_mesh(topology: str) -> SkinMesh:
    """The mesh of a topology of photos' meshes: `skin` or `face`. Raises ValueError for others."""
    if topology not in TOPOLOGIES[1:]:
        raise ValueError(f"no photo's mesh is {topology!r}; one of {', '.join(TOPOLOGIES[1:])}")
    return skin_mesh() if topology == "skin" else skin_mesh().face_mesh


@lru_cache(maxsize=len(SCHEMES) * len(TOPOLOGIES))
def _on(name: str, topology: str) -> Anchors:
    anchors, words = _schemes()[name], f"meshes of the topology {topology!r}"
    if topology == "head":
        count = len(builtin_head(SUBDIVISIONS, bases=False).mean)
        return replace(anchors, mesh=words, count=count)
    source = topology_mesh(topology).source  # sorted; of a vertex on a seam the first copy
    places = np.searchsorted(source, anchors.vertices).astype(np.int32)
    return replace(anchors, vertices=places, mesh=words, count=len(source))


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
def mirrored(name: str) -> NDArray[np.int64]:
    """(N,) which point of a scheme each one is in a mirrored face. Raises as `scheme`."""
    from scipy.optimize import linear_sum_assignment  # a photo's mesh has no need to wait for it

    places = scheme(name).of(builtin_head(SUBDIVISIONS, bases=False).mean)
    away = np.linalg.norm(places[:, None] - places * (-1, 1, 1), axis=-1)
    return linear_sum_assignment(away)[1].astype(np.int64)
