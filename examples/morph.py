"""From one face to another in steps, with what lies round them: correspondence does the work.

    python examples/morph.py me.jpg you.jpg -o morph.png [--steps 5]

Both faces are cut out, the 468 points of FaceMesh's scheme are read from their position maps, and
both pictures are warped to the points between them and mixed.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image
from scipy.interpolate import LinearNDInterpolator

import facerelief as fr
from facerelief.sampling import bilinear

MARGIN = 1.6  # of the pictures, over the faces' crops
SIZE = 384  # pixels


def cut_out(photo: np.ndarray, face: fr.Face) -> tuple[np.ndarray, np.ndarray]:
    """A face of a photo with what is round it (SIZE, SIZE, 3), and its points (N, 2) in it."""
    crop = fr.Crop(face.crop.centre, MARGIN * face.crop.side, face.crop.angle, SIZE)
    points, _ = fr.landmarks(face, "facemesh468")
    # The picture's edge stays where it is.
    edge = np.linspace(0, SIZE, 9)
    frame = [(x, y) for x in edge for y in edge if x in (0, SIZE) or y in (0, SIZE)]
    return crop.extract(photo), np.concatenate([crop.to_crop(points[:, :2]), frame])


def warped(picture: np.ndarray, points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The picture with its points moved to others, linear in the triangles between them."""
    centres = np.stack(np.meshgrid(*[np.arange(SIZE) + 0.5] * 2), axis=-1)
    return bilinear(picture, LinearNDInterpolator(to, points)(centres))


def morph(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], share: float
) -> np.ndarray:
    """What is `share` of the way from `a` to `b`: (SIZE, SIZE, 3)."""
    between = (1 - share) * a[1] + share * b[1]
    mixed = (1 - share) * warped(*a, between) + share * warped(*b, between)
    return np.round(mixed).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", nargs=2)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    estimator = fr.load("prnet")
    photos = [fr.load_photo(path) for path in options.photos]
    a, b = (cut_out(photo, estimator(photo, max_faces=1)[0]) for photo in photos)
    steps = [morph(a, b, share) for share in np.linspace(0, 1, options.steps)]
    Image.fromarray(np.concatenate(steps, axis=1)).save(options.out)


if __name__ == "__main__":
    main()
