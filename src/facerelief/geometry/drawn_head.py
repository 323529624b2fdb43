"""The built-in head as a mesh that is drawn: few triangles, smooth places, and which are skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh


@dataclass(frozen=True, eq=False)
class DrawnHead:
    """Triangles on the first `count` vertices of the built-in head after one subdivision.

    Subdivision keeps old vertices in front: the coarse mesh lies on the smooth head, and its
    vertices are `builtin_head().vertices(...)[..., :count, :]`.
    """

    count: int  # V, vertices
    triangles: NDArray[np.int32]  # (T, 3) counter-clockwise seen from outside
    uv: NDArray[np.float32]  # (T, 3, 2) of the corners of every triangle, in [0, 1], v upwards
    skin: BoolArray  # (T,) the face, without what lies between lids and between lips
    symmetry: NDArray[np.int32]  # (V,) the mirrored vertex of each


@lru_cache(maxsize=4)
def drawn_head(fine: bool = False, skin_only: bool = False) -> DrawnHead:
    """The head with eyes, teeth and tongue: 5,101 vertices and 9,560 triangles.

    With `fine` 19,503 and 38,240; with `skin_only` without eyes, teeth and tongue (8,640 and
    34,560 triangles). The result is shared: do not write into it.
    """
    head = builtin_head(SUBDIVISIONS if fine else SUBDIVISIONS - 1, bases=False)
    mesh = skin_mesh()
    outer = np.zeros(len(builtin_head(SUBDIVISIONS, bases=False).mean), bool)
    outer[mesh.source[mesh.outer]] = True
    of_skin: BoolArray = np.all(head.regions["skin"][head.triangles], axis=1)
    kept = of_skin if skin_only else np.ones(len(head.triangles), bool)
    triangles = head.triangles[kept]
    return DrawnHead(
        count=len(head.mean),
        triangles=triangles,
        uv=head.uv[head.uv_triangles[kept]],
        skin=of_skin[kept] & np.all(outer[triangles], axis=1),
        symmetry=head.symmetry,
    )
