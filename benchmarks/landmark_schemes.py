"""How well the maps between landmark schemes hold: docs/landmarks.md.

    FACERELIEF_DATA=... python benchmarks/landmark_schemes.py

Heads are fitted to FaceMesh's points of photographs; what a scheme's places on the fitted head say
is compared with what the photographs are annotated with, or with what FaceMesh says itself. So the
errors hold those of the fit, of FaceMesh and of the annotators too: they are what a user of the map
has to expect, at most.

* ``ibug68``: the 68 annotated landmarks of the test list's photographs.
* ``facemesh468``: FaceMesh's own points, photographs of other sources than it was found on.
* ``jd106``: nobody has annotated our photographs so. The 68 that it shares with iBUG's are measured
  as those, points between two of the jaw by their distance from the line through the annotated
  ones, the others by FaceMesh's points that they were taken from.
* ARKit's names: the built-in head's expressions against ICT-FaceKit's of the same names, which are
  made from scans, carried to the same topology: how alike the directions are in which vertices
  move, and how far apart vertices come at weight 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from tables import write

from facerelief.cache import cache_folder
from facerelief.data import facemesh, photos, pseudo_normals
from facerelief.data.folders import data_root
from facerelief.data.ict import registered_ict
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry import landmark_schemes
from facerelief.geometry.align import AlignmentError
from facerelief.geometry.head import builtin_head
from facerelief.geometry.landmark_schemes import JD106_OF_68

#: Of the 68 landmarks.
PARTS = {
    "jaw": range(0, 17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
}
JAW_106 = range(1, 33, 2)  # those between the jaw's 17
OWN_106 = sorted(set(range(106)) - set(JD106_OF_68) - set(JAW_106) - {74, 83, 104, 105})


def fitted(
    root: Path, paths: list[str], chosen: list[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of photos: path, FaceMesh's points (478, 3) and the fitted head's (V, 3), photo pixels."""
    fitter = pseudo_normals.head_fitter(root, cache_folder())
    points = dict(zip(paths, facemesh.stored_points(root)[1], strict=True))
    for path in track(chosen, "fitting"):
        try:
            found = fitter.fit(points[path])
        except AlignmentError:
            continue
        yield path, points[path], found.projected


def off_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distances of points (N, 2) from a polyline (M, 2)."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = ((points[:, None] - start) * along).sum(-1) / (along**2).sum(-1)
    foot = start + share.clip(0, 1)[..., None] * along
    nearest: np.ndarray = np.linalg.norm(points[:, None] - foot, axis=-1).min(1)
    return nearest


def annotated(root: Path, paths: list[str]) -> dict[str, Any]:
    """68 annotated landmarks against a fitted head's, and against FaceMesh's; jaws of the 106."""
    tests = json.loads((root / "photos" / "landmark_splits.json").read_text())["test"]
    with np.load(root / "photos" / "landmarks.npz") as stored:
        true = {p: stored[p] for p in tests if p in stored.files and len(stored[p]) == 68}
    schemes = {name: landmark_schemes.scheme(name) for name in ("ibug68", "jd106")}
    errors: dict[str, list[float]] = {}
    for path, mesh, head in fitted(root, paths, [p for p in true if p in set(paths)]):
        box = np.sqrt(np.ptp(true[path], axis=0).prod())
        ours, jd = (schemes[name].of(head)[:, :2] for name in ("ibug68", "jd106"))
        theirs = mesh[list(facemesh.TO_68), :2]
        for name, found in (("ibug68", ours), ("facemesh", theirs)):
            off = 100 * np.linalg.norm(found - true[path], axis=1) / box
            errors.setdefault(f"{name} all", []).append(off.mean())
            for part, index in PARTS.items():
                errors.setdefault(f"{name} {part}", []).append(off[list(index)].mean())
        jaw = 100 * off_line(jd[list(JAW_106)], true[path][:17]) / box
        errors.setdefault("jd106 jaw", []).append(jaw.mean())
        seventeen = 100 * off_line(ours[:17], true[path][:17]) / box
        errors.setdefault("ibug68 jaw line", []).append(seventeen.mean())
    return {name: mean_and_error(values) for name, values in errors.items()}


def meshes(root: Path, paths: list[str]) -> dict[str, Any]:
    """FaceMesh's points against a fitted head's: ours, and those of the map the head ships with."""
    held = photos.held_out_paths(root)
    # The map was found on open photographs.
    chosen = [p for p in paths if p in held and not p.startswith(facemesh.OPEN_SOURCES)][::2]
    head = builtin_head()
    first = landmark_schemes.Anchors.on_triangles(
        head.triangles, head.facemesh_triangles[:468], head.facemesh_barycentrics[:468]
    )
    schemes = {"facemesh468": landmark_schemes.scheme("facemesh468"), "first map": first}
    jd = landmark_schemes.scheme("jd106")[OWN_106]
    inner = np.setdiff1d(np.arange(facemesh.SKIN_POINTS), facemesh.OUTLINE)
    # Which of FaceMesh's points each of the 106 was taken from.
    places = schemes["facemesh468"].of(head.mean)
    taken = [int(np.linalg.norm(places - one, axis=1).argmin()) for one in jd.of(head.mean)]
    errors: dict[str, list[float]] = {}
    for _, mesh, vertices in fitted(root, paths, chosen):
        box = np.sqrt(np.ptp(mesh[list(facemesh.TO_68), :2], axis=0).prod())
        for name, anchors in schemes.items():
            off = 100 * np.linalg.norm(anchors.of(vertices)[:, :2] - mesh[:468, :2], axis=1) / box
            errors.setdefault(f"{name} inner", []).append(off[inner].mean())
            errors.setdefault(f"{name} outline", []).append(off[list(facemesh.OUTLINE)].mean())
        off = np.linalg.norm(jd.of(vertices)[:, :2] - mesh[taken, :2], axis=1)
        errors.setdefault("jd106 own", []).append(100 * off.mean() / box)
    return {name: mean_and_error(values) for name, values in errors.items()}


def expressions(root: Path) -> dict[str, Any]:
    """ARKit's 52 by name: likeness of directions, and distance in mm of the skin that moves."""
    ours, theirs = builtin_head(), registered_ict(root, cache_folder())
    skin = ours.regions["face"] & ours.regions["skin"]
    found = {}
    for name in ours.expression_names:
        if name not in theirs.expression_names or name == "tongueOut":
            continue  # theirs is ours
        a = ours.expression[ours.expression_names.index(name)][skin].astype(float)
        b = theirs.expression[theirs.expression_names.index(name)][skin].astype(float)
        moves = np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1) > 1
        likeness = (a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9)
        apart = np.linalg.norm(a - b, axis=1)[moves]
        found[name] = {
            "likeness": round(float(likeness), 3),
            "apart": round(float(apart.mean()) if moves.any() else 0.0, 2),
            "ours": round(float(np.linalg.norm(a, axis=1).max()), 1),
            "theirs": round(float(np.linalg.norm(b, axis=1).max()), 1),
        }
    return found


def main() -> None:
    root = data_root()
    paths, _ = facemesh.stored_points(root)
    write("expressions", expressions(root))
    write("landmark_schemes", {"annotated": annotated(root, paths), "meshes": meshes(root, paths)})


if __name__ == "__main__":
    main()
