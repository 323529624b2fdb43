"""A face as a position map sees it, drawn into its photo: landmarks and the lines of the layout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facerelief.geometry.skin import drawn
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import Pixels
from facerelief.types import Crop, Face

_LINES = 24  # of the layout, a side
_LINE, _SEEN, _HIDDEN = (90, 200, 255), (60, 255, 60), (255, 60, 60)
_MARGIN = 1.3  # of the picture, over the face's crop


def overlay(photo: Pixels, face: Face, size: int = 512) -> NDArray[np.uint8]:
    """(size, size, 3) the face with margin; seen landmarks are green, hidden ones red.

    A face without a shape is shown as it is.
    """
    wide = Crop(face.crop.centre, _MARGIN * face.crop.side, face.crop.angle, size)
    picture = wide.extract(photo)
    shape = face.sound
    if shape is None:
        return picture
    points = wide.to_crop(face.crop.to_photo(shape.skin.points[:, :2]))
    lines = _lines(np.column_stack([points, shape.skin.points[:, 2]]), size)
    picture[lines] = (picture[lines] // 2 + np.array(_LINE) // 2).astype(np.uint8)
    image = Image.fromarray(picture)
    draw, radius = ImageDraw.Draw(image), max(size / 180, 1.5)
    marks = wide.to_crop(shape.landmarks[:, :2])
    for (x, y), seen in zip(marks, shape.landmarks_visible, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=_SEEN if seen else _HIDDEN)
    return np.asarray(image)


def _lines(points: NDArray[np.floating], size: int) -> NDArray[np.bool_]:
    """(size, size) where a cell of the layout ends, on the face of points (M, 3)."""
    raster, shows_face = drawn(points, size)
    cells = np.floor(raster.interpolate(skin_mesh().uv) * _LINES)
    edges = np.zeros((size, size), bool)
    edges[:-1] |= (np.diff(cells, axis=0) != 0).any(axis=-1)
    edges[:, :-1] |= (np.diff(cells, axis=1) != 0).any(axis=-1)
    return edges & shows_face
