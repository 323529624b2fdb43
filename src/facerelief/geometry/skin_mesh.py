"""The skin of the built-in head as one mesh: what position maps and shapes are laid out on.

Its points in a picture are pixel x, pixel y (down) and z (nearer is larger, in pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.camera import camera_space
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.once import once

SUBDIVISIONS = 1  # of the head in whose layout the maps are

#: Landmarks along the lids of each eye and along the inner edge of the lips.
_OPENINGS = (range(36, 42), range(42, 48), range(60, 68))
#: Borders of the face on the mean head: behind the ears, along the hairline, and from the lobes to
#: under the chin. b y + a z >= c, in mm, with b, a, c as here.
_BORDERS = ((0.0, 1.0, -96.0), (-0.842, 0.54, -60.3), (0.826, 0.564, -103.0))


@dataclass(frozen=True, eq=False)
class SkinMesh:
    """The skin of the built-in head as a mesh with one texture coordinate a vertex."""

    source: NDArray[np.int64]  # (M,) vertex of the head; those on seams come twice
    uv: NDArray[np.float32]  # (M, 2) in [0, 1], v upwards
    triangles: NDArray[np.int32]  # (T, 3) counter-clockwise seen from outside
    landmarks: NDArray[np.int64]  # (68,) into the mesh
    face: BoolArray  # (M,) from hairline to chin, ears and `inner` too; the rest is neck and scalp
    inner: BoolArray  # (M,) between the eyelids and between the lips: a part of the face
    mean: NDArray[np.float32]  # (M, 3) mm of the mean head
    kept: NDArray[np.int64]  # (M,) its vertices in `skin_mesh`, of which it may be a part

    @cached_property
    def outer(self) -> BoolArray:
        """(M,) the face but for what lies between lids and between lips."""
        return self.face & ~self.inner

    @cached_property
    def outer_triangles(self) -> BoolArray:
        """(T,) those of the face that a camera sees as its skin."""
        outer: BoolArray = np.all(self.outer[self.triangles], axis=1)
        return outer

    @cached_property
    def face_triangles(self) -> BoolArray:
        """(T,) those of the face, with what lies between lids and between lips."""
        of_face: BoolArray = np.all(self.face[self.triangles], axis=1)
        return of_face

    @cached_property
    def mirror(self) -> NDArray[np.int64]:
        """(M,) the vertex that each one is in a mirrored face, copies at seams included."""
        there = builtin_head(SUBDIVISIONS, bases=False).symmetry[self.source]
        first = np.searchsorted(self.source, there)
        # On seams a vertex comes twice: its image is the copy that lies opposite in the layout.
        second = np.minimum(first + 1, len(there) - 1)
        apart = [
            np.abs(self.uv[one] - (1, 0) - self.uv * (-1, 1)).sum(1) for one in (first, second)
        ]
        return np.where(apart[1] < apart[0], second, first).astype(np.int64)

    @cached_property
    def face_mesh(self) -> SkinMesh:
        """The face alone."""
        triangles = self.triangles[self.face_triangles]
        kept = np.unique(triangles).astype(np.int64)
        index = np.full(len(self.source), -1, np.int32)
        index[kept] = np.arange(len(kept))
        return SkinMesh(
            source=self.source[kept],
            uv=self.uv[kept],
            triangles=index[triangles],
            landmarks=index[self.landmarks].astype(np.int64),
            face=self.face[kept],
            inner=self.inner[kept],
            mean=self.mean[kept],
            kept=kept,
        )


@once(maxsize=1)
def skin_mesh() -> SkinMesh:
    """Shared: do not write into it."""
    head = builtin_head(SUBDIVISIONS, bases=False)
    skin = head.regions["skin"][head.triangles].all(axis=1)
    corners, places = head.triangles[skin].ravel(), head.uv_triangles[skin].ravel()
    # Single numbers sort many times faster than pairs.
    pairs, triangles = np.unique(
        corners.astype(np.int64) * len(head.uv) + places, return_inverse=True
    )
    source, place = np.divmod(pairs, len(head.uv))
    uv, landmarks = head.uv[place], np.searchsorted(source, head.landmarks)
    # In the layout, sockets and the bag of the mouth lie within the openings that lead to them.
    inner = np.any([_within(uv, uv[landmarks[list(marks)]]) for marks in _OPENINGS], axis=0)
    inner[landmarks] = False
    return SkinMesh(
        source=source,
        uv=uv,
        triangles=triangles.reshape(-1, 3).astype(np.int32),
        landmarks=landmarks,
        # The bag of the mouth goes farther in than the face; without its end the lips had a slit.
        face=face_part(head.mean)[source] | inner,
        inner=inner,
        mean=head.mean[source],
        kept=np.arange(len(source)),
    )


def _within(points: FloatArray, corners: FloatArray) -> BoolArray:
    """(N,) which of the points (N, 2) lie in the convex hull of the corners."""
    inside = np.all((points >= corners.min(0)) & (points <= corners.max(0)), axis=1)
    near, found = points[inside].astype(np.float64), np.zeros(np.count_nonzero(inside), bool)
    for triangle in combinations(corners.astype(np.float64), 3):  # they cover it
        turns = np.stack(
            [_turn(a, b, near) for a, b in zip(triangle, np.roll(triangle, 1, 0), strict=True)]
        )
        found |= (turns >= 0).all(0) | (turns <= 0).all(0)
    inside[inside] = found
    return inside


def _turn(a: FloatArray, b: FloatArray, points: FloatArray) -> FloatArray:
    """(N,) on which side of the line from a (2,) to b (2,) points (N, 2) lie, by sign."""
    (x, y), (across, down) = b - a, (points - a).T
    side: FloatArray = x * down - y * across
    return side


def face_part(mean: FloatArray) -> BoolArray:
    """(V,) those of the mean head's vertices (V, 3) that are the face: smooth borders, no gaps.

    Its regions are made of whole quads: their borders are jagged, and ears stand apart.
    """
    y, z = mean[:, 1], mean[:, 2]
    return np.all([y * b + z * a >= c for b, a, c in _BORDERS], axis=0)


def skin_normals(points: FloatArray) -> FloatArray:
    """Unit normals (M, 3) of points of `skin_mesh`, camera space; smooth over seams."""
    mesh = skin_mesh()
    count = int(mesh.source.max()) + 1
    whole = np.zeros((count, 3), points.dtype)
    whole[mesh.source] = camera_space(points)
    return vertex_normals(whole, mesh.source[mesh.triangles])[mesh.source]
