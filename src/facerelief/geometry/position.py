"""From a UV position map of the built-in head to a face: mesh, landmarks, pose, what is seen.

A map holds pixel x, pixel y (down) and z (nearer is larger, in pixels, from the head's origin) of
every texel of the skin (PRNet, Feng et al. 2018). Rays are parallel: what the network says of
depth has no perspective.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import face_normals, vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import Raster, rasterise
from facerelief.geometry.uv import skin_layout

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]

SUBDIVISIONS = 1  # of the head in whose layout the maps are

#: Landmarks along the lids of each eye and along the inner edge of the lips.
_OPENINGS = (range(36, 42), range(42, 48), range(60, 68))
#: Borders of the face on the mean head: behind the ears, along the hairline, and from the lobes to
#: under the chin. b y + a z >= c, in mm, with b, a, c as here.
_BORDERS = ((0.0, 1.0, -96.0), (-0.842, 0.54, -60.3), (0.826, 0.564, -103.0))
_BEHIND = 0.03  # of the face's height: how far behind the nearest surface is still seen
_FOLD = 3  # edges from a vertex to one that is turned to the camera, in a fold
_SMALLEST = 12.0  # pixels of the landmarks' box, below which there is no face to speak of
_WORST = 0.12  # of the face's height: RMS distance from the mean head, beyond which it is no face


@dataclass(frozen=True, eq=False)
class SkinMesh:
    """The skin of the built-in head as a mesh with one texture coordinate a vertex."""

    source: NDArray[np.int64]  # (M,) vertex of the head; those on seams come twice
    uv: NDArray[np.float32]  # (M, 2) in [0, 1], v upwards
    triangles: NDArray[np.int32]  # (T, 3) counter-clockwise seen from outside
    landmarks: NDArray[np.int64]  # (68,) into the mesh
    face: BoolArray  # (M,) from hairline to chin, ears too; the rest is neck and scalp
    inner: BoolArray  # (M,) between the eyelids and between the lips: a part of the face
    mean: NDArray[np.float32]  # (M, 3) mm of the mean head
    kept: NDArray[np.int64] | None = None  # (M,) of a part: its vertices in `skin_mesh`

    @cached_property
    def outer_triangles(self) -> BoolArray:
        """(T,) those of the face that a camera sees as its skin."""
        outer: BoolArray = np.all((self.face & ~self.inner)[self.triangles], axis=1)
        return outer

    @cached_property
    def face_triangles(self) -> BoolArray:
        """(T,) those of the face, with what lies between lids and between lips."""
        of_face: BoolArray = np.all(self.face[self.triangles], axis=1)
        return of_face

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


@lru_cache(maxsize=1)
def skin_mesh() -> SkinMesh:
    """Shared: do not write into it."""
    head = builtin_head(SUBDIVISIONS, bases=False)
    assert head.uv is not None and head.uv_triangles is not None and head.landmarks is not None
    skin = head.regions["skin"][head.triangles].all(axis=1)
    corners, places = head.triangles[skin].ravel(), head.uv_triangles[skin].ravel()
    pairs, triangles = np.unique(np.stack([corners, places], 1), axis=0, return_inverse=True)
    source = pairs[:, 0].astype(np.int64)
    uv, landmarks = head.uv[pairs[:, 1]], np.searchsorted(source, head.landmarks)
    # In the layout, sockets and the bag of the mouth lie within the openings that lead to them.
    inner = np.any([_within(uv, uv[landmarks[list(marks)]]) for marks in _OPENINGS], axis=0)
    inner[landmarks] = False
    return SkinMesh(
        source=source,
        uv=uv,
        triangles=triangles.reshape(-1, 3).astype(np.int32),
        landmarks=landmarks,
        face=face_part(head.mean)[source],
        inner=inner,
        mean=head.mean[source],
    )


def _within(points: FloatArray, corners: FloatArray) -> BoolArray:
    """(N,) which of the points (N, 2) lie in the convex hull of the corners."""
    found = np.all((points >= corners.min(0)) & (points <= corners.max(0)), axis=1)
    found[found] = Delaunay(corners).find_simplex(points[found]) >= 0
    return found


def face_part(mean: FloatArray) -> BoolArray:
    """(V,) those of the mean head's vertices (V, 3) that are the face: smooth borders, no gaps.

    Its regions are made of whole quads: their borders are jagged, and ears stand apart.
    """
    y, z = mean[:, 1], mean[:, 2]
    return np.all([y * b + z * a >= c for b, a, c in _BORDERS], axis=0)


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the mean head lies: camera point = scale * rotation @ head point + translation.

    Camera points are in pixels, x right, y up, z towards the viewer, and the camera is parallel:
    pixel = (x, -y).
    """

    rotation: NDArray[np.float64]  # (3, 3) head space to camera space
    scale: float  # pixels a mm
    translation: NDArray[np.float64]  # (3,) pixels
    residual: float  # pixels, RMS distance of the face from the mean head

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 4) camera from model: mm of the head to pixels."""
        return np.column_stack([self.scale * self.rotation, self.translation])

    @property
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees: rotation = R_y(yaw) R_x(pitch) R_z(roll).

        Yaw is positive when the nose points to the picture's right, pitch when it points down,
        roll when the head leans to the picture's left.
        """
        yaw, pitch, roll = Rotation.from_matrix(self.rotation).as_euler("YXZ", degrees=True)
        return float(yaw), float(pitch), float(roll)


def read(position: ArrayLike) -> NDArray[np.float32]:
    """A map (S, S, 3) at the vertices of `skin_mesh`: (M, 3) pixel x, pixel y and z.

    Between the eyelids and between the lips, where the head has sockets and a bag and a photo eyes
    and teeth, the skin is spread from rim to rim: what the photo shows there is painted on it.

    Raises ValueError for another shape.
    """
    texels = np.asarray(position, np.float32)
    if texels.ndim != 3 or texels.shape[0] != texels.shape[1] or texels.shape[2] != 3:
        raise ValueError(f"a position map is (S, S, 3), not {texels.shape}")
    vertices = skin_layout(SUBDIVISIONS, len(texels)).read(texels)
    inner, rim, from_rim, solved = _membranes()
    vertices[inner] = solved.solve((from_rim @ vertices[rim]).astype(np.float64))
    return vertices[skin_mesh().source]


@lru_cache(maxsize=1)
def _membranes() -> tuple[NDArray[np.int64], NDArray[np.int64], sparse.csr_array, SuperLU]:
    """Vertices (n,) of the head that are `inner`, those (m,) around them, how they pull at the
    inner ones (n, m), and the system whose solution is where the inner ones come to rest.

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
    return inner, rim, around[:, rim], splu(system)


def problem(points: FloatArray, size: int) -> str | None:
    """Why `points` (M, 3), read from a map of a picture of `size` pixels, are no face; or None."""
    if not np.isfinite(points).all():
        return "the position map is not finite"
    mesh = skin_mesh()
    marks = points[mesh.landmarks]
    low, high = marks[:, :2].min(0), marks[:, :2].max(0)
    if (high - low).max() < _SMALLEST:
        return "the position map has collapsed to a point"
    if (high < 0).any() or (low > size).any():
        return "the position map lies outside the picture"
    found = pose(points)
    if found.residual > _WORST * height(found):
        return "the position map is no face"
    return None


def pose(points: FloatArray) -> Pose:
    """The similarity that takes the mean head to points (M, 3), by least squares over the face.

    Umeyama, "Least-squares estimation of transformation parameters" (PAMI 1991).
    """
    mesh = skin_mesh()
    outer = mesh.face & ~mesh.inner
    model = mesh.mean[outer].astype(np.float64)
    seen = camera_space(points[outer]).astype(np.float64)
    model_centre, seen_centre = model.mean(0), seen.mean(0)
    model, seen = model - model_centre, seen - seen_centre
    u, strength, vt = np.linalg.svd(seen.T @ model)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((strength * sign).sum() / (model**2).sum())
    off = seen - scale * model @ rotation.T
    return Pose(
        rotation=rotation,
        scale=scale,
        translation=seen_centre - scale * rotation @ model_centre,
        residual=float(np.sqrt((off**2).sum(1).mean())),
    )


def height(found: Pose) -> float:
    """Pixels from the chin to the bridge of the mean head's nose, as it lies."""
    mesh = skin_mesh()
    chin, bridge = mesh.mean[mesh.landmarks[[8, 27]]]
    return found.scale * float(np.linalg.norm(chin - bridge))


def camera_space(points: FloatArray) -> FloatArray:
    """Pixel x, pixel y (down) and z as camera space: y up."""
    return points * np.array([1, -1, 1], points.dtype)


@dataclass(frozen=True, eq=False)
class Skin:
    """What a position map says of a picture of (size, size) pixels. Camera space."""

    points: NDArray[np.float32]  # (M, 3) vertices of `skin_mesh`: pixel x, pixel y (down), z
    visible: BoolArray  # (M,) in the picture, turned to it, hidden by no other and not covered
    normals: NDArray[np.float32]  # (size, size, 3) zero where there is no face
    depth: NDArray[np.float32]  # (size, size) z in pixels, NaN where there is no face
    mask: BoolArray  # (size, size) the face; not what may lie before it
    covered: BoolArray | None = None  # (M,) something else is before it, where a system can tell
    problem: str | None = None  # why it is no face: then nothing of it is seen


def skin(position: ArrayLike, seen: ArrayLike | None = None) -> Skin:
    """The skin of a map (S, S, 3).

    Args:
        seen: (S, S) how likely it is that the picture shows a texel's skin, and not what covers it.

    Raises ValueError for another shape.
    """
    points = read(position)
    size = len(np.asarray(position))
    reason = problem(points, size)
    if reason is None:
        found = view(points, size)
        if seen is None:
            return found
        layout = skin_layout(SUBDIVISIONS, size)
        likely = layout.read(np.asarray(seen)[..., None])[skin_mesh().source, 0]
        covered: BoolArray = likely < 0.5
        return replace(found, visible=found.visible & ~covered, covered=covered)
    return Skin(
        points=points,
        visible=np.zeros(len(points), bool),
        normals=np.zeros((size, size, 3), np.float32),
        depth=np.full((size, size), np.nan, np.float32),
        mask=np.zeros((size, size), bool),
        problem=reason,
    )


def drawn(points: FloatArray, size: int) -> tuple[Raster, BoolArray]:
    """Points (M, 3) of `skin_mesh` in a picture of (size, size) pixels: the whole skin, z-buffered.

    And where it shows the face, with what lies between lids and lips, and no neck or scalp.
    """
    mesh = skin_mesh()
    raster = rasterise(points, mesh.triangles, (size, size), cull_back_faces=True)
    shows_face: BoolArray = raster.mask & mesh.face_triangles[raster.triangle]
    return raster, shows_face


def view(points: FloatArray, size: int) -> Skin:
    """What a picture of (size, size) pixels shows of points (M, 3) of `skin_mesh`."""
    mesh = skin_mesh()
    raster, _ = drawn(points, size)
    of_vertices = normals(points)
    shows_face: BoolArray = mesh.outer_triangles[raster.triangle] & raster.mask
    turned = normalise(raster.interpolate(of_vertices)).astype(np.float32)
    return Skin(
        points=np.asarray(points, np.float32),
        visible=_visible(points, raster, size),
        normals=np.where(shows_face[..., None], turned, 0),
        depth=np.where(shows_face, raster.depth, np.nan).astype(np.float32),
        mask=shows_face,
    )


def normals(points: FloatArray) -> FloatArray:
    """Unit normals (M, 3) of points of `skin_mesh`, camera space; smooth over seams."""
    mesh = skin_mesh()
    count = int(mesh.source.max()) + 1
    whole = np.zeros((count, 3), points.dtype)
    whole[mesh.source] = camera_space(points)
    return vertex_normals(whole, mesh.source[mesh.triangles])[mesh.source]


def _visible(points: FloatArray, raster: Raster, size: int) -> BoolArray:
    x, y = np.floor(points[:, :2]).astype(int).T
    inside: BoolArray = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    nearest = np.nan_to_num(raster.depth[y.clip(0, size - 1), x.clip(0, size - 1)], nan=-np.inf)
    room = _BEHIND * np.ptp(points[skin_mesh().landmarks][:, :2], axis=0).max()
    # In a fold, as the corner of an eye, all round a vertex may be turned away: what is next to
    # something that is turned to the camera, and as near, is seen.
    triangles = skin_mesh().triangles
    turned = np.zeros(len(points), bool)
    turned[triangles[face_normals(camera_space(points), triangles)[:, 2] > 0]] = True
    for _ in range(_FOLD):
        turned[triangles[turned[triangles].any(axis=1)]] = True
    return inside & (points[:, 2] >= nearest - room) & turned
