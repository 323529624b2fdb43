"""Detail and masks at the photo's size, on rendered heads that show both.

    facerelief synth -n 24 --seed 41 --size 768 --margin 1.2 --yaw 30 --pitch 15 --roll 10 \\
        --anywhere 0 -o runs/renderings/fine
    python benchmarks/fine.py runs/renderings/fine

The heads have wrinkles and pores, which the truth has too. Compared are the default's normals,
enlarged alone and with detail of the picture (`facerelief.fine`), and its masks: above a half as
the network says, without dust and pinholes, and along the picture's edges. An outline's error is
the mean distance to the other outline, both ways, in pixels of the 256 x 256 crop.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt
from tables import write

from facerelief import Place, load
from facerelief.fine import at_size, fine_surface
from facerelief.geometry.light import srgb_to_linear
from facerelief.geometry.matte import matte, parts_of, solid
from facerelief.geometry.normals import angular_error, normalise
from facerelief.geometry.shading_detail import shading_detail
from facerelief.samples.rendering import Rendering
from facerelief.samples.shards import ShardReader
from facerelief.types import Face, Surface

MARGIN = 1.2  # that the heads were drawn with
BLUR = 3.0  # crop pixels: of the truth, as the best that a network of 256 pixels could know


def middle(picture: NDArray[Any]) -> NDArray[Any]:
    """The crop of a rendering."""
    side = round(len(picture) / MARGIN)
    start = (len(picture) - side) // 2
    return picture[start : start + side, start : start + side]


def detail_of(head: Rendering, face: Face, picture: NDArray[np.uint8]) -> dict[str, float]:
    """Errors of a face, degrees, by its own normals and by the blurred truth."""
    from scipy.ndimage import gaussian_filter

    truth, mask = middle(head.normals), middle(head.mask)
    plain = fine_surface(face, picture, detail=False)
    began = time.process_time()
    fine = at_size(face, picture)
    seconds = time.process_time() - began
    where = mask & plain.mask
    scale = len(mask) / 256
    weight = gaussian_filter(mask.astype(np.float32), BLUR * scale)[..., None]
    layers = np.moveaxis(truth * mask[..., None], -1, 0)
    blurred = [gaussian_filter(layer.astype(np.float32), BLUR * scale) for layer in layers]
    known = normalise(np.stack(blurred, -1) / np.maximum(weight, 1e-3))
    linear = srgb_to_linear(picture / np.float32(255)).astype(np.float32)
    ideal = shading_detail(linear, known, mask, scale)

    def error(normals: NDArray[np.float32]) -> float:
        return float(angular_error(normals, truth)[where].mean())

    return {
        "enlarged": error(plain.normals),
        "with_detail": error(fine.normals),
        "blurred_truth": error(known),
        "blurred_truth_with_detail": error(ideal.normals),
        "seconds": seconds,
    }


def masks_of(head: Rendering, surface: Surface, picture: NDArray[np.uint8]) -> dict[str, Any]:
    truth = middle(head.mask)
    size, scale = len(truth), len(truth) / 256
    likely = surface.probability
    assert likely is not None

    def enlarged(layer: NDArray[Any]) -> NDArray[np.float32]:
        image = Image.fromarray(layer.astype(np.float32))
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))

    found = {
        "as_estimated": enlarged(likely) > 0.5,
        "solid": enlarged(solid(likely)) > 0.5,
        "matte": matte(enlarged(likely), picture / np.float32(255), scale)[1],
    }
    return {
        name: {
            "iou": float((mask & truth).sum() / (mask | truth).sum()),
            "outline": apart(mask, truth) / scale,
            "parts": len(parts_of(mask)[1]),
        }
        for name, mask in found.items()
    }


def apart(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Mean distance of two masks' outlines, pixels."""
    outlines = [mask & ~binary_erosion(mask) for mask in (a, b)]
    ways = zip(outlines, outlines[::-1], strict=True)
    return float(np.mean([distance_transform_edt(~x)[y].mean() for x, y in ways]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--system", default="default")
    given = parser.parse_args()
    estimator, heads = load(given.system), ShardReader(given.folder)
    details, masks = [], []
    for index in range(len(heads)):
        head = heads[index]
        picture = middle(head.photo)
        side = len(picture)
        place = Place.of_crop(side=side)
        (face,) = estimator.estimate(picture, [place])
        details.append(detail_of(head, face, picture))
        masks.append(masks_of(head, face.surface, picture))
    result = {
        "system": estimator.name,
        "heads": len(heads),
        "side": side,
        "detail": {key: float(np.mean([d[key] for d in details])) for key in details[0]},
        "better": float(np.mean([d["with_detail"] < d["enlarged"] for d in details])),
        "masks": {
            name: {key: float(np.mean([m[name][key] for m in masks])) for key in masks[0][name]}
            for name in masks[0]
        },
    }
    write("fine", result)


if __name__ == "__main__":
    main()
