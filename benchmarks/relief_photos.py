"""What relief does on 500 photographs: counted faults, and how far re-rendered faces are off.

    FACERELIEF_DATA=... python benchmarks/relief_photos.py [-n 500] [--losses 500]
        [--systems full_pose,prnet] [--kinds shading,fused] [--rows FILE]

Openly licensed photographs, those that no training saw first. Of each system's meshes, coarse and
with each kind of relief: is all finite, does a triangle of the face lie by more than a right angle
off the coarse one's, does the mesh show holes in its photo, or skin from behind; and on photographs
that no training saw, the first --losses of them, the photo loss, which takes longest
(`facerelief.evaluate.rerendering`). A kind is a name, or a relief network's file.

Rows go to FILE as they are made, and are not made again: a call that was stopped goes on. Writes
results/relief_photos.json and the tables of whatever rows there are.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from tables import ROOT, read, write

import facerelief as fr
from facerelief.catalogue import WeightsError
from facerelief.data.folders import data_root
from facerelief.data.photos import held_out_paths
from facerelief.detail import Detail, Maker, available, kind_of
from facerelief.detailed import DetailedFace
from facerelief.evaluate.detailed_meshes import flipped, holes, in_photo
from facerelief.evaluate.rerendering import Rerendering
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry.shading_detail import NoLightError
from facerelief.images import Pixels
from facerelief.runtime import Estimator

OPEN = ("fairface", "fairface025", "webmorph", "houseclerk", "congress")
COARSE = "coarse"
PICTURE = 512  # pixels of a crop in which holes are looked for
LOSSES = {"loss": False, "loss_refit": True}


def chosen(root: Path, count: int) -> list[tuple[str, bool]]:
    """Photographs, and whether no training saw them; these first, sources in turn."""
    held = held_out_paths(root)
    sources: dict[tuple[bool, str], list[str]] = {}
    with (root / "photos" / "manifest.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["source"] in OPEN]
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["path"].encode()).digest()):
        sources.setdefault((row["path"] in held, row["source"]), []).append(row["path"])
    found = []
    for is_held in (True, False):
        lists = [paths for (own, _), paths in sorted(sources.items()) if own is is_held]
        found += [(p, is_held) for p in chain(*zip_longest(*lists)) if p is not None]
    return found[:count]


def row(
    photo: Pixels, estimator: Estimator, makers: dict[str, Maker], held: bool
) -> dict[str, Any]:
    """What came of the largest face of a photo; ``faces`` is 0 where none was found."""
    faces = estimator(photo, max_faces=1)
    if not faces:
        return {"faces": 0}
    (face,) = faces
    if face.sound is None:
        return {"faces": 1, "problem": face.shape.problem if face.shape else "no shape"}
    seen = None
    if held:
        try:
            seen = Rerendering.of(face, photo)
        except NoLightError as error:
            seen = str(error)
    made: dict[str, Any] = {"faces": 1, "yaw": round(face.angles[0], 1), "kinds": {}}
    for kind, maker in {COARSE: None, **makers}.items():
        relief = Detail.none(512) if maker is None else maker(face, photo)
        made["kinds"][kind] = measured(DetailedFace(face, relief), seen)
    return made


def measured(made: DetailedFace, seen: Rerendering | str | None) -> dict[str, Any]:
    """Faults of one mesh, and its photo loss where it is to be measured."""
    relief = made.detail
    arrays = (made.displaced.vertices, relief.displacement, made.normal_map(made.mesh).normals)
    points = in_photo(made.face, made)
    points[:, :2] = replace(made.face.crop, size=PICTURE).to_crop(points[:, :2])
    finite = all(np.isfinite(array).all() for array in arrays)
    found: dict[str, Any] = {
        "made": bool(relief.displacement.any()),
        "finite": finite,
        "flipped": flipped(made),
        "holes": list(holes(points, made, PICTURE)),
        "largest": round(float(np.abs(relief.displacement).max()), 3),
        "warnings": list(relief.warnings),
    }
    if isinstance(seen, str):
        found["no_light"] = seen
    elif seen is not None:
        found |= {name: round(seen.error(made, refit), 4) for name, refit in LOSSES.items()}
    return found


def rows(options: argparse.Namespace, file: Path) -> Iterator[dict[str, Any]]:
    """Those of the file, and then what is not there yet, written as it is made."""
    wanted = chosen(data_root(), options.number)
    kinds = options.kinds.split(",") if options.kinds else list(available())
    old = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for system in options.systems.split(","):
        estimator = fr.load(system, threads=1)
        facts = {"system": estimator.name, "sha256": estimator.entry.sha256, "asked": kinds}
        known = {r["path"]: r for r in old if {k: r[k] for k in facts} == facts}
        makers = {Path(kind).stem: kind_of(kind)(512, 1) for kind in kinds}
        for index, (path, held) in enumerate(wanted):
            if path not in known:
                photo = fr.load_photo(data_root() / "photos" / path)
                made = row(photo, estimator, makers, held and index < options.losses)
                known[path] = {**facts, "path": path, "held": held, **made}
                with file.open("a") as out:
                    out.write(json.dumps(known[path]) + "\n")
            yield known[path]


def summary(made: list[dict[str, Any]]) -> dict[str, Any]:
    """By system and kind."""
    systems: dict[str, Any] = {}
    for name in dict.fromkeys(one["system"] for one in made):
        own = [one for one in made if one["system"] == name]
        faces = [one for one in own if "kinds" in one]
        kinds = {
            k: [one["kinds"][k] for one in faces] for k in (faces[0]["kinds"] if faces else ())
        }
        systems[name] = {
            "sha256": own[0]["sha256"],
            "photos": len(own),
            "without_face": sum(one["faces"] == 0 for one in own),
            "no_shape": sum("problem" in one for one in own),
            "kinds": {k: _counted(found, kinds[COARSE]) for k, found in kinds.items()},
        }
    return {"systems": systems}


def _counted(found: list[dict[str, Any]], coarse: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "faces": len(found),
        "made": sum(one["made"] for one in found),
        "not_finite": sum(not one["finite"] for one in found),
        "flipped": sum(one["flipped"] for one in found),
        "faces_flipped": sum(one["flipped"] > 0 for one in found),
        "faces_with_holes": sum(one["holes"][0] > 0 for one in found),
        "pixels_of_back": float(np.mean([one["holes"][1] for one in found])) if found else None,
    }
    for name in LOSSES:
        pairs = [(one[name], own[name]) for one, own in zip(found, coarse, strict=True)
                 if name in one and np.isfinite(one[name])]  # fmt: skip
        figures[name] = mean_and_error(own for own, _ in pairs)
        figures[f"{name}_change"] = mean_and_error(own - before for own, before in pairs)
        figures[f"{name}_fell"] = sum(own < before for own, before in pairs)
    return figures


def with_losses(made: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """`made`, with the photo losses of an earlier run of the same weights where that had more."""
    for name, system in made["systems"].items():
        known = (before or {"systems": {}})["systems"].get(name, {})
        if known.get("sha256") != system["sha256"]:
            continue
        for kind, figures in system["kinds"].items():
            old = known["kinds"].get(kind, {})
            counts = [(one.get("loss") or {"count": 0})["count"] for one in (old, figures)]
            if counts[0] > counts[1]:
                figures |= {key: old[key] for key in old if key.startswith("loss")}
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-n", "--number", type=int, default=500)
    parser.add_argument("--losses", type=int, default=500, help="photos with the photo loss")
    parser.add_argument("--systems", default="full_pose", help="comma-separated")
    parser.add_argument("--kinds", help="comma-separated; all that there are unless said")
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "relief_photos.jsonl")
    parser.add_argument("--every", type=int, default=20, help="photos between two tables")
    options = parser.parse_args()
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    made: list[dict[str, Any]] = []
    before = read("relief_photos")
    try:
        for one in rows(options, options.rows):
            made.append(one)
            if len(made) % options.every == 0:
                write("relief_photos", with_losses(summary(made), before))
    except (OSError, ValueError, WeightsError) as error:
        parser.error(str(error))
    write("relief_photos", with_losses(summary(made), before))


if __name__ == "__main__":
    main()
