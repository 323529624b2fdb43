"""Points of a photographed face that other faces have too: landmarks, and all of the skin.

Position maps of all faces share their layout (PRNet, Feng et al. 2018, section 3.1): two of them
are a correspondence of two photos, hidden skin included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray
from facerelief.geometry.landmark_schemes import scheme as landmark_scheme
from facerelief.geometry.skin import drawn
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.reconstruction import to_photo
from facerelief.sampling import bilinear
from facerelief.types import Face


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
        ValueError: a face without a shape that is a face: its system makes none, or `warnings`
            say what is wrong with it.
    """
    mesh = skin_mesh()
    kept = mesh.face_mesh.kept
    skin_a, skin_b = (face.need_shape("correspondence").skin for face in (face_a, face_b))
    in_a, in_b = (
        face.crop.to_photo(skin.points[:, :2]).astype(np.float32)
        for face, skin in ((face_a, skin_a), (face_b, skin_b))
    )
    raster, shows_face = drawn(skin_a.points, face_a.crop.size)
    there = raster.interpolate(np.column_stack([in_b, skin_b.visible.astype(np.float32)]))
    return Correspondence(
        points_a=in_a[kept],
        points_b=in_b[kept],
        visible_a=skin_a.visible[kept],
        visible_b=skin_b.visible[kept],
        uv=mesh.uv[kept],
        flow=np.where(shows_face[..., None], there[..., :2], np.nan).astype(np.float32),
        mask=shows_face & (there[..., 2] > 0.5),
    )


def landmarks(face: Face, scheme: str = "ibug68") -> tuple[NDArray[np.float32], BoolArray]:
    """The points (N, 3) of a scheme on a face, and which (N,) are seen.

    Photo pixels x, y (down) and z (nearer is larger). Hidden points are where the shape says that
    they are. Irises lie in the middle between the lids, wherever the eyes look.

    Raises:
        ValueError: an unknown scheme; a face without a shape that is a face.
    """
    anchors = landmark_scheme(scheme, "skin")
    skin = face.need_shape("landmarks").skin
    points = to_photo(anchors.of(skin.points), face.crop).astype(np.float32)
    corners = skin.visible[anchors.vertices] | (anchors.weights < 0.05)
    return points, np.all(corners, axis=1)
