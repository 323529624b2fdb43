"""How far a mask's edge lies from jaws in photographs, whose outlines were checked by eye.

    FACERELIEF_DATA=... python benchmarks/outlines.py

outlines.csv names 40 photographs that no training of an open network saw, and between which of
FaceMesh's 21 points from ear to ear by the chin something other than skin (hair, clothes or
background) lies beside the face. FaceMesh's outline lies a few pixels within the face, so it is
corrected: along its normals each point moves to a strong edge of colour, neighbours alike (a
shortest path). All were looked at, without any mask. Distances are those of these points to the
mask's edge, in pixels of the 256 x 256 crop, above zero where the mask goes beyond the outline.
Writes results/outlines.json.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from tables import write

import facerelief as fr
from facerelief.crops import Crop
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.geometry.matte import parts_of
from facerelief.images import load_photo
from facerelief.types import Face

SYSTEMS = ("casfne_compact", "accurate")
NEAR, FAR = 3.0, 12.0  # pixels of the crop that an outline moves at most, in and out
STIFF = 1.0  # how much neighbours move alike
#: FaceMesh's outline from the left ear of the picture's right side to the other, by the chin.
JAW = [454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132,
       93, 234]  # fmt: skip


def checked() -> dict[str, list[tuple[int, int]]]:
    """Photograph -> first and last of the points that are in order."""
    with (Path(__file__).parent / "outlines.csv").open() as lines:
        return {
            row["photo"]: [tuple(map(int, part.split("-"))) for part in row["points"].split()]
            for row in csv.DictReader(lines)
        }  # type: ignore[misc]


def between(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) of a polyline, every half unit."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()
    at = np.arange(0, lengths[-1], 0.5)
    known = np.concatenate([[0.0], lengths])
    return np.stack([np.interp(at, known, points[:, i]) for i in (0, 1)], -1)


def corrected(line: NDArray[np.float64], crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Points (N, 2) of a line in a crop, moved along its normals to where colours change most."""
    along = np.gradient(line, axis=0)
    normal = np.stack([along[:, 1], -along[:, 0]], -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal *= np.sign(((line - 128) * normal).sum(1, keepdims=True))  # out of the face
    steps = np.arange(-NEAR, FAR + 0.5, 0.5)
    x, y = np.moveaxis(line[:, None] + steps[:, None] * normal[:, None], -1, 0) - 0.5
    smooth = [gaussian_filter(crop[..., c].astype(float), 1.0) for c in range(3)]
    colours = np.stack([map_coordinates(c, [y, x], order=1, mode="nearest") for c in smooth], -1)
    edges = np.linalg.norm(np.gradient(colours, axis=1), axis=-1)
    cost = -edges / edges.mean()
    turn = STIFF * (steps[:, None] - steps) ** 2
    total, came = cost[0], []
    for row in cost[1:]:
        ways = total + turn
        came.append(ways.argmin(1))
        total = ways.min(1) + row
    path = [int(total.argmin())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return line + steps[path[::-1]][:, None] * normal


def beyond(face: Face, jaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distances (N,) of the mask's edge from points (N, 2) of the crop, pixels."""
    inside = distance_transform_edt(face.mask) - 0.5
    outside = distance_transform_edt(~face.mask) - 0.5
    signed = np.where(face.mask, inside, -outside)
    x, y = jaw.T - 0.5  # pixel centres
    return map_coordinates(signed, [y, x], order=1, mode="nearest")


def outline(
    place: Crop,
    crop: NDArray[np.uint8],
    points: NDArray[np.float64],
    ranges: list[tuple[int, int]],
) -> list[NDArray[np.float64]]:
    """Pieces of a face's outline in its crop, of FaceMesh's points (478, 2) in the photo."""
    lines = [between(place.to_crop(points[JAW[a : b + 1]])) for a, b in ranges]
    return [corrected(line, crop) for line in lines]


def measured(system: str, root: Path) -> dict[str, Any]:
    estimator = fr.load(system, threads=1)
    paths, points = facemesh.stored_points(root)
    index = {path: i for i, path in enumerate(paths)}
    distances, parts, missed = [], [], 0
    for photo, ranges in checked().items():
        known = points[index[photo]][:, :2].astype(float)
        faces = estimator(root / "photos" / photo)
        middle = known.mean(0)
        inside = [f for f in faces if (np.abs(f.crop.to_crop(middle[None]) - 128) < 64).all()]
        if not inside:
            missed += 1
            continue
        face = min(inside, key=lambda f: np.linalg.norm(f.crop.to_crop(middle[None]) - 128))
        crop = face.crop.extract(load_photo(root / "photos" / photo))
        distances.append(beyond(face, np.concatenate(outline(face.crop, crop, known, ranges))))
        parts.append(len(parts_of(face.mask)[1]))
    means = [float(np.abs(one).mean()) for one in distances]
    every = np.concatenate(distances)
    return {
        "photos": len(means),
        "missed": missed,
        "apart": float(np.mean(means)),
        "error": float(np.std(means, ddof=1) / len(means) ** 0.5),
        "beyond": float(np.mean([one.mean() for one in distances])),
        "ninth": float(np.quantile(np.abs(every), 0.9)),
        "pieces": float(np.mean(parts)),
    }


def main() -> None:
    root = data_root()
    write("outlines", {name: measured(name, root) for name in SYSTEMS})


if __name__ == "__main__":
    main()
