"""`_landmark_vertices.json`: where a written mesh has the points of every scheme."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.landmark_schemes import SCHEMES, scheme, topology_mesh
from facerelief.geometry.refined_mesh import refined


@lru_cache(maxsize=4)
def landmark_vertices(topology: str, displaced: bool = False) -> bytes:
    """The file of all meshes of a topology, or of those with every triangle of it cut in four.

    All formats have the same vertices and triangles in the same order. Raises ValueError for an
    unknown topology.
    """
    mesh = topology_mesh(topology)
    triangles, count = mesh.triangles, len(mesh.source)
    if displaced:
        cut = refined(topology)
        triangles, count = cut.triangles, count + len(cut.edges)
    schemes = {}
    for name in SCHEMES:
        places = scheme(name, topology).in_triangles(mesh.triangles)
        index, shares = in_quarters(*places) if displaced else places
        nearest = triangles[index, shares.argmax(axis=1)]
        schemes[name] = {
            "vertices": nearest.tolist(),
            "triangles": index.tolist(),
            "barycentrics": np.round(shares, 6).tolist(),
        }
    said = {
        "topology": topology,
        "triangles_cut_in": 4 if displaced else 1,
        "vertices": count,
        "triangles": len(triangles),
        "meaning": "indices from 0 into the vertices and the triangles of OBJ, PLY and GLB, in the "
        "order of the file. vertices: the one nearest to each point. triangles and barycentrics: "
        "the point itself, as shares of the triangle's three corners; they hold as well where a "
        "reader joins, splits or sorts vertices. triangles_cut_in: 1 where the mesh is the "
        "topology's; 4 where every triangle of it is cut in four, behind whose vertices the new "
        "ones come",
        "schemes": schemes,
    }
    return (json.dumps(said) + "\n").encode()


def in_quarters(index: IntArray, shares: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Places in triangles as places in their quarters, which `geometry.refined_mesh` numbers.

    Args:
        index, shares: (N,) triangles and (N, 3) barycentrics in them; so what is returned.
    """
    corner = shares.argmax(axis=1)
    at_corner = np.take_along_axis(shares, corner[:, None], 1)[:, 0] >= 0.5
    doubled = 2 * shares
    doubled[np.arange(len(shares)), corner] -= 1  # what is left of the corner itself
    a, b, c = shares.T
    middle = np.stack([1 - 2 * c, 1 - 2 * a, 1 - 2 * b], 1)  # on the middles of ab, bc and ca
    quarter = np.where(at_corner, corner, 3)
    return 4 * np.asarray(index, np.int64) + quarter, np.where(at_corner[:, None], doubled, middle)
