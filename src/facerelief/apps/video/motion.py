"""The motion of one head in a film, as numbers, and as a glTF that plays it."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.encode import MARK
from facerelief.geometry import position
from facerelief.geometry.camera import Perspective
from facerelief.geometry.face_model import face_model
from facerelief.geometry.landmark_schemes import topology_mesh
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.glb import GlbFile, Motion
from facerelief.mesh_writing import Asset, put_into
from facerelief.types import Crop, Mesh, Shape

#: Below which a morph target leaves a vertex alone: mm, and of a unit normal.
_STILL, _LIKE = 2e-3, 4e-3
_NEAR = 0.01  # metres before which a glTF's camera sees nothing


@dataclass(frozen=True, eq=False)
class Track:
    """What a film tells of one head in T pictures."""

    times: NDArray[np.float64]  # (T,) seconds
    identity: NDArray[np.float32]  # (T, 80)
    expression: NDArray[np.float32]  # (T, 52)
    turns: NDArray[np.float64]  # (T, 4) unit quaternions x, y, z, w, head to film: see `told`
    origins: NDArray[np.float64]  # (T, 2) pixels of the film, of the head's origin
    sizes: NDArray[np.float64]  # (T,) logarithm of the film's pixels that a mm has there
    focals: NDArray[np.float64]  # (T,) pixels of the film, of the camera that a network assumed

    @property
    def person(self) -> NDArray[np.float32]:
        """(80,) the identity that all pictures agree on best: the median of each coefficient."""
        return np.median(self.identity, axis=0).astype(np.float32)

    def camera(self, size: tuple[int, int]) -> Perspective:
        """That of a film of (height, width): the median of the focal lengths, in the middle."""
        height, width = size
        return Perspective(float(np.median(self.focals)), (width / 2, height / 2))

    def poses(self, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Quaternions (T, 4) and translations (T, 3), mm, from the head to `camera`'s space."""
        from scipy.spatial.transform import Rotation

        camera = self.camera(size)
        depth = -camera.focal / np.exp(self.sizes)
        pixels = np.column_stack([self.origins, depth])
        places = np.asarray(camera.unproject(pixels), np.float64)
        # A network sees a head in the middle of its crop: turned, where the film's camera sees it
        # at the side.
        rays = places / np.linalg.norm(places, axis=1, keepdims=True)
        across = np.cross((0, 0, -1), rays)
        length = np.linalg.norm(across, axis=1, keepdims=True)
        angles = np.arctan2(length, -rays[:, 2:])
        towards = Rotation.from_rotvec(across * (angles / np.maximum(length, 1e-12)))
        turned = (towards * Rotation.from_quat(self.turns)).as_quat()
        return continuous(turned), places


def told(shape: Shape, crop: Crop) -> dict[str, NDArray[Any]]:
    """What one picture tells of a head with coefficients, by the names of `Track`'s fields.

    The turn is in the film's axes, as seen along the ray through the head. Raises ValueError for a
    shape that no coefficients made.
    """
    from scipy.spatial.transform import Rotation

    view, known = shape.view, shape.coefficients
    if view is None or known is None:
        raise ValueError("the face has no coefficients; systems such as full_pose give them")
    upright = Rotation.from_euler("z", crop.angle, degrees=True)
    x, y, _ = view.camera.project(view.translation)
    return {
        "identity": np.asarray(known["identity"], np.float32),
        "expression": np.asarray(known["expression"], np.float32),
        "turns": (upright * Rotation.from_matrix(view.rotation)).as_quat(),
        "origins": crop.to_photo((x, y)),
        "sizes": np.array(np.log(view.scale * crop.scale)),
        "focals": np.array(view.camera.focal * crop.scale),
    }


def continuous(quaternions: FloatArray) -> NDArray[np.float64]:
    """The same turns (T, 4) with signs so that none is far from the one before."""
    result = np.array(quaternions, np.float64)
    for index in range(1, len(result)):
        if result[index] @ result[index - 1] < 0:
            result[index] *= -1
    return result


def angles(turn: FloatArray) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of a quaternion, as `Similarity.angles`."""
    from scipy.spatial.transform import Rotation

    from facerelief.geometry.similarity import Similarity

    return Similarity(1.0, Rotation.from_quat(turn).as_matrix(), np.zeros(3)).angles


def base_mesh(identity: NDArray[np.float32]) -> Mesh:
    """The face of a person (80,) without an expression, in head space, mm."""
    part = topology_mesh("face")
    vertices = _face(face_model().vertices(identity))
    return Mesh(vertices, part.triangles, uv=part.uv, scale="assumed", topology="face")


def to_glb(track: Track, size: tuple[int, int], texture: NDArray[np.uint8] | None) -> bytes:
    """A head that moves as in a film of (height, width), before its camera. In metres.

    The morph targets are ARKit's, by name in `extras.targetNames`.
    """
    mesh = base_mesh(track.person)
    file = GlbFile()
    parts = put_into(file, Asset(mesh, texture))
    model = face_model()
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    targets = []
    for index in range(len(model.expression_names)):
        moved = _face(model.expression[index])
        turned = vertex_normals(mesh.vertices + moved, mesh.triangles) - normals
        targets.append(
            {
                "POSITION": file.sparse((moved * 1e-3).astype(np.float32), _STILL * 1e-3),
                "NORMAL": file.sparse(turned.astype(np.float32), _LIKE),
            }
        )
    turns, places = track.poses(size)
    height, width = size
    motion = Motion(
        targets,
        list(model.expression_names),
        file.keys(track.times.astype(np.float32), bounds=True),
        file.keys(np.ascontiguousarray(track.expression, np.float32).ravel()),
        file.keys(turns.astype(np.float32)),
        file.keys((places * 1e-3).astype(np.float32)),
        {
            "type": "perspective",
            "perspective": {
                "aspectRatio": width / height,
                "yfov": 2 * atan(height / 2 / track.camera(size).focal),
                "znear": _NEAR,
            },
        },
    )
    return file.finished(*parts, MARK["Software"], motion)


def _face(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vertices or differences (V, 3) of the model as those of the mesh."""
    kept = topology_mesh("face").kept
    return position.spread(vertices)[skin_mesh().source][kept].astype(np.float32)
