"""How far eyes and mouths are open on photographs: `full_pose`'s meshes beside FaceMesh's points.

    FACERELIEF_DATA=... python benchmarks/openings.py [-n 300]

Openly licensed photographs whose faces are turned by no more than 35 degrees. An eye's opening is
the distance of its lids over that of its corners, the mouth's that of the lips' inner edges over
that of its corners; FaceMesh's points of the same names, which the photographs come with, are a
peer and no truth. The model at rest shows how much of it is who somebody is. Writes
results/openings.json.
"""

from __future__ import annotations

import argparse
import csv
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tables import write

import facerelief as fr
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.geometry.face_model import face_model
from facerelief.types import Face

TURNED = 35.0  # degrees of yaw
EYES, MOUTH = (36, 42), 60  # the first of their points, of the 68
BLINK = ("eyeBlinkLeft", "eyeBlinkRight")


def openings(points: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Of the eyes, their mean, and of the mouth, of 68 points (68, 2)."""

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    eyes = [(apart(e + 1, e + 5) + apart(e + 2, e + 4)) / 2 / apart(e, e + 3) for e in EYES]
    return float(np.mean(eyes)), apart(MOUTH + 2, MOUTH + 6) / apart(48, 54)


def measured(face: Face) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Openings of a face's mesh and of the same at rest; the mean weight of blinking."""
    shape, model = face.need_shape("a mesh"), face_model()
    told, view = shape.coefficients, shape.view
    found = []
    for weights in (told["expression"], np.zeros_like(told["expression"])):
        head = model.vertices(told["identity"], weights)
        found.append(openings(view.in_crop(head[model.landmarks])[:, :2]))
    blink = [told["expression"][model.expression_names.index(name)] for name in BLINK]
    return found[0], found[1], float(np.mean(blink))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-n", "--number", type=int, default=300)
    options = parser.parse_args()
    root = data_root()
    with (root / "photos" / "manifest.csv").open() as lines:
        sources = {row["path"]: row["source"] for row in csv.DictReader(lines)}
    paths, points = facemesh.stored_points(root)
    is_open = [i for i, path in enumerate(paths) if sources[path] in facemesh.OPEN_SOURCES]
    chosen = np.random.default_rng(0).permutation(is_open)[: options.number]
    estimator = fr.load("full_pose", threads=1)
    found = []
    for index in chosen:
        faces = estimator(root / "photos" / paths[index], max_faces=1)
        if faces and faces[0].sound is not None and abs(faces[0].angles[0]) <= TURNED:
            peer = openings(points[index][list(facemesh.TO_68), :2])
            found.append((peer, *measured(faces[0])))
    peer, mesh, rest = (np.array([one[i] for one in found]) for i in range(3))
    blink = np.array([one[3] for one in found])
    result = {"photos": len(found), "asked": len(chosen), "sha256": estimator.entry.sha256,
              "blink": {"median": round(float(np.median(blink)), 3)}}  # fmt: skip
    for i, name in enumerate(("eyes", "mouth")):
        result[name] = {
            "facemesh": _spread(peer[:, i]),
            "mesh": _spread(mesh[:, i]),
            "at_rest": _spread(rest[:, i]),
            "correlation": round(float(np.corrcoef(peer[:, i], mesh[:, i])[0, 1]), 3),
        }
    write("openings", result)


def _spread(values: NDArray[np.floating[Any]]) -> list[float]:
    """Mean and standard deviation."""
    return [round(float(values.mean()), 4), round(float(values.std()), 4)]


if __name__ == "__main__":
    main()
