"""A face in three dimensions, from the position map of its crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from facerelief.geometry import position
from facerelief.geometry.completion import completed
from facerelief.types import BoolArray, Crop, Estimate, Face, FloatArray, Mesh

#: Shares of the face's vertices: fewer seen, or more covered, and much of the shape is a guess.
_FEW, _COVERED = 0.25, 0.4
_TURNED = 60.0  # degrees of yaw beyond which a photo shows one side alone
_SMALL = 48.0  # photo pixels of a crop's side
#: Of `sharpness`: of 21 photographs of seven sources the least sharp has 0.054; blurred by two
#: pixels of a crop of 119, or shrunk to a crop of 28 pixels, one of 0.091 has 0.02 and 0.03.
_BLURRED = 0.03


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
    return Reconstruction(
        mesh=Mesh(head[kept].astype(np.float32), part.triangles, uv=part.uv, scale="assumed"),
        visible=seen,
        landmarks=in_photo[mesh.landmarks].astype(np.float32),
        landmarks_visible=skin.visible[mesh.landmarks],
        pose=found.matrix,
        angles=found.angles,
        warnings=tuple(doubts(skin, found.angles)),
    )


def doubts(skin: position.Skin, angles: tuple[float, float, float]) -> Iterator[str]:
    """What is not to be relied on, for what the shape itself tells."""
    mesh = position.skin_mesh()
    outer = mesh.face & ~mesh.inner
    if skin.covered is not None:
        covered = skin.covered[outer].mean()
        if covered > _COVERED:
            yield f"{100 * covered:.0f} % of the face is covered: what lies under is a guess"
    if skin.visible[outer].mean() < _FEW:
        yield "little of the face is seen: most of its shape is a guess"
    if abs(angles[0]) > _TURNED:
        yield f"the face is turned away by {abs(angles[0]):.0f} degrees: its far side is a guess"


def doubts_of_picture(picture: NDArray[np.uint8], crop: Crop) -> Iterator[str]:
    """The same for what the crop's picture (256, 256, 3) tells."""
    if crop.side < _SMALL:
        yield f"the face is small, {crop.side:.0f} pixels: its shape is coarse"
    elif sharpness(picture) < _BLURRED:
        yield "the face is blurred: its shape is coarse"


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Contrast (standard deviation of brightness) finer than two pixels, over all of it."""
    grey = Image.fromarray(picture).convert("L")
    values, smooth = (np.asarray(p, np.float32) for p in (grey, grey.filter(GaussianBlur(2))))
    return float((values - smooth).std() / max(values.std(), 1))


def to_photo(points: FloatArray, crop: Crop) -> NDArray[np.float64]:
    """Crop pixel x, y and z (..., 3) to those of the photo."""
    return np.concatenate([crop.to_photo(points[..., :2]), points[..., 2:] * crop.scale], -1)


def from_positions(maps: NDArray[np.float32], seen: NDArray[np.float32] | None = None) -> Estimate:
    """What maps (N, S, S, 3) of crops of S pixels say. A map that is no face has an empty mask.

    `seen` is (N, S, S), as of `position.skin`.
    """
    skins = [
        position.skin(found, None if seen is None else seen[index])
        for index, found in enumerate(maps)
    ]
    return Estimate(
        normals=np.array([skin.normals for skin in skins], np.float32).reshape(maps.shape),
        mask=np.array([skin.mask for skin in skins], bool).reshape(maps.shape[:3]),
        position=maps,
        skins=tuple(skins),
    )


def with_shape(
    face: Face, found: NDArray[np.float32], skin: position.Skin, whole: bool = False
) -> Face:
    """`face` with what the map (S, S, 3) of its crop says; a warning alone if that is no face.

    Args:
        skin: `position.skin` of the map. whole: as of `reconstruct`.

    What lies beyond the photo's edge is not visible.
    """
    place, (height, width) = face.crop.to_photo(skin.points[:, :2]), face.photo_size
    inside = ((place > 0) & (place < (width, height))).all(axis=1)
    skin = replace(skin, visible=skin.visible & inside)
    if skin.problem is not None:
        return replace(face, position=found, skin=skin, warnings=(*face.warnings, skin.problem))
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
        warnings=tuple(dict.fromkeys((*face.warnings, *made.warnings))),
    )
