"""Non-rigid registration of one template to another, and models carried across it.

`register` is optimal-step non-rigid ICP (Amberg, Romdhani & Vetter, CVPR 2007) with the bending
energy of the displacement (Botsch & Kobbelt, ACM ToG 23(3), 2004) in the place of local affine
stiffness: after a similarity from landmarks, closest points with compatible normals pull, the
template bends ever more easily, and in the end every matched vertex lies on the target's surface.
What has no counterpart (the inside of the mouth, a border) bends along.

`transfer` moves a linear model's offsets through those correspondences, and bends them smoothly
into what was not matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from facerelief.arrays import BoolArray, FloatArray, IntArray
from facerelief.geometry.closest import Closest, ClosestPoints
from facerelief.geometry.factorised import factorised
from facerelief.geometry.mesh import face_normals, vertex_normals
from facerelief.geometry.raster import rasterise
from facerelief.geometry.similarity import Similarity


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh that takes part in a registration."""

    vertices: FloatArray  # (V, 3) mm
    triangles: IntArray  # (T, 3) counter-clockwise seen from outside
    landmarks: IntArray  # (L,) vertices; the same points on both surfaces
    usable: BoolArray | None = None  # (V,) False where nothing may be matched; None is all


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a source template lies on a target."""

    vertices: FloatArray  # (V, 3) mm, all of the source's vertices
    matched: BoolArray  # (V,) lies on the target's surface
    corners: IntArray  # (V, 3) vertices of the target, only meant where matched
    barycentrics: FloatArray  # (V, 3) their weights, sum 1


def laplacian(vertices: FloatArray, triangles: IntArray) -> tuple[sparse.csr_array, FloatArray]:
    """The cotangent Laplacian (V, V), positive semi-definite, and the vertices' areas (V,) in mm2.

    That of Pinkall & Polthier, Experimental Mathematics 2(1), 1993, but that obtuse corners weigh
    nothing, so that no mesh makes it indefinite.
    """
    corners = vertices[triangles].astype(float)
    count = len(vertices)
    rows, columns, weights = [], [], []
    doubled = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        u, v = corners[:, i] - corners[:, k], corners[:, j] - corners[:, k]
        cotangent = (u * v).sum(axis=1) / np.maximum(doubled, 1e-12)
        rows.append(triangles[:, i])
        columns.append(triangles[:, j])
        weights.append(np.clip(cotangent / 2, 0.0, 5.0))
    row, column, weight = (np.concatenate(part) for part in (rows, columns, weights))
    half = sparse.coo_array((weight, (row, column)), shape=(count, count))
    adjacency = (half + half.T).tocsr()
    degree = adjacency.sum(axis=1)
    area = np.bincount(triangles.ravel(), np.repeat(doubled / 6, 3), minlength=count)
    # Vertices of no triangle get an area and no neighbour.
    return (sparse.diags_array(degree) - adjacency).tocsr(), np.maximum(area, 1e-3)


def bending(vertices: FloatArray, triangles: IntArray, tension: float = 0.0) -> sparse.csr_array:
    """The thin-plate energy (V, V) of displacements of a mesh, plus `tension` (1/mm2) of a
    membrane, which keeps what is far from any constraint from swinging out."""
    stiff, area = laplacian(vertices, triangles)
    plate = stiff @ sparse.diags_array(1 / area) @ stiff
    return (plate + tension * stiff).tocsr()


def _solve(system: sparse.sparray, values: FloatArray) -> FloatArray:
    """The solution of a symmetric positive definite system."""
    return np.asarray(factorised(system.tocsc()).solve(values))


def border_vertices(triangles: IntArray, count: int) -> BoolArray:
    """(V,) on an edge of only one triangle."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]],
                                    triangles[:, [2, 0]]]), axis=1)  # fmt: skip
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    mask = np.zeros(count, bool)
    mask[unique[uses == 1]] = True
    return mask


def seen_from_outside(
    vertices: FloatArray, triangles: IntArray, size: int = 256, yaws: int = 8
) -> BoolArray:
    """(V,) vertices of triangles whose front shows in some of `yaws` views by three around.

    What does not, lies inside the mouth, the nostrils or the sockets.
    """
    centred = vertices - (vertices.max(axis=0) + vertices.min(axis=0)) / 2
    scale = size / 2 / np.linalg.norm(centred, axis=1).max()
    seen = np.zeros(len(vertices), bool)
    for yaw in np.arange(yaws) * 360 / yaws:
        for pitch in (-40, 0, 40):
            turned = centred @ Rotation.from_euler("yx", (yaw, pitch), degrees=True).as_matrix().T
            points = turned * [scale, -scale, scale] + [size / 2, size / 2, 0]
            drawn = rasterise(points, triangles, (size, size))
            front = np.unique(drawn.triangle[drawn.mask])
            front = front[face_normals(turned, triangles[front])[:, 2] > 0]
            seen[triangles[front].ravel()] = True
    return seen


def register(
    source: Surface,
    target: Surface,
    landmark_weights: ArrayLike | float = 1.0,
    stiffness: Sequence[float] = (3e3, 1e3, 300, 100, 30, 10, 3, 1),
    steps: int = 2,
    reach: tuple[float, float] = (25.0, 3.0),
) -> Registration:
    """Lay the source on the target.

    Arguments:
        landmark_weights: (L,) trust in each landmark, or one for all; 0 leaves one out.
        stiffness: of the plate, falling (mm2: about the square of the wave length below which
            the source does not bend).
        steps: searches of closest points at each stiffness.
        reach: mm, closest points beyond it pull less and less; first and last value.

    Raises:
        ValueError: landmarks of different numbers or of vertices that do not exist.
    """
    trust = np.broadcast_to(np.asarray(landmark_weights, float), source.landmarks.shape)
    for surface in (source, target):
        marks = surface.landmarks
        if len(marks) and (marks.min() < 0 or marks.max() >= len(surface.vertices)):
            raise ValueError(f"landmarks name vertices beyond {len(surface.vertices)}")
    counts = len(source.landmarks), len(target.landmarks)
    if counts[0] != counts[1]:
        raise ValueError(f"{counts[0]} landmarks of the source, {counts[1]} of the target")
    used = trust > 0
    marks, aims = source.landmarks[used], target.vertices[target.landmarks[used]].astype(float)
    start = Similarity.between(source.vertices[marks], aims)(source.vertices)
    usable = np.ones(len(start), bool) if source.usable is None else source.usable
    plate = bending(start, source.triangles, tension=1e-4)
    _, area = laplacian(start, source.triangles)

    search = _Search(source.triangles, usable, target)
    moved = start
    stages = np.geomspace(reach[0], reach[1], len(stiffness))
    for hardness, limit in zip(stiffness, stages, strict=True):
        for _ in range(steps):
            nearest, trusted = search(moved, limit)
            weight = np.where(trusted, area / (1 + (nearest.distance / limit) ** 2) ** 2, 0.0)
            # A landmark weighs as much as a patch of skin of the stiffness' wave length.
            marked = np.bincount(marks, trust[used], minlength=len(start)) * (1 + hardness / 10)
            aim = np.zeros_like(start)
            aim[trusted] = (weight[:, None] * (nearest.points - start))[trusted]
            np.add.at(aim, marks, (trust[used] * (1 + hardness / 10))[:, None]
                      * (aims - start[marks]))  # fmt: skip
            system = hardness * plate + sparse.diags_array(weight + marked + 1e-6)
            moved = start + _solve(system, aim)
    nearest, trusted = search(moved, reach[1] / 3)
    return _settle(
        start, moved, source.triangles, nearest, trusted, search.target[nearest.triangle]
    )


class _Search:
    """Closest points of the target, and where they may pull: on no border and not far away."""

    def __init__(self, triangles: IntArray, usable: BoolArray, target: Surface) -> None:
        allowed = target.triangles
        if target.usable is not None:
            allowed = allowed[target.usable[allowed].all(axis=1)]
        self.triangles, self.usable = triangles, np.flatnonzero(usable)
        self.target, self.closest = allowed, ClosestPoints(target.vertices, allowed)
        self.border = border_vertices(allowed, len(target.vertices))[allowed]

    def __call__(self, moved: FloatArray, reach: float) -> tuple[Closest, BoolArray]:
        """Of all vertices, in the target's vertices; meant where trusted alone."""
        rows = self.usable
        nearest = self.closest(moved[rows], vertex_normals(moved, self.triangles)[rows])
        on_border = ((nearest.barycentrics > 1e-6) <= self.border[nearest.triangle]).all(axis=1)
        trusted = np.zeros(len(moved), bool)
        trusted[rows] = ~on_border & (nearest.distance < 3 * reach)
        count = len(moved)
        whole = Closest(moved.copy(), np.full(count, np.inf), np.zeros(count, np.int64),
                        np.full((count, 3), 1 / 3))  # fmt: skip
        whole.points[rows], whole.distance[rows] = nearest.points, nearest.distance
        whole.triangle[rows], whole.barycentrics[rows] = nearest.triangle, nearest.barycentrics
        return whole, trusted


def _settle(
    start: FloatArray,
    moved: FloatArray,
    triangles: IntArray,
    nearest: Closest,
    trusted: BoolArray,
    corners: IntArray,
) -> Registration:
    """Put what is near the target onto it, and carry the rest along in space and then on the mesh.

    In space first, since what lies behind the skin must stay behind it.
    """
    settled = np.where(trusted[:, None], nearest.points, moved)
    carried = start + in_space(start, trusted, (settled - start)[None])[0]
    residual = np.where(trusted[:, None], settled - carried, 0)
    settled = carried + extend(start, triangles, trusted, residual[None], fading=1e-3)[0]
    return Registration(settled, trusted, corners, nearest.barycentrics)


def in_space(points: FloatArray, known: BoolArray, fields: FloatArray) -> FloatArray:
    """Fields (N, V, 3) that are known at some points (V, 3), spread through space to all.

    Others get the mean of the 24 nearest known ones, weighed by the inverse square of the distance
    (Shepard, 1968): what lies close behind a surface moves with it.
    """
    result = np.array(fields, float)
    if known.all() or not known.any():
        return result
    away, nearest = cKDTree(points[known]).query(
        points[~known], k=range(1, min(known.sum(), 24) + 1)
    )
    weights = 1 / (away**2 + 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.arange(len(weights) + 1) * weights.shape[1]
    spread = sparse.csr_array((weights.ravel(), nearest.ravel(), starts),
                              shape=(len(weights), int(known.sum())))  # fmt: skip
    for field in result:
        field[~known] = spread @ field[known]
    return result


def extend(
    vertices: FloatArray,
    triangles: IntArray,
    known: BoolArray,
    fields: FloatArray,
    tension: float = 1e-2,
    fading: float = 0.0,
) -> FloatArray:
    """Fields (N, V, 3) that are known at some vertices, bent smoothly into the others.

    Parts of the mesh without a known vertex get zero.

    Arguments:
        tension: 1/mm2, see `bending`. fading: 1/mm4, draws fields to zero away from known ones;
            1e-4 does in 10 mm.
    """
    result = np.where(known[:, None], fields, 0.0)
    free = ~known
    if not free.any():
        return result
    energy = bending(vertices, triangles, tension)
    _, area = laplacian(vertices, triangles)
    inner = energy[free][:, free] + sparse.diags_array(fading * area[free] + 1e-9)
    outer = energy[free][:, known]
    given = np.moveaxis(result[:, known], 0, 1).reshape(int(known.sum()), -1)
    solved = _solve(inner, -(outer @ given))
    result[:, free] = np.moveaxis(solved.reshape(int(free.sum()), len(fields), 3), 1, 0)
    return result


def transfer(
    registration: Registration,
    shape: FloatArray,
    triangles: IntArray,
    fields: ArrayLike,
    through_space: bool,
) -> FloatArray:
    """Offsets (N, V', 3) of the target's vertices as offsets (N, V, 3) of the source's.

    Arguments:
        shape, triangles: of the source, (V, 3) and (T, 3); offsets are carried on along it where
            nothing was matched.
        through_space: True carries them on through space, as `register` does: right where all
            that lies close together moves together, as for identities. False along the mesh
            alone, for expressions, which open lips and lids.
    """
    given = np.asarray(fields)
    result = np.zeros((len(given), len(shape), 3))
    matched = registration.matched
    corners = registration.corners[matched]
    weights = registration.barycentrics[matched]
    for k in range(3):
        result[:, matched] += weights[:, k, None] * given[:, corners[:, k]]
    if not through_space:
        return extend(shape, triangles, matched, result)
    return in_space(shape, matched, result)


def follow(points: FloatArray, guide: FloatArray, fields: ArrayLike) -> FloatArray:
    """Offsets (N, P, 3) of points (P, 3) that move with a rigid-like part, such as an eye.

    The affine motion that is nearest to the offsets (N, G, 3) of the part's vertices `guide`
    (G, 3) moves them.
    """
    given = np.asarray(fields, float)
    centre = guide.mean(axis=0)
    base = np.concatenate([guide - centre, np.ones((len(guide), 1))], axis=1)
    motion = np.linalg.pinv(base) @ np.moveaxis(given, 0, 1).reshape(len(guide), -1)
    moved = np.concatenate([points - centre, np.ones((len(points), 1))], axis=1) @ motion
    return np.moveaxis(moved.reshape(len(points), len(given), 3), 1, 0)
