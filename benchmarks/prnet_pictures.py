"""The documentation's pictures of PRNet: docs/pictures/prnet.jpg and prnet_pairs.jpg.

    FACERELIEF_DATA=... python benchmarks/prnet_pictures.py [--system prnet]

Of the portrait in the public domain and of rendered heads whose skins are CC0.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation
from specimens import PICTURES, SEED
from tables import ROOT

import facerelief as fr
from facerelief.apps.overlay import overlay
from facerelief.apps.swap import swap
from facerelief.apps.texture import unwrap
from facerelief.data.folders import data_root
from facerelief.geometry.normals import encode
from facerelief.geometry.raster import rasterise
from facerelief.render.renderer import render
from facerelief.sampling import bilinear
from facerelief.synth.assets import Assets
from facerelief.synth.draw import Heads, SynthOptions
from facerelief.synth.setting.camera import PoseRange

sys.path.insert(0, str(ROOT / "examples"))

SIDE = 224  # pixels of a picture
HEADS = (1, 4, 5)
Pictures = list[NDArray[np.uint8]]


def photos(count: int) -> Pictures:
    """The portrait, and rendered heads with room round them."""
    options = SynthOptions(lifted=False, margin=1.7, size=400, pose=PoseRange(60, 15, 10))
    heads = Heads(Assets.find(data_root()), options, SEED)
    made = [np.asarray(render(heads.scene(index)).photo) for index in HEADS[:count]]
    return [fr.load_photo(ROOT / "examples" / "astronaut.jpg"), *made]


def turned(face: fr.Face, texture: NDArray[np.uint8], yaw: float) -> NDArray[np.uint8]:
    """The whole head with its texture, seen from the side: (SIDE, SIDE, 3)."""
    mesh = face.whole().need_shape("picture").mesh
    turn = Rotation.from_euler("y", yaw, degrees=True)
    points = turn.apply(mesh.vertices) * (1, -1, 1) * (SIDE / 300) + (SIDE / 2, 0.45 * SIDE, 0)
    raster = rasterise(points, mesh.triangles, (SIDE, SIDE), cull_back_faces=True)
    places = (raster.interpolate(mesh.uv) * (1, -1) + (0, 1)) * len(texture)
    drawn = np.where(raster.mask[..., None], bilinear(texture, places), 255)
    return drawn.astype(np.uint8)


def shapes(photo: NDArray[np.uint8], estimator: fr.Estimator) -> Pictures:
    """Photo with the mesh, normals, texture, where it is from, and the head from the side."""
    face = estimator(photo, max_faces=1)[0]
    texture = unwrap(photo, face)
    normals = np.where(face.mask[..., None], encode(face.normals), 255).astype(np.uint8)
    source = np.repeat(texture.source[..., None], 3, axis=-1)
    return [
        overlay(photo, face, SIDE),
        resized(normals),
        resized(texture.colours),
        resized(source),
        turned(face, texture.colours, 55),
    ]


def pairs(a: NDArray[np.uint8], b: NDArray[np.uint8], estimator: fr.Estimator) -> list[Pictures]:
    """Both photos, B where A shows the same skin, both with the other's skin; a morph."""
    from morph import cut_out, morph

    faces = [estimator(photo, max_faces=1)[0] for photo in (a, b)]
    crops = [fr.Crop(f.crop.centre, 1.3 * f.crop.side, f.crop.angle, SIDE) for f in faces]
    plain = [crop.extract(photo) for crop, photo in zip(crops, (a, b), strict=True)]
    swapped = [
        crops[0].extract(swap(a, faces[0], b, faces[1])),
        crops[1].extract(swap(b, faces[1], a, faces[0])),
    ]
    first = [*plain, resized(fr.correspond(*faces).warp(b)), *swapped]
    cut = [cut_out(photo, face) for photo, face in zip((a, b), faces, strict=True)]
    second = [resized(morph(*cut, share)) for share in np.linspace(0, 1, 5)]
    return [first, second]


def resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def save(name: str, rows: list[Pictures]) -> None:
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Image.fromarray(sheet).save(PICTURES / f"{name}.jpg", quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--system", default="prnet")
    estimator = fr.load(parser.parse_args().system)
    shown = photos(3)
    save("prnet", [shapes(photo, estimator) for photo in shown])
    save("prnet_pairs", pairs(shown[0], shown[3], estimator))


if __name__ == "__main__":
    main()
