"""Where a mesh that somebody has lies in a photo: by landmarks that are found on both.

On the mesh they are found in a picture of it, by the same networks that find them in the photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facerelief.arrays import FloatArray
from facerelief.geometry.camera import WeakPerspective, camera_space
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.raster import Raster, rasterise
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.mesh_reading import MeshError
from facerelief.mesh_writing import Asset
from facerelief.runtime import Estimator
from facerelief.types import Face, Mesh

#: Of the 68 landmarks, those that are places on the skin: not the line of the jaw, which is where
#: skin turns away.
INNER = slice(17, 68)
_SIZE = 384  # pixels of the picture of a mesh
_WORST = 0.08  # RMS distance of both landmarks over their extent, beyond which it is no such face
#: How meshes are turned before they look at the camera, degrees about x, y: as ours, z up, away.
_TURNS = ((0, 0), (-90, 0), (0, 180), (0, -90), (0, 90), (-90, 180))


@dataclass(frozen=True, eq=False)
class Placement:
    """A mesh in a photo."""

    pose: Similarity  # the mesh's space to photo pixels: x right, y up (minus the row), z nearer
    millimetre: float  # mm that the mesh's unit is, by the mean head's size
    off: float  # RMS distance of the landmarks over their extent; 0 where a file says the pose


def place(asset: Asset, face: Face, estimator: Estimator) -> Placement:
    """The placement of a mesh in the photo of `face`, by an estimator that makes shapes.

    Raises MeshError where no face is found on the mesh, or another one.
    """
    shown = face.landmarks
    if shown is None:
        raise MeshError("the photo's face has no landmarks")
    target = camera_space(shown[INNER].astype(float))
    extent = float(np.ptp(target[:, :2], axis=0).max())
    best: Placement | None = None
    for points in islice(_found(asset, estimator), 2):
        pose = Similarity.between(points[INNER], target)
        off = float(np.sqrt(((pose(points[INNER]) - target)[:, :2] ** 2).sum(1).mean())) / extent
        if best is None or off < best.off:
            best = Placement(pose, _millimetre(points), off)
        if best.off < _WORST / 2:
            break
    if best is None:
        raise MeshError("no face is found on the mesh; give --pose")
    if best.off > _WORST:
        raise MeshError(f"its face is not the photo's: landmarks are {best.off:.0%} off")
    return best


def placed_by(matrix: NDArray[np.float64], mesh: Mesh) -> Placement:
    """That of a 3 x 4 matrix as `_pose.json` has it. Raises MeshError for one that is none."""
    scale = float(np.cbrt(np.linalg.det(matrix[:, :3]))) if matrix.shape == (3, 4) else 0.0
    if not (np.isfinite(matrix).all() and scale > 0):
        raise MeshError("camera_from_model is no 3 x 4 matrix of a camera")
    rotation = matrix[:, :3] / scale
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 0.02:
        raise MeshError("camera_from_model is no similarity")
    return Placement(Similarity(scale, rotation, matrix[:, 3]), 1.0, 0.0)


def _millimetre(points: FloatArray) -> float:
    mesh = skin_mesh()
    return Similarity.between(points[INNER], mesh.mean[mesh.landmarks[INNER]]).scale


def _found(asset: Asset, estimator: Estimator) -> Iterator[FloatArray]:
    """(68, 3) landmarks on the mesh, in its space, for every turn of it that shows a face."""
    vertices = np.asarray(asset.mesh.vertices, np.float64)
    for turn in _TURNS:
        rotation = Rotation.from_euler("xy", turn, degrees=True).as_matrix()
        turned = vertices @ rotation.T
        low, high = turned.min(0), turned.max(0)
        margin = 0.15 * (high - low).max()
        camera = WeakPerspective.fit(low - margin, high + margin, (_SIZE, _SIZE))
        raster = rasterise(camera.project(turned), asset.mesh.triangles, (_SIZE, _SIZE))
        for face in estimator(_picture(asset, turned, raster), max_faces=1):
            if face.landmarks is not None:
                yield _on(face.landmarks, raster, camera) @ rotation


def _picture(asset: Asset, turned: FloatArray, raster: Raster) -> NDArray[np.uint8]:
    """The mesh in its colours, or in those of skin, lit from above the camera."""
    normals = vertex_normals(turned, asset.mesh.triangles)
    light = np.clip(normals @ np.array([0.1, 0.35, 0.93]), 0, 1)[:, None]
    colours = asset.vertex_colours
    skin = np.array([205, 160, 135.0]) * (0.25 + 0.75 * light)
    shown = raster.interpolate(skin if colours is None else colours * (0.5 + 0.5 * light), 128)
    return np.clip(shown, 0, 255).astype(np.uint8)


def _on(points: FloatArray, raster: Raster, camera: WeakPerspective) -> FloatArray:
    """Where the drawn surface is at pixels (68, 2+): at the nearest that shows it."""
    rows, columns = np.nonzero(raster.mask)
    off = (columns + 0.5 - points[:, :1]) ** 2 + (rows + 0.5 - points[:, 1:2]) ** 2
    nearest = off.argmin(axis=1)
    depth = raster.depth[rows[nearest], columns[nearest]]
    return camera.unproject(np.column_stack([points[:, :2].astype(float), depth]))
