"""Any coarse mesh of a face with the relief that its photo's normals tell.

Normals are carried onto the mesh with every triangle cut in four (`geometry.carried_normals`), and
what the finer vertices cannot hold goes into a normal map in the mesh's own texture coordinates.
Vertices that only seams of the texture part are one for this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import sparse
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import cKDTree

from facerelief.arrays import BoolArray, DoubleArray, FloatArray
from facerelief.detailed import tangent_map, tangents_of
from facerelief.easing import smooth_step
from facerelief.geometry.camera import camera_space
from facerelief.geometry.carried_normals import carry_normals
from facerelief.geometry.mesh import face_areas, face_normals, vertex_normals
from facerelief.geometry.moved_surface import Links, Surface
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.geometry.refined_mesh import RefinedMesh
from facerelief.geometry.uv import UVLayout
from facerelief.mesh_reading import MeshError
from facerelief.normal_png import NormalMap
from facerelief.placement import Placement
from facerelief.sampling import bilinear
from facerelief.types import Face, Mesh

MOST = 4_000_000  # triangles of a mesh
MOST_SHOWN = 200_000  # triangles that show the face, as they are solved for
_CUT = 60_000  # triangles, up to which each is cut in four
_STEEPEST = (0.1, 0.3)  # cosine of the view, between which skin begins to be believed
_ALIKE = (0.5, 0.75)  # cosine of photo's and own normal: less is the bag of a mouth, a socket
_BEHIND = 3.0  # mm behind the nearest surface, where skin counts as seen
_BORDER = 25.0  # mm beside what is seen, over which moves fade to nothing
_OPENINGS = (slice(36, 42), slice(42, 48), slice(60, 68))  # landmarks round eyes and mouth
_RIM = 3  # edges beside what is not seen, over which belief begins


@dataclass(frozen=True, eq=False)
class Enhanced:
    """A mesh and its relief."""

    mesh: Mesh  # the given one
    displaced: Mesh  # finer unless it was fine, in its unit and with its texture coordinates
    displacement: DoubleArray  # (V,) mm, how far vertices of `displaced` moved
    seen: DoubleArray  # (V,) in [0, 1] of these: how far the photo's normals were believed
    photo_normals: DoubleArray  # (V, 3) of these, in the mesh's space: what the photo says
    coarse: Mesh  # as `displaced`, not moved

    def normal_map(self, displaced: bool, size: int) -> NormalMap:
        """(size, size, 3) the photo's normals in the tangent space of a mesh; flat where unseen.

        Raises MeshError for a mesh without texture coordinates.
        """
        base = self.displaced if displaced else self.coarse
        if base.uv is None:
            raise MeshError("the mesh has no texture coordinates, which a normal map lies in")
        own = _seamless_normals(base)
        across = tangents_of(base)[0]
        layout = UVLayout(base.uv, base.triangles, base.triangles, len(base.uv), size)
        values = np.concatenate([own, across, self.photo_normals, self.seen[:, None]], axis=1)
        maps = np.nan_to_num(layout.write(values))
        z, told, seen = normalise(maps[..., :3]), normalise(maps[..., 6:9]), maps[..., 9:]
        turned = normalise(seen * told + (1 - seen) * z)
        return tangent_map(turned, z, maps[..., 3:6], layout.mask & (seen[..., 0] > 0.01))


def enhance(
    mesh: Mesh, face: Face, placement: Placement, landmarks: FloatArray | None = None
) -> Enhanced:
    """The relief of a mesh by the normals of `face`, an estimator's, in whose photo it lies.

    Nothing is carried where `landmarks` (68, 2 or more), photo pixels, have eyes and the mouth.

    Raises MeshError for meshes that are too fine, and for one of which the photo shows nothing.
    """
    if len(mesh.triangles) > MOST:
        raise MeshError(f"{len(mesh.triangles)} triangles; at most {MOST} are enhanced")
    given = _sound(mesh)
    cut = RefinedMesh.of(given.triangles) if len(given.triangles) <= _CUT else None
    fine = given if cut is None else _finer(given, cut)
    joined, kept = _weld(fine.vertices)
    triangles = joined[fine.triangles]
    unit = placement.millimetre
    vertices = np.asarray(fine.vertices, np.float64)[kept] * unit
    looker = _Looker(face, placement, unit, landmarks)
    whole = vertex_normals(vertices, triangles)
    seen = looker.seen(vertices, triangles, whole)
    part = (seen[triangles] > 0).any(axis=1) & _distinct(triangles)
    if not part.any():
        raise MeshError("the photo shows nothing of the mesh")
    if part.sum() > MOST_SHOWN:
        raise MeshError(f"{part.sum()} triangles show the face; at most {MOST_SHOWN} are enhanced")
    part = _beside(vertices, triangles, part)
    used, local = np.unique(triangles[part], return_inverse=True)
    up = None if cut is None else _prolongation(cut, joined, kept, used)
    links = Links(local.reshape(-1, 3), len(used), prolongation=up)
    surface = Surface(vertices[used], links, face_normals(vertices[used], links.triangles))
    weight = seen[used] * _inside(links)
    for _ in range(_RIM):
        weight = np.minimum(weight, links.smoothed(weight))

    def look(by: FloatArray) -> tuple[FloatArray, FloatArray]:
        normals, known = looker.normals(surface.displaced(by))
        return normals, known * weight

    stays = ~part & _distinct(triangles)
    rest = np.intersect1d(used, triangles[stays])
    by = carry_normals(surface, look) * _faded(surface, np.searchsorted(used, rest))
    moved, amount = vertices.copy(), np.zeros(len(vertices))
    moved[used], amount[used] = surface.unfolded(by), by
    normals, sure = looker.normals(moved)
    told = np.zeros(len(vertices))
    told[used] = weight
    finer = Mesh((moved[joined] / unit).astype(np.float32), fine.triangles, uv=fine.uv,
                 colours=fine.colours, scale=mesh.scale)  # fmt: skip
    return Enhanced(mesh, finer, amount[joined], (told * sure)[joined], normals[joined], fine)


class _Looker:
    """What a face's photo says of places on a mesh, mm in its space."""

    def __init__(
        self, face: Face, placement: Placement, unit: float, landmarks: FloatArray | None
    ) -> None:
        self._face, self._pose, self._unit = face, placement.pose, unit
        skin = face.mask if landmarks is None else face.mask & ~_openings(face, landmarks)
        inside = np.clip(2 * gaussian_filter(skin.astype(np.float32), 3.0) - 1, 0, 1)
        self._layers = np.dstack([face.crop.rotate_normals_to_photo(face.normals), inside])

    def _in_crop(self, vertices: FloatArray) -> DoubleArray:
        """(V, 3) crop pixel x, y and depth in crop pixels."""
        points = camera_space(self._pose(vertices / self._unit))
        crop = self._face.crop
        return np.column_stack([crop.to_crop(points[:, :2]), points[:, 2] / crop.scale])

    def normals(self, vertices: FloatArray) -> tuple[DoubleArray, DoubleArray]:
        """Unit normals (V, 3) in the mesh's space, and how far they are known (V,)."""
        places = self._in_crop(vertices)[:, :2]
        found = bilinear(self._layers, places).astype(np.float64)
        size = self._face.crop.size
        within = ((places > 0) & (places < size)).all(axis=1)
        return normalise(found[:, :3]) @ self._pose.rotation, found[:, 3] * within

    def seen(self, vertices: FloatArray, triangles: NDArray, normals: FloatArray) -> DoubleArray:
        """(V,) in [0, 1] how far the photo shows a mesh's vertices."""
        places, size = self._in_crop(vertices), self._face.crop.size
        raster = rasterise(places, triangles, (size, size))
        column, row = np.clip(places[:, :2], 0, size - 1).astype(int).T
        nearest = np.nan_to_num(raster.depth[row, column], nan=-np.inf)
        pixels = self._pose.scale / self._unit / self._face.crop.scale  # a mm has
        hidden = places[:, 2] < nearest - _BEHIND * pixels
        low, high = _STEEPEST
        sight = np.clip(((normals @ self._pose.rotation.T)[:, 2] - low) / (high - low), 0, 1)
        told, known = self.normals(vertices)
        low, high = _ALIKE
        alike = np.clip(((told * normals).sum(-1) - low) / (high - low), 0, 1)
        return known * sight * alike * ~hidden


def _openings(face: Face, landmarks: FloatArray) -> BoolArray:
    """(S, S) the crop's pixels of eyes and mouth, and those beside."""
    size = face.crop.size
    picture = Image.new("1", (size, size))
    for points in _OPENINGS:
        outline = face.crop.to_crop(landmarks[points, :2])
        ImageDraw.Draw(picture).polygon([tuple(point) for point in outline], fill=1)
    return binary_dilation(np.asarray(picture), iterations=max(round(size / 100), 1))


def _sound(mesh: Mesh) -> Mesh:
    """Without triangles that have no area and vertices that no triangle has."""
    whole = face_areas(mesh.vertices, mesh.triangles) > 0
    if not whole.any():
        raise MeshError("no triangle has an area")
    used, local = np.unique(mesh.triangles[whole], return_inverse=True)

    def of(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[used]

    return Mesh(mesh.vertices[used], local.reshape(-1, 3), uv=of(mesh.uv), scale=mesh.scale,
                colours=of(mesh.colours))  # fmt: skip


def _finer(mesh: Mesh, cut: RefinedMesh) -> Mesh:
    """Every triangle in four, on the curves that the vertices' normals say; seams stay closed."""
    vertices = cut.curved(mesh.vertices, _seamless_normals(mesh))
    whole = np.repeat(face_normals(mesh.vertices, mesh.triangles), 4, axis=0)
    if ((whole * face_normals(vertices, cut.triangles)).sum(-1) < 0).any():
        vertices = cut.linear(np.asarray(mesh.vertices))  # sharp folds, as of boxes
    uv, colours = (None if v is None else cut.linear(v) for v in (mesh.uv, mesh.colours))
    return Mesh(vertices, cut.triangles, uv=uv, colours=colours, scale=mesh.scale)


def _prolongation(
    cut: RefinedMesh, joined: NDArray, kept: NDArray, used: NDArray
) -> sparse.csr_array:
    """(V, W) values at those of the `used` vertices that were there before the cut, and between.

    Vertices are those that `_weld` has joined and kept.
    """
    old = int(cut.edges.max()) + 1
    source = kept[used]
    was_there = source < old
    count, number = int(was_there.sum()), np.full(len(kept), -1)
    number[used[was_there]] = np.arange(count)
    ends = np.where(was_there, source, 0)[:, None].repeat(2, axis=1)
    ends[~was_there] = cut.edges[source[~was_there] - old]
    columns = number[joined[ends]]
    known = columns >= 0
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    rows = np.nonzero(known)[0]
    return sparse.csr_array((shares[known], (rows, columns[known])), (len(used), count))


def _weld(vertices: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(V,) the place of each vertex among those that differ, and one vertex (W,) of each place."""
    step = 1e-6 * max(float(np.ptp(vertices, axis=0).max()), 1e-12)
    keys = np.round(np.asarray(vertices, np.float64) / step).astype(np.int64)
    _, kept, joined = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return joined.ravel(), kept


def _seamless_normals(mesh: Mesh) -> FloatArray:
    """(V, 3) normals of the vertices, the same on both sides of a seam."""
    joined, kept = _weld(mesh.vertices)
    return vertex_normals(mesh.vertices[kept], joined[mesh.triangles])[joined]


def _distinct(triangles: NDArray) -> BoolArray:
    a, b, c = triangles.T
    distinct: BoolArray = (a != b) & (b != c) & (c != a)
    return distinct


def _inside(links: Links) -> DoubleArray:
    """(V,) 0 on the borders of a mesh, 1 within."""
    number = np.bincount(links.sides, minlength=len(links.edges))
    inside = np.ones(links.count)
    inside[links.edges[number == 1]] = 0
    return inside


def _beside(vertices: FloatArray, triangles: NDArray, part: BoolArray) -> BoolArray:
    """(T,) a part of the triangles, and those within `_BORDER` of it."""
    tree = cKDTree(vertices[np.unique(triangles[part])])
    away, _ = tree.query(vertices, distance_upper_bound=_BORDER)
    near: BoolArray = np.isfinite(away)[triangles].all(axis=1) & _distinct(triangles)
    return near


def _faded(surface: Surface, rest: NDArray[np.int64]) -> DoubleArray:
    """(V,) how far vertices may move: not where the `rest` of the mesh begins, which stays.

    Open borders of the mesh itself are none of these: nothing would tear there.
    """
    if not len(rest):
        return np.ones(surface.links.count)
    away, _ = cKDTree(surface.vertices[rest]).query(surface.vertices)
    faded: DoubleArray = smooth_step(away / _BORDER).astype(np.float64)
    return faded
