"""A face in three dimensions, from the position map of its crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry import position
from facerelief.geometry.completion import completed
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


def reconstruct(skin: position.Skin, crop: Crop, whole: bool) -> Reconstruction:
    """The face of a crop's skin.

    Args:
        whole: the head with a neck and a scalp that fit the face, and not the face alone.
    """
    mesh = position.skin_mesh()
    in_photo = to_photo(skin.points, crop)
    found = position.pose(in_photo)
    straight = (position.camera_space(in_photo) - found.translation) @ found.rotation / found.scale
    head = completed(straight) if whole else straight
    part = mesh if whole else mesh.face_mesh
    kept = slice(None) if part.kept is None else part.kept
    seen = skin.visible[kept]
    outer = part.face & ~part.inner
    warnings = []
    if seen[outer].mean() < _FEW:
        warnings.append("little of the face is seen: most of its shape is a guess")
    return Reconstruction(
        mesh=Mesh(head[kept].astype(np.float32), part.triangles, uv=part.uv, scale="assumed"),
        visible=seen,
        landmarks=in_photo[mesh.landmarks].astype(np.float32),
        landmarks_visible=skin.visible[mesh.landmarks],
        pose=found.matrix,
        angles=found.angles,
        warnings=tuple(warnings),
    )


def to_photo(points: FloatArray, crop: Crop) -> NDArray[np.float64]:
    """Crop pixel x, y and z (..., 3) to those of the photo."""
    return np.concatenate([crop.to_photo(points[..., :2]), points[..., 2:] * crop.scale], -1)


def from_positions(maps: NDArray[np.float32]) -> Estimate:
    """What maps (N, S, S, 3) of crops of S pixels say. A map that is no face has an empty mask."""
    skins = [position.skin(found) for found in maps]
    return Estimate(
        normals=np.stack([skin.normals for skin in skins]),
        mask=np.stack([skin.mask for skin in skins]),
        position=maps,
        skins=tuple(skins),
    )


def with_shape(
    face: Face, found: NDArray[np.float32], skin: position.Skin, whole: bool = False
) -> Face:
    """`face` with what the map (S, S, 3) of its crop says; a warning alone if that is no face.

    Args:
        skin: `position.skin` of the map. whole: as of `reconstruct`.
    """
    if skin.problem is not None:
        return replace(face, position=found, skin=skin, warnings=(skin.problem,))
    made = reconstruct(skin, face.crop, whole)
    return replace(
        face,
        mesh=made.mesh,
        visible=made.visible,
        landmarks=made.landmarks,
        landmarks_visible=made.landmarks_visible,
        pose=made.pose,
        angles=made.angles,
        depth=skin.depth,
        position=found,
        skin=skin,
        warnings=made.warnings,
    )
