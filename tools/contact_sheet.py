"""A sheet of photos with their 68 landmarks and the lines of the UV layout, to be looked at.

    FACERELIEF_DATA=... python tools/contact_sheet.py -o sheets/prnet.jpg [--system prnet] [-n 40]

Photographs that no training saw, from every source in turn. Seen landmarks are green, hidden ones
red; lines are at every 24th of the layout. Photographs are not ours to publish: `sheets/` is
ignored by Git.
"""

from __future__ import annotations

import argparse
import hashlib
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import facerelief as fr
from facerelief.data.folders import data_root
from facerelief.data.photos import held_out_paths
from facerelief.geometry import position
from facerelief.geometry.raster import rasterise
from facerelief.types import Crop, Face

SIDE = 320  # pixels of a picture
LINES = 24  # of the layout, a side
COLUMNS = 8


def varied(root: Path) -> list[str]:
    """Photos that are held out, one source after the other, in an order that is always the same."""
    paths = sorted(held_out_paths(root), key=lambda p: hashlib.sha256(p.encode()).digest())
    sources: dict[str, list[str]] = {}
    for path in paths:
        sources.setdefault(path.split("/")[0], []).append(path)
    return [path for path in chain(*zip_longest(*sources.values())) if path is not None]


def drawn(photo: np.ndarray, face: Face) -> Image.Image:
    """(SIDE, SIDE) the face with margin."""
    wide = Crop(face.crop.centre, 1.3 * face.crop.side, face.crop.angle, SIDE)
    picture = wide.extract(photo).astype(float)
    if face.skin is None or face.landmarks is None or face.landmarks_visible is None:
        return Image.fromarray(picture.astype(np.uint8))
    points = wide.to_crop(face.crop.to_photo(face.skin.points[:, :2]))
    mesh = position.skin_mesh()
    raster = rasterise(
        np.column_stack([points, face.skin.points[:, 2]]),
        mesh.triangles,
        (SIDE, SIDE),
        cull_back_faces=True,
    )
    shown = raster.mask & mesh.face_triangles[raster.triangle]
    cells = np.floor(raster.interpolate(mesh.uv) * LINES)
    line = np.zeros((SIDE, SIDE), bool)
    for axis in (0, 1):
        step = np.any(np.diff(cells, axis=axis) != 0, axis=-1)
        line[: -1 if axis == 0 else None, : -1 if axis == 1 else None] |= step
    line &= shown
    picture[line] = 0.5 * picture[line] + 0.5 * np.array([90, 200, 255])
    image = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    marks = wide.to_crop(face.landmarks[:, :2])
    for (x, y), seen in zip(marks, face.landmarks_visible, strict=True):
        colour = (60, 255, 60) if seen else (255, 60, 60)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--system", default="prnet")
    parser.add_argument("-n", "--number", type=int, default=40)
    options = parser.parse_args()
    estimator, root = fr.load(options.system), data_root() / "photos"
    pictures = []
    for path in varied(data_root()):
        photo = fr.load_photo(root / path)
        faces = estimator(photo, max_faces=1)
        if faces:
            pictures.append(drawn(photo, faces[0]))
        if len(pictures) == options.number:
            break
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % COLUMNS * SIDE, index // COLUMNS * SIDE))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out, quality=90)
    print(f"{len(pictures)} faces in {options.out}")


if __name__ == "__main__":
    main()
