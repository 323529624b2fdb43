"""How well heads fitted to FaceMesh's points tell normals, on renderings of other heads.

    FACERELIEF_DATA=... python benchmarks/alignment.py --peer-python PYTHON [--heads N] [--others]

Heads whose shapes were measured on people (ICT-FaceKit) are rendered, MediaPipe finds its points in
the pictures, and the built-in head, whose shapes are MakeHuman's, is fitted to them. So no truth is
within the reach of the model, as with photographs. The settings of `FitOptions` are chosen here
(--others tries some), on renderings alone: what is kept for evaluation has no part in it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine
from rich.progress import track
from tables import write

from facerelief.cache import cache_folder
from facerelief.data import facemesh, pseudo_normals
from facerelief.data.pseudo_normals import HeadFitter
from facerelief.evaluate.predictors import facemesh_points
from facerelief.geometry.align import AlignmentError, FitOptions
from facerelief.geometry.head import builtin_head
from facerelief.geometry.normals import angular_error
from facerelief.render.renderer import render
from facerelief.samples.rendering import Rendering
from facerelief.synth.assets import Assets
from facerelief.synth.draw import Heads, SynthOptions
from facerelief.synth.setting.camera import PoseRange

SEED = 77
MARGIN = 1.4  # MediaPipe's detector wants to see the head
CONFIDENT = 0.5
#: Other values of one setting at a time.
OTHERS = {
    "noise": (1.0, 3.0, 4.5),
    "displacement": (0.0, 1.5),
    "displacement_length": (20.0, 45.0),
    "depth_ratio": (1.5, 4.0),
    "identity_deviation": (0.5, 1.5),
    "expression_deviation": (0.07, 0.3),
}


def rendered(assets: Assets, count: int) -> list[Rendering]:
    """Heads of measured shapes with skins that were not lifted: lifting needs the fit."""
    options = SynthOptions(scanned=1.0, lifted=False, margin=MARGIN, pose=PoseRange(60, 30, 30))
    heads = Heads(assets, options, SEED)
    return [render(heads.scene(i)) for i in track(range(count), "rendering")]


def score(fitter: HeadFitter, points: np.ndarray, heads: list[Rendering]) -> dict[str, float | int]:
    """Mean angular errors, degrees, within FaceMesh's outline where the skin is seen.

    `facemesh` is FaceMesh's own mesh on the same pixels; `confident` where the fit trusts itself.
    """
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    sums = np.zeros((3, 2))
    failed = 0
    for seen, made in zip(points, heads, strict=True):
        theirs, outline = facemesh.smooth_normals(seen, fitter.triangles, len(made.mask))
        known = outline & made.mask & ~made.occluder
        try:
            fit = fitter.fit(seen)
        except AlignmentError:
            failed += 1
            continue
        surface = fitter.surface(fit, seen, made.photo, identity)
        known &= surface.head
        ours = angular_error(surface.normals, made.normals_smooth)
        errors = [ours, angular_error(theirs, made.normals_smooth), ours]
        chosen = [known, known, known & (surface.confidence > CONFIDENT)]
        for total, error, mask in zip(sums, errors, chosen, strict=True):
            total += error[mask].sum(), mask.sum()
    mean = sums[:, 0] / np.maximum(sums[:, 1], 1)
    return {
        "error": float(mean[0]),
        "facemesh": float(mean[1]),
        "confident": float(mean[2]),
        "confident_share": float(sums[2, 1] / sums[0, 1]),
        "failed": failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="has MediaPipe")
    parser.add_argument("--heads", type=int, default=160)
    parser.add_argument("--others", action="store_true", help="try other settings")
    options = parser.parse_args()
    assets = Assets.find()
    if assets.root is None or assets.path("scanned shapes") is None:
        parser.error("needs FACERELIEF_DATA with ICT-FaceKit")
    heads = rendered(assets, options.heads)
    points = facemesh_points(np.stack([x.photo for x in heads]), options.peer_python)
    found = np.isfinite(points).all((1, 2))
    heads, points = [x for x, seen in zip(heads, found, strict=True) if seen], points[found]

    head = builtin_head()
    paths, teacher = facemesh.stored_points(assets.root)
    mean = facemesh.mean_face(teacher[::12])
    anchors = pseudo_normals.facemesh_anchors(head, paths, teacher, mean, cache_folder())
    triangles = facemesh.triangulate(mean)
    tried = [FitOptions()]
    if options.others:
        tried += [
            replace(FitOptions(), **{name: value})
            for name, values in OTHERS.items()
            for value in values
        ]
    lines: list[dict[str, Any]] = []
    for setting in track(tried, "fitting"):
        result = score(HeadFitter(head, anchors, triangles, setting), points, heads)
        lines.append({"options": asdict(setting), **result})
        print({name: getattr(setting, name) for name in OTHERS}, result, flush=True)
    write(
        "alignment",
        {"heads": len(found), "found": len(heads), "lines": lines, "machine": machine()},
    )


if __name__ == "__main__":
    main()
