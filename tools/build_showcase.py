"""The picture at the head of the README, of the example photo and what ships with the package.

    python tools/build_showcase.py -o docs/pictures/showcase.png

Above the photo as it is and under three lights, which the balls show; below its normals, the error
that is expected of them, and its mesh without and with the relief of `--detail fused`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import facerelief as fr
from facerelief.apps.products import Photo
from facerelief.apps.view.photo import Seen
from facerelief.apps.view.scene import relightable, window_round
from facerelief.detail import DETAILS
from facerelief.detailed import DetailedFace
from facerelief.geometry.light import Light, direction, linear_to_srgb, shade
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import encode, normalise
from facerelief.geometry.raster import rasterise
from facerelief.pictures import colour_error
from facerelief.relighting import Relighting
from facerelief.types import Mesh

PHOTO = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
TILE, GAP = 288, 6  # pixels
BACK = (20, 22, 25)
SHOWN = 1.5  # of the face's crop: the side of a tile
LAMPS = ((55, 18), (-6, 52), (-52, 14))  # azimuth and elevation, degrees
CLAY = np.array([0.66, 0.62, 0.58])
TURN, RAKING = -22.0, direction(40, 34)  # degrees of the meshes about the vertical; their light


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    photo = Photo(fr.load_photo(PHOTO), PHOTO.stem, PHOTO.name)
    top, bottom = tiles(photo, options.threads)
    step = TILE + GAP
    sheet = Image.new("RGB", (4 * step - GAP, 2 * step - GAP), BACK)
    for row, pictures in enumerate((top, bottom)):
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (column * step, row * step))
    sheet.save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


def tiles(photo: Photo, threads: int | None) -> tuple[list[NDArray[np.uint8]], ...]:
    """Twice four tiles (TILE, TILE, 3)."""
    estimator, shapes = (fr.load(name, threads=threads) for name in ("default", "full_pose"))
    faces = estimator(photo.pixels, max_faces=1)
    (seen,) = Seen.by(estimator, photo, faces)
    window = window_round(faces[0].crop, faces[0].photo_size)
    window = replace(window, side=SHOWN * faces[0].crop.side, size=2 * TILE)
    layers = seen.layers(photo, window)
    picture = window.extract(photo.pixels)
    shown = relightable(picture, layers)
    prepared = Relighting.of(photo.pixels, faces[0], seen.around)
    lit = []
    for lamp in LAMPS:
        whole = np.array(photo.pixels)
        whole[prepared.window] = prepared.under(Light.from_angles(*lamp))
        lit.append(_marked(_small(window.extract(whole)), lamp))
    assert layers.error is not None
    grey = (0.45 * picture.mean(-1, keepdims=True)).repeat(3, -1)
    alpha = layers.alpha[..., None]
    maps = [
        (alpha * colours + (1 - alpha) * grey).astype(np.uint8)
        for colours in (encode(shown.normals), colour_error(layers.error))
    ]
    (face,) = shapes.estimate(photo.pixels, [faces[0].place])
    detailed = DetailedFace(face, DETAILS["fused"](1024, threads)(face, photo.pixels))
    meshes = [clay(mesh) for mesh in (detailed.mesh, detailed.displaced)]
    return [_small(picture), *lit], [*map(_small, maps), *meshes]


def clay(mesh: Mesh, fold: int = 3) -> NDArray[np.uint8]:
    """(TILE, TILE, 3) a mesh in clay, turned, lit from the side; `fold` samples across a pixel."""
    c, s = np.cos(np.radians(TURN)), np.sin(np.radians(TURN))
    turned = np.asarray(mesh.vertices, np.float64) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    normals = vertex_normals(turned, mesh.triangles)
    size = fold * TILE
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = 0.95 * size / (high - low)[:2].max()
    points = (turned - (low + high) / 2) * (scale, -scale, scale) + (size / 2, size / 2, 0)
    raster = rasterise(points, mesh.triangles, (size, size))
    seen = normalise(raster.interpolate(normals))
    light = 0.16 * (0.8 + 0.2 * seen[..., 1]) + 1.05 * shade(seen, RAKING)
    glint = shade(seen, normalise(RAKING + np.array([0, 0, 1]))) ** 24
    values = light[..., None] * CLAY + 0.05 * glint[..., None]
    colours = np.where(raster.mask[..., None], 255 * linear_to_srgb(np.clip(values, 0, 1)), BACK)
    return _small(colours.astype(np.uint8))


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS))


def _marked(pixels: NDArray[np.uint8], lamp: tuple[float, float]) -> NDArray[np.uint8]:
    """With a small ball in the corner, lit as the face is."""
    size, fold = 34, 4
    at = (np.arange(size * fold) + 0.5) / (size * fold) * 2 - 1
    x, y = np.meshgrid(at, -at)
    inside = x**2 + y**2 < 1
    normals = np.dstack([x, y, np.sqrt(np.clip(1 - x**2 - y**2, 0, None))])
    light = 0.08 + 0.9 * shade(normals, direction(*lamp))
    ball = (255 * linear_to_srgb(np.clip(light, 0, 1))).astype(np.uint8)
    image = Image.fromarray(pixels)
    mask, small = (
        Image.fromarray(values).resize((size, size), Image.Resampling.BOX)
        for values in ((255 * inside).astype(np.uint8), ball)
    )
    corner = (TILE - size - 8, TILE - size - 8)
    ImageDraw.Draw(image).ellipse([c - 2 + d for d in (0, size + 3) for c in corner], fill=BACK)
    image.paste(small.convert("RGB"), corner, mask)
    return np.asarray(image)


if __name__ == "__main__":
    main()
