"""How far crops made from detections lie from crops made from landmarks; `--fit` makes the mapping.

    FACERELIEF_DATA=... python benchmarks/crop_accuracy.py [--fit] [--limit N]

Truth: the 68 annotated landmarks of `youtube`; elsewhere the 68 points of FaceMesh's 478 that lie
at their places. FaceMesh puts the jaw a little further in: its crop is grown and moved by what
the `youtube` people of the training split ask for, who have both. A quarter of the photos
(`youtube`: the people of its test split) is held out of every fit; the tables are of it alone.

Errors are in crop sides: the distance of the centres over the true side, and side / true side - 1.
`python benchmarks/tables.py` makes the table again without measuring.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.optimize import least_squares
from tables import write

from facerelief.data import facemesh
from facerelief.detect import Detector
from facerelief.detections import (
    CROP_SIDE,
    CROP_X,
    CROP_Y,
    Detection,
    crop_features,
    crop_from_detection,
    roll,
)
from facerelief.images import load_photo
from facerelief.types import Crop

# Landmark crop over FaceMesh crop, and its shift downwards in FaceMesh crop sides (from --fit).
MESH_SCALE, MESH_SHIFT = 1.046, 0.012
YAWS = (0, 15, 30, 45, 90)
ROLLS = (0, 10, 20, 30, 60, 90, 135, 180)


@dataclass(frozen=True, eq=False)
class Truth:
    """A photo's main face. `points` (68, 2) photo pixels, annotated or of the mesh."""

    path: str
    points: np.ndarray
    mesh_points: np.ndarray  # (68, 2) of the mesh, always
    annotated: bool
    yaw: float  # degrees
    held_out: bool

    @property
    def source(self) -> str:
        return self.path.partition("/")[0]

    @property
    def roll(self) -> float:
        """Degrees, from the mesh's eyes, nose and mouth corners."""
        eyes = [self.mesh_points[36:42].mean(axis=0), self.mesh_points[42:48].mean(axis=0)]
        return roll(np.stack([*eyes, *self.mesh_points[[30, 48, 54]]]))


def read_truth(photos: Path) -> list[Truth]:
    """Every photo that has FaceMesh points, in the file's order."""
    mesh = np.load(photos / "facemesh478.npz")
    annotated = np.load(photos / "landmarks.npz")
    test = set(json.loads((photos / "landmark_splits.json").read_text())["test"])
    truths = []
    for path, points in zip(map(str, mesh["paths"]), mesh["points"].astype(float), strict=True):
        known = path.startswith("youtube/")
        places = points[list(facemesh.TO_68), :2]
        across = points[454] - points[234]  # between the ears; smaller z is nearer
        held_out = path in test if known else zlib.crc32(path.encode()) % 4 == 0
        yaw = float(np.degrees(np.arctan2(across[2], across[0])))
        marks = annotated[path].astype(float) if known else places
        truths.append(Truth(path, marks, places, known, yaw, held_out))
    return truths


def true_crop(truth: Truth, angle: float = 0.0) -> Crop:
    """The landmark crop whose axes are turned by `angle`."""
    origin = truth.points.mean(axis=0)
    frame = Crop((float(origin[0]), float(origin[1])), 1.0, angle, size=1)
    crop = Crop.from_landmarks(frame.to_crop(truth.points))
    scale, shift = (1.0, 0.0) if truth.annotated else (MESH_SCALE, MESH_SHIFT)
    centre = frame.to_photo((crop.centre[0], crop.centre[1] + shift * crop.side))
    return Crop((float(centre[0]), float(centre[1])), scale * crop.side, angle)


def main_face(detections: list[Detection], truth: Truth) -> Detection | None:
    """The detection whose crop lies nearest to the true one, if less than half a side away."""
    crop = true_crop(truth)
    near = [
        (np.hypot(*np.subtract(face.centre, crop.centre)) / crop.side, index)
        for index, face in enumerate(detections)
    ]
    distance, index = min(near, default=(np.inf, -1))
    return detections[index] if distance < 0.5 else None


@dataclass(frozen=True)
class Error:
    """Of one face: the tables' row material."""

    source: str
    yaw: float
    roll: float
    centre: float  # crop sides
    scale: float
    angle: float  # degrees between the face as it stands in the crop and upright


def error(truth: Truth, face: Detection) -> Error:
    crop = crop_from_detection(face)
    expected = true_crop(truth, crop.angle)
    distance = np.hypot(*np.subtract(crop.centre, expected.centre)) / expected.side
    residual = (truth.roll - crop.angle + 180) % 360 - 180
    scale = crop.side / expected.side - 1
    return Error(truth.source, truth.yaw, truth.roll, float(distance), scale, residual)


def summary(errors: list[Error]) -> dict[str, float]:
    """Medians and 90th percentiles of absolute errors, and the scale's bias."""
    centre, scale, angle = (
        np.array([getattr(e, name) for e in errors]) for name in ("centre", "scale", "angle")
    )
    return {
        "faces": len(errors),
        "centre_median": float(np.median(centre)),
        "centre_p90": float(np.quantile(centre, 0.9)),
        "scale_median": float(np.median(np.abs(scale))),
        "scale_p90": float(np.quantile(np.abs(scale), 0.9)),
        "scale_bias": float(np.median(scale)),
        "tilt_median": float(np.median(np.abs(angle))),
        "on_wrong_side": float(np.mean(np.abs(angle) > 45)),
    }


def by_range(errors: list[Error], field: str, edges: tuple[int, ...]) -> dict[str, Any]:
    """`summary` of the errors between neighbouring `edges` of the field's absolute value."""
    table = {}
    for low, high in pairwise(edges):
        chosen = [e for e in errors if low <= abs(getattr(e, field)) < high]
        if chosen:
            table[f"{low}-{high}"] = summary(chosen)
    return table


def turned(truth: Truth, photo: np.ndarray, angle: float) -> tuple[Truth, np.ndarray]:
    """The photo turned counter-clockwise about its main face, at least 320 pixels wide."""
    crop = true_crop(truth)
    frame = Crop(crop.centre, 3 * crop.side, -angle, size=384)
    points, mesh_points = frame.to_crop(truth.points), frame.to_crop(truth.mesh_points)
    moved = Truth(truth.path, points, mesh_points, truth.annotated, truth.yaw, truth.held_out)
    return moved, frame.extract(photo)


def fit(rows: list[tuple[Truth, Detection]]) -> dict[str, list[float]]:
    """CROP_X, CROP_Y, CROP_SIDE: least squares with a soft L1 loss, sources weighing the same."""
    sources = [truth.source for truth, _ in rows]
    weights = np.array([1 / sources.count(source) for source in sources])
    weights /= weights.mean()
    features: dict[str, list[np.ndarray]] = {"CROP_X": [], "CROP_Y": [], "CROP_SIDE": []}
    targets: dict[str, list[float]] = {name: [] for name in features}
    for truth, face in rows:
        crop = true_crop(truth, face.angle)
        frame = Crop(face.centre, crop.side, face.angle, size=1)  # errors in crop sides
        x, y = frame.to_crop(crop.centre) - 0.5
        for name, row, target in zip(features, crop_features(face), (x, y, 1.0), strict=True):
            features[name].append(row / crop.side)
            targets[name].append(target)

    def solve(name: str) -> list[float]:
        matrix, target = np.stack(features[name]), np.array(targets[name])
        root = np.sqrt(weights)
        start = np.linalg.lstsq(matrix * root[:, None], target * root, rcond=None)[0]
        found = least_squares(
            lambda x: root * (matrix @ x - target), start, loss="soft_l1", f_scale=0.02
        )
        return [round(float(value), 3) for value in found.x]

    return {name: solve(name) for name in features}


def fit_mesh(truths: list[Truth]) -> tuple[float, float]:
    """MESH_SCALE and MESH_SHIFT: medians over the annotated faces that are not held out."""
    pairs = [
        (Crop.from_landmarks(t.points), Crop.from_landmarks(t.mesh_points))
        for t in truths
        if t.annotated and not t.held_out
    ]
    scale = float(np.median([true.side / mesh.side for true, mesh in pairs]))
    shift = float(np.median([(t.centre[1] - m.centre[1]) / m.side for t, m in pairs]))
    return round(scale, 3), round(shift, 3)


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"{title:16s} faces   centre   90 %    scale   90 %    bias   tilt  wrong side")
    for name, row in table.items():
        print(
            f"{name:16s} {row['faces']:5.0f}  "
            + "".join(f"{100 * row[key]:5.1f} % " for key in ("centre_median", "centre_p90"))
            + "".join(f"{100 * row[key]:5.1f} % " for key in ("scale_median", "scale_p90"))
            + f"{100 * row['scale_bias']:+5.1f} %  {row['tilt_median']:4.1f}  "
            + f"{100 * row['on_wrong_side']:5.2f} %"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fit", action="store_true", help="print the constants fitted anew")
    parser.add_argument("--limit", type=int, help="use about this many photos, evenly spread")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    root = os.environ.get("FACERELIEF_DATA")
    if not root:
        parser.error("FACERELIEF_DATA names no data folder")
    photos = Path(root) / "photos"
    every = read_truth(photos)
    truths = every[:: max(len(every) // options.limit, 1)] if options.limit else every
    if not options.fit:
        truths = [truth for truth in truths if truth.held_out]

    detector = Detector(threads=options.threads)
    angles = np.random.default_rng(0).uniform(-180, 180, len(truths))
    rows: list[tuple[Truth, Detection]] = []
    tilted: list[Error] = []
    missed: dict[str, list[str]] = {"upright": [], "turned": []}
    for truth, angle in track(list(zip(truths, angles, strict=True)), "photos", transient=True):
        photo = load_photo(photos / truth.path)
        if face := main_face(detector(photo), truth):
            rows.append((truth, face))
        elif truth.held_out:
            missed["upright"].append(truth.path)
        if truth.held_out:
            moved, picture = turned(truth, photo, float(angle))
            if face := main_face(detector(picture), moved):
                tilted.append(error(moved, face))
            else:
                missed["turned"].append(truth.path)

    if options.fit:
        print("MESH_SCALE, MESH_SHIFT =", fit_mesh(every))
        for name, values in fit([row for row in rows if not row[0].held_out]).items():
            print(f"{name} = {values}")

    errors = [error(truth, face) for truth, face in rows if truth.held_out]
    sources = sorted({e.source for e in errors})
    result: dict[str, Any] = {
        "all": {"all": summary(errors)},
        "by source": {s: summary([e for e in errors if e.source == s]) for s in sources},
        "by yaw": by_range(errors, "yaw", YAWS),
        "turned, by roll": by_range(tilted, "roll", ROLLS),
    }
    for title, table in result.items():
        show(title, table)
    print("missed:", {name: len(paths) for name, paths in missed.items()})
    result["missed"] = missed
    result["constants"] = {
        "CROP_X": CROP_X.tolist(), "CROP_Y": CROP_Y.tolist(), "CROP_SIDE": CROP_SIDE.tolist(),
        "MESH_SCALE": MESH_SCALE, "MESH_SHIFT": MESH_SHIFT,
    }  # fmt: skip
    if not options.limit:
        write("crop_accuracy", result)


if __name__ == "__main__":
    main()
