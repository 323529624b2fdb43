"""UV position maps of the built-in head (PRNet, Feng et al. 2018): read at the skin's vertices.

A map holds pixel x, pixel y (down) and z (nearer is larger, in pixels, from the head's origin) of
every texel of the skin. Rays are parallel: what the network says of depth has no perspective.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import SuperLU

from facerelief.geometry.factorised import factorised
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.uv import skin_layout
from facerelief.once import once


def skin(position: ArrayLike, seen: ArrayLike | None = None) -> Skin:
    """The skin of a map (S, S, 3) of a picture of S pixels.

    Args:
        seen: (S, S) how likely it is that the picture shows a texel's skin, and not what covers it.

    Raises ValueError for another shape.
    """
    points = read(position)
    size = len(np.asarray(position))
    if seen is None:
        return Skin(points, size)
    likely = skin_layout(SUBDIVISIONS, size).read(np.asarray(seen)[..., None])
    return Skin(points, size, covered=likely[skin_mesh().source, 0] < 0.5)


def read(position: ArrayLike) -> NDArray[np.float32]:
    """A map (S, S, 3) at the vertices of `skin_mesh`: (M, 3) pixel x, pixel y and z.

    Between the eyelids and between the lips, where the head has sockets and a bag and a photo eyes
    and teeth, the skin is spread from rim to rim: what the photo shows there is painted on it.

    Raises ValueError for another shape.
    """
    texels = np.asarray(position, np.float32)
    if texels.ndim != 3 or texels.shape[0] != texels.shape[1] or texels.shape[2] != 3:
        raise ValueError(f"a position map is (S, S, 3), not {texels.shape}")
    return spread(skin_layout(SUBDIVISIONS, len(texels)).read(texels))[skin_mesh().source]


def spread(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vertices (V, 3) of the head with its skin spread over eyes and mouth, from rim to rim."""
    inner, rim, beside, factors = membranes()
    result = vertices.copy()
    result[inner] = factors.solve(beside @ vertices[rim].astype(np.float64))
    return result


@once(maxsize=1)
def membranes() -> tuple[NDArray[np.int64], NDArray[np.int64], sparse.csr_array, SuperLU]:
    """Vertices (n,) of the head that are `inner`, those (m,) around them, which of these are beside
    which (n, m), and the factors of the system whose solution is where the inner ones come to rest.

    Every inner vertex is the mean of its neighbours (Tutte, "How to draw a graph", 1963).
    """
    mesh = skin_mesh()
    triangles = mesh.source[mesh.triangles]
    count = int(mesh.source.max()) + 1
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.concatenate([edges, edges[:, ::-1]]).T
    linked = sparse.csr_array((np.ones(ends.shape[1]), tuple(ends)), shape=(count, count))
    linked.data[:] = 1  # an edge of two triangles comes twice
    is_inner = np.zeros(count, bool)
    is_inner[mesh.source[mesh.inner]] = True
    inner = np.flatnonzero(is_inner)
    around = linked[inner]
    rim = np.setdiff1d(around.indices, inner)
    degrees = sparse.diags_array(around.sum(axis=1))
    system = sparse.csc_array(degrees - around[:, inner])
    return inner, rim, sparse.csr_array(around[:, rim]), factorised(system)
