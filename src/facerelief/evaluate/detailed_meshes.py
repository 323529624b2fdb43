"""Meshes with relief under test: what a crop shows of them, and where they lie in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from facerelief.arrays import BoolArray, FloatArray
from facerelief.detail import kind_of
from facerelief.detailed import DetailedFace
from facerelief.evaluate.predictions import Arrays
from facerelief.geometry.camera import camera_space
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.landmark_schemes import topology_mesh
from facerelief.geometry.mesh import face_normals, vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.reconstruction import to_photo
from facerelief.runtime import Estimator
from facerelief.types import Estimate, Face, Place


class DetailedMeshes:
    """A system of shapes, and a kind of `detail.DETAILS` on them; crops (N, 256, 256, 3) uint8.

    Raises ValueError for an unknown kind, WeightsError as `detail.Kind` says.
    """

    def __init__(self, estimator: Estimator, kind: str, threads: int | None = None) -> None:
        make = kind_of(kind)
        if make is None:
            raise ValueError(f"{kind!r} is no kind of relief")
        self._estimator, self._maker = estimator, make(512, threads)

    def normals(self, crops: NDArray[np.uint8]) -> Estimate:
        """Normals of the displaced meshes, as the crops show them; zero where there is no face."""
        normals, mask = np.zeros(crops.shape, np.float32), np.zeros(crops.shape[:3], np.bool_)
        for index, (face, made) in enumerate(self._made(crops)):
            if made is not None:
                normals[index], mask[index] = drawn(face, made)
        return Estimate(normals, mask)

    def shapes(self, crops: NDArray[np.uint8]) -> Iterable[Arrays]:
        """Displaced meshes, in pixels of the crops, without perspective: the shapes themselves."""
        nothing = np.full((68, 3), np.nan, np.float32)
        for face, made in self._made(crops):
            if made is None or face.landmarks is None:
                triangles = np.zeros((0, 3), np.int64)
                yield {"vertices": nothing, "triangles": triangles, "landmarks": nothing}
                continue
            points = solid(face, made)
            yield {"vertices": points, "triangles": made.displaced.triangles,
                   "landmarks": points[topology_mesh("face").landmarks]}  # fmt: skip

    def _made(self, crops: NDArray[np.uint8]) -> Iterator[tuple[Face, DetailedFace | None]]:
        for crop in crops:
            (face,) = self._estimator.estimate(crop, [Place.of_crop(len(crop))])
            made = face.sound and DetailedFace(face, self._maker(face, crop))
            yield face, made or None


def solid(face: Face, made: DetailedFace) -> NDArray[np.float32]:
    """(V, 3) the displaced vertices of a face whose photo is its crop, by parallel rays.

    But for a similarity, the place and size of the pose, as `Skin.shape` has those of the face.
    """
    pose = face.need_shape("a mesh").pose
    points: FloatArray = made.displaced.vertices @ pose[:, :3].T + pose[:, 3]
    return (points * (1, -1, 1)).astype(np.float32)


def in_crop(face: Face, made: DetailedFace) -> NDArray[np.float32]:
    """(V, 3) the displaced vertices of a face in its crop: pixel x, y (down) and z."""
    return face.need_shape("a mesh").in_crop(made.displaced.vertices).astype(np.float32)


def in_photo(face: Face, made: DetailedFace) -> NDArray[np.float32]:
    """(V, 3) the same as photo pixel x, y (down) and z, nearer is larger."""
    return to_photo(in_crop(face, made), face.crop).astype(np.float32)


def flipped(made: DetailedFace) -> int:
    """Triangles of the face's skin that lie by more than a right angle off the coarse mesh's."""
    outer = np.repeat(topology_mesh(str(made.mesh.topology)).outer_triangles, 4)
    flat = np.repeat(face_normals(made.mesh.vertices, made.mesh.triangles), 4, axis=0)
    fine = face_normals(made.displaced.vertices, made.displaced.triangles)
    return int((((fine * flat).sum(-1) < 0) & outer).sum())


def holes(points: FloatArray, made: DetailedFace, size: int) -> tuple[int, int]:
    """Pixels (of size x size) within a face's outline in a picture: without it, and of its back.

    Of the displaced vertices as points (V, 3), pixel x, y (down) and z. The first are gaps in the
    mesh. The others show skin from behind, where a fold has gone through what lies before it; what
    lies between lids and lips may face either way.
    """
    triangles = made.displaced.triangles
    raster = rasterise(points, triangles, (size, size))
    front = face_normals(camera_space(points), triangles)[:, 2] > 0
    outer = np.repeat(topology_mesh(str(made.mesh.topology)).outer_triangles, 4)
    fronts = raster.mask & (front | ~outer)[raster.triangle]
    gaps = binary_fill_holes(raster.mask) & ~raster.mask
    backs = binary_fill_holes(fronts) & raster.mask & ~fronts
    return int(gaps.sum()), int(backs.sum())


def drawn(face: Face, made: DetailedFace) -> tuple[NDArray[np.float32], BoolArray]:
    """Normals (S, S, 3), camera space, and mask of its skin, as `geometry.skin` draws a shape's."""
    mesh, size = made.displaced, face.crop.size
    raster = rasterise(in_crop(face, made), mesh.triangles, (size, size))
    part = topology_mesh(str(made.mesh.topology))
    mask = raster.mask & part.outer_triangles[raster.triangle // 4]
    turned = vertex_normals(mesh.vertices, mesh.triangles) @ face.need_shape("a mesh").turn.T
    normals = normalise(raster.interpolate(turned))
    return np.where(mask[..., None], normals, 0).astype(np.float32), mask


def shown(made: DetailedFace, size: int) -> tuple[NDArray[np.float32], BoolArray]:
    """Normals (S, S, 3), camera space, and mask of the whole mesh in the crop, at `size` pixels.

    As `drawn`, with what the vertices cannot hold of the relief, and what covers eyes and mouth.
    """
    face, mesh = made.face, made.displaced
    points, crop = in_photo(face, made), replace(face.crop, size=size)
    points[:, :2] = crop.to_crop(points[:, :2])
    raster = rasterise(points, mesh.triangles, (size, size))
    mask = raster.mask
    assert mesh.uv is not None
    places = raster.interpolate(mesh.uv.astype(np.float64))[mask]
    pose = face.need_shape("a picture").pose[:, :3]
    turn = crop.rotate_normals_to_crop((pose / np.cbrt(np.linalg.det(pose))).T).T
    normals = np.zeros((size, size, 3), np.float32)
    normals[mask] = normalise(sample_texture(made.normals, places) @ turn.T)
    return normals, mask
