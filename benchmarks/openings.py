"""How far eyes and mouths are open on photographs: `full_pose`'s meshes beside FaceMesh's points.

    FACERELIEF_DATA=... python benchmarks/openings.py [-n 300] [--network FILE] [--odds]

Openly licensed photographs whose faces are turned by no more than 35 degrees. An eye's opening is
the distance of its lids over that of its corners, the mouth's that of the lips' inner edges over
that of its corners; FaceMesh's points of the same names, which the photographs come with, are a
peer and no truth. The model at rest shows how much of it is who somebody is. Writes
results/openings.json.

With ``--odds``, which writes nothing, as many photographs beside these tell by how many logits
the weights that open mouths are to be raised for their mean opening to be FaceMesh's: what
tools/train_closeups.py --open-mouths takes.
"""

from __future__ import annotations

import argparse
import csv
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from shape_tables import openings_markdown
from tables import write

import facerelief as fr
from facerelief.coefficients import EXPRESSIONS
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.geometry.face_model import face_model
from facerelief.types import Face

TURNED = 35.0  # degrees of yaw
EYES, MOUTH = (36, 42), 60  # the first of their points, of the 68
BLINK = [EXPRESSIONS.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
OPENING = [
    i for i, name in enumerate(EXPRESSIONS)
    if name.startswith(("jawOpen", "mouthUpperUp", "mouthLowerDown"))
]  # fmt: skip


def openings(points: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Of the eyes, their mean, and of the mouth, of 68 points (68, 2)."""

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    eyes = [(apart(e + 1, e + 5) + apart(e + 2, e + 4)) / 2 / apart(e, e + 3) for e in EYES]
    return float(np.mean(eyes)), apart(MOUTH + 2, MOUTH + 6) / apart(48, 54)


def measured(face: Face, more: float = 0.0) -> tuple[tuple[float, float], tuple[float, float]]:
    """Openings of a face's mesh, what opens its mouth raised by `more` logits; and at rest."""
    shape, model = face.need_shape("a mesh"), face_model()
    told, view = shape.coefficients, shape.view
    raised = told["expression"].copy()
    raised[OPENING] = expit(logit(raised[OPENING].clip(1e-6, 1 - 1e-6)) + more)
    eyes_mouths = []
    for weights in (raised, np.zeros_like(raised)):
        head = model.vertices(told["identity"], weights)
        eyes_mouths.append(openings(view.in_crop(head[model.landmarks])[:, :2]))
    return eyes_mouths[0], eyes_mouths[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-n", "--number", type=int, default=300)
    parser.add_argument("--network", default="full_pose", help="a name or a file")
    parser.add_argument("--odds", action="store_true", help="of others; see above")
    options = parser.parse_args()
    root = data_root()
    with (root / "photos" / "manifest.csv").open() as lines:
        sources = {row["path"]: row["source"] for row in csv.DictReader(lines)}
    paths, points = facemesh.stored_points(root)
    is_open = [i for i, path in enumerate(paths) if sources[path] in facemesh.OPEN_SOURCES]
    drawn = np.random.default_rng(0).permutation(is_open)
    chosen = drawn[options.number :][: options.number] if options.odds else drawn[: options.number]
    estimator = fr.load(options.network, threads=1)
    found: list[tuple[tuple[float, float], Face]] = []
    for index in chosen:
        faces = estimator(root / "photos" / paths[index], max_faces=1)
        if faces and faces[0].sound is not None and abs(faces[0].angles[0]) <= TURNED:
            found.append((openings(points[index][list(facemesh.TO_68), :2]), faces[0]))
    peer = np.array([one for one, _ in found])
    if options.odds:
        wanted = peer[:, 1].mean()

        def apart(more: float) -> float:
            return float(np.mean([measured(face, more)[0][1] for _, face in found]) - wanted)

        print(f"{len(found)} photographs: mouths {apart(0) + wanted:.4f}, FaceMesh {wanted:.4f}")
        print(f"--open-mouths {brentq(apart, -2, 3, xtol=0.01):.2f}")
        return
    mesh, rest = (np.array(one) for one in zip(*(measured(f) for _, f in found), strict=True))
    expressions = [face.need_shape("a mesh").coefficients["expression"] for _, face in found]
    blink = np.array(expressions)[:, BLINK].mean(1)
    result = {"photos": len(found), "asked": len(chosen), "sha256": estimator.entry.sha256,
              "blink": {"median": round(float(np.median(blink)), 3)}}  # fmt: skip
    for i, name in enumerate(("eyes", "mouth")):
        result[name] = {
            "facemesh": _spread(peer[:, i]),
            "mesh": _spread(mesh[:, i]),
            "at_rest": _spread(rest[:, i]),
            "correlation": round(float(np.corrcoef(peer[:, i], mesh[:, i])[0, 1]), 3),
        }
    if options.network == "full_pose":
        write("openings", result)
    print(openings_markdown(result))


def _spread(values: NDArray[np.floating[Any]]) -> list[float]:
    """Mean and standard deviation."""
    return [round(float(values.mean()), 4), round(float(values.std()), 4)]


if __name__ == "__main__":
    main()
