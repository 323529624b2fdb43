"""A face in three dimensions, from the position map of its crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry import position
from facerelief.types import BoolArray, Crop, Estimate, Face, FloatArray, Mesh

#: Share of the face's vertices that must be seen: less, and most of the shape is a guess.
_FEW = 0.25


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a position map says, in the photo. The mesh is in the head's own space.

    That of the mean head: x to the subject's left, y up, z out of the face, millimetres by the mean
    head's size. `pose` takes its vertices to the photo: (x, -y) of camera points are photo pixels,
    and their z is in the same scale, nearer is larger.
    """

    mesh: Mesh  # the face, from hairline to chin; or the head with neck and scalp, bald
    visible: BoolArray  # (V,) of its vertices: in the photo, turned to it, hidden by no other
    landmarks: NDArray[np.float32]  # (68, 3) photo pixels x, y (down) and z
    landmarks_visible: BoolArray  # (68,)
    pose: NDArray[np.float64]  # (3, 4) camera from model
    angles: tuple[float, float, float]  # yaw, pitch, roll, degrees: `geometry.position.Pose.angles`
    warnings: tuple[str, ...]  # what is not to be relied on


def reconstruct(points: FloatArray, crop: Crop, visible: BoolArray, whole: bool) -> Reconstruction:
    """The face of points (M, 3) of a crop, as `geometry.position.read` gives them.

    Args:
        visible: (M,) as `geometry.position.view` has it.
        whole: the head with neck and scalp and not the face alone.
    """
    skin = position.skin_mesh()
    in_photo = np.column_stack([crop.to_photo(points[:, :2]), points[:, 2] * crop.scale])
    found = position.pose(in_photo)
    head = (position.camera_space(in_photo) - found.translation) @ found.rotation / found.scale
    part = skin if whole else skin.face_mesh
    kept = slice(None) if part.kept is None else part.kept
    seen = visible[kept]
    outer = part.face & ~part.inner
    warnings = []
    if seen[outer].mean() < _FEW:
        warnings.append("little of the face is seen: most of its shape is a guess")
    return Reconstruction(
        mesh=Mesh(head[kept].astype(np.float32), part.triangles, uv=part.uv, scale="assumed"),
        visible=seen,
        landmarks=in_photo[skin.landmarks].astype(np.float32),
        landmarks_visible=visible[skin.landmarks],
        pose=found.matrix,
        angles=found.angles,
        warnings=tuple(warnings),
    )


def from_positions(maps: NDArray[np.float32]) -> Estimate:
    """Normals and masks of the faces that maps (N, S, S, 3) of crops of S pixels describe.

    A map that describes none has an empty mask.
    """
    size = maps.shape[1]
    normals, masks = np.zeros_like(maps), np.zeros(maps.shape[:3], np.bool_)
    for index, found in enumerate(maps):
        points = position.read(found)
        if position.problem(points, size) is None:
            seen = position.view(points, size)
            normals[index], masks[index] = seen.normals, seen.mask
    return Estimate(normals, masks, position=maps)


def with_shape(face: Face, found: NDArray[np.float32], whole: bool = False) -> Face:
    """`face` with what the map (S, S, 3) of its crop says; a warning alone if that is no face."""
    points = position.read(found)
    reason = position.problem(points, len(found))
    if reason is not None:
        return replace(face, position=found, warnings=(reason,))
    made = reconstruct(points, face.crop, position.view(points, len(found)).visible, whole)
    return replace(
        face,
        mesh=made.mesh,
        visible=made.visible,
        landmarks=made.landmarks,
        landmarks_visible=made.landmarks_visible,
        pose=made.pose,
        angles=made.angles,
        position=found,
        warnings=made.warnings,
    )
