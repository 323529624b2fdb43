"""Dense alignment of two photographed faces: where each place of the skin is in both.

Position maps of all faces share their layout (PRNet, Feng et al. 2018, section 3.1): two of them
are a correspondence of two photos, hidden skin included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry import position
from facerelief.geometry.raster import rasterise
from facerelief.images import bilinear
from facerelief.types import BoolArray, Face, FloatArray


@dataclass(frozen=True, eq=False)
class Correspondence:
    """The skin of two faces, vertex by vertex, and the way from one photo to the other.

    Photo pixels are x right, y down, the first pixel's centre at (0.5, 0.5).
    """

    points_a: NDArray[np.float32]  # (M, 2) photo pixels of vertices from hairline to chin
    points_b: NDArray[np.float32]  # (M, 2) of the same vertices
    visible_a: BoolArray  # (M,) seen in the photo
    visible_b: BoolArray  # (M,)
    uv: NDArray[np.float32]  # (M, 2) their places in the layout of the built-in head, v upwards
    flow: NDArray[np.float32]  # (256, 256, 2) photo pixel of B at A's crop pixels, NaN off the face
    mask: BoolArray  # (256, 256) of A's crop: the face, where B's photo shows it too

    @property
    def visible(self) -> BoolArray:
        """(M,) seen in both photos."""
        return self.visible_a & self.visible_b

    def warp(self, photo_b: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Photo B (H, W, 3) as A's crop would show it: (256, 256, 3), black off the `mask`."""
        warped = bilinear(photo_b, np.nan_to_num(self.flow))
        return np.where(self.mask[..., None], np.round(warped), 0).astype(np.uint8)


def correspond(face_a: Face, face_b: Face) -> Correspondence:
    """Where the skin of one face is in the photo of the other.

    Raises:
        ValueError: a face without a position map that is a face: its system makes none, or
            `warnings` say what is wrong with it.
    """
    skin = position.skin_mesh()
    kept = skin.face_mesh.kept
    assert kept is not None
    (points_a, seen_a), (points_b, seen_b) = (_points(face) for face in (face_a, face_b))
    in_a, in_b = (
        face.crop.to_photo(points[:, :2]).astype(np.float32)
        for face, points in ((face_a, points_a), (face_b, points_b))
    )
    size = face_a.crop.size
    raster = rasterise(points_a, skin.triangles, (size, size), cull_back_faces=True)
    shows_face = raster.mask & skin.face_triangles[raster.triangle]
    drawn = raster.interpolate(np.column_stack([in_b, seen_b.astype(np.float32)]))
    return Correspondence(
        points_a=in_a[kept],
        points_b=in_b[kept],
        visible_a=seen_a[kept],
        visible_b=seen_b[kept],
        uv=skin.uv[kept],
        flow=np.where(shows_face[..., None], drawn[..., :2], np.nan).astype(np.float32),
        mask=shows_face & (drawn[..., 2] > 0.5),
    )


def _points(face: Face) -> tuple[FloatArray, BoolArray]:
    """Points (M, 3) of `position.skin_mesh` in the crop, and which of them are seen."""
    if face.position is None:
        raise ValueError("correspondence needs a system that makes position maps, such as prnet")
    points = position.read(face.position)
    reason = position.problem(points, len(face.position))
    if reason is not None:
        raise ValueError(reason)
    return points, position.view(points, len(face.position)).visible
