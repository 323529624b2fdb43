"""Relief on meshes: normals of people photographed, scans, triangles turned over, costs.

    FACERELIEF_DATA=... python benchmarks/detail.py --out benchmarks/results [--every 6]

Writes detail.json and detail.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from shape_tables import detail_markdown

import facerelief as fr
from facerelief.data.folders import data_root
from facerelief.detail import available
from facerelief.detailed import DetailedFace
from facerelief.evaluate.detailed_meshes import DetailedMeshes, flipped
from facerelief.evaluate.reconstruction import Reconstruction, error
from facerelief.evaluate.scores import score_image
from facerelief.evaluate.yaleb import POOLED, Yaleb
from facerelief.geometry.camera import camera_space

SYSTEM = "full_pose"
NORMALS = "casfne_compact"
OPEN = ("fairface", "fairface025", "webmorph", "houseclerk", "congress")


def yale(every: int, kinds: list[str]) -> dict[str, Any]:
    """Mean angular error, degrees, of every so many photographs of the test people, S1 to S4.

    Of each photograph, at the pixels where the network, the smooth mesh and all kinds have one.
    """
    protocol = Yaleb("test")
    alone = {name: fr.load(name, threads=1) for name in (SYSTEM, NORMALS)}
    meshes = {kind: DetailedMeshes(alone[SYSTEM], kind, 1) for kind in kinds}
    sums: dict[str, float] = {}
    photographs = pixels = 0
    for key in list(protocol.keys()):
        subject = protocol.load(key)
        _, crops = protocol.pictures(subject)
        chosen = np.flatnonzero(np.isin(subject.person.subsets, POOLED))[::every]
        for crop in (crops[i][None] for i in chosen):
            found = {name: one.estimate_crops(crop) for name, one in alone.items()}
            found |= {f"{SYSTEM}+{kind}": one.normals(crop) for kind, one in meshes.items()}
            mask = subject.mask & np.all([one.mask[0] for one in found.values()], axis=0)
            photographs, pixels = photographs + 1, pixels + int(mask.sum())
            for name, one in found.items():
                errors = score_image(one.normals[0], None, subject.normals, mask).errors
                sums[name] = sums.get(name, 0.0) + float(errors.sum(dtype=np.float64))
        print(key, {name: round(total / pixels, 2) for name, total in sums.items()}, flush=True)
    means = {name: round(total / pixels, 3) for name, total in sums.items()}
    return {"photographs": photographs, "pixels": pixels, "mean": means}


def scans(poses: int) -> dict[str, float]:
    """Mean error, percent of the eyes' distance, of the first poses of each scan."""
    protocol, found = Reconstruction(poses), {}
    estimator = fr.load(SYSTEM, threads=1)
    meshes = {kind: DetailedMeshes(estimator, kind, 1) for kind in available()}
    for key in list(protocol.keys()):
        subject = protocol.load(key)
        _, crops = protocol.pictures(subject)
        for one, crop in zip(subject, crops, strict=True):
            points = camera_space(estimator.estimate_crops(crop[None]).shapes[0].skin.shape)
            found.setdefault(SYSTEM, []).append(error(points, one.scan))
            for kind, made in meshes.items():
                (answer,) = made.shapes(crop[None])
                points, marks = (camera_space(answer[n]) for n in ("vertices", "landmarks"))
                value = error(points, one.scan, answer["triangles"], marks)
                found.setdefault(f"{SYSTEM}+{kind}", []).append(value)
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def folds(count: int) -> dict[str, Any]:
    """Photographs, meshes with relief, and triangles of the face that it turned over."""
    root = data_root() / "photos"
    with (root / "manifest.csv").open() as table:
        paths = [row["path"] for row in csv.DictReader(table) if row["source"] in OPEN]
    paths = [root / path for path in paths[:: max(1, len(paths) // count)][:count]]
    estimator = fr.load(SYSTEM, threads=1)
    makers = {kind: make(512, 1) for kind, make in available().items()}
    found: dict[str, Any] = {k: {"faces": 0, "made": 0, "flipped": 0, "bad": 0} for k in makers}
    for path in paths:
        photo = fr.load_photo(path)
        for face in estimator(photo, max_faces=1):
            if face.sound is None:
                continue
            for kind, maker in makers.items():
                detail, row = maker(face, photo), found[kind]
                made = DetailedFace(face, detail)
                row["faces"] += 1
                row["made"] += bool(detail.displacement.any())
                row["bad"] += not np.isfinite(made.displaced.vertices).all()
                row["flipped"] += int(flipped(made))
    return {"photos": len(paths), **found}


def costs(photo: Path) -> dict[str, dict[str, float]]:
    """CPU seconds and peak memory, MB, of a process from photo to GLB."""
    found = {}
    for kind in ("none", *available()):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "facerelief", "mesh", str(photo), "-o", folder,
                       "--system", SYSTEM, "--detail", kind]  # fmt: skip
            process = os.posix_spawn(sys.executable, command, os.environ)
            _, status, used = os.wait4(process, 0)  # its own peak, not that of all up to it
        if status:
            raise SystemExit(f"{' '.join(command)} failed")
        spent = used.ru_utime + used.ru_stime
        found[kind] = {"cpu_seconds": round(spent, 2), "peak_mb": round(used.ru_maxrss / 1024)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--poses", type=int, default=36)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--photo", type=Path, default=Path("examples/astronaut.jpg"))
    parser.add_argument("--only", nargs="*", default=["costs", "yale", "folds", "scans"])
    parser.add_argument("--kinds", nargs="*", default=list(available()))
    options = parser.parse_args()
    jobs = {
        "costs": lambda: costs(options.photo),
        "yale": lambda: yale(options.every, options.kinds),
        "folds": lambda: folds(options.photos),
        "scans": lambda: scans(options.poses),
    }
    path = options.out / "detail.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in options.only:
        results[name] = jobs[name]()
        path.write_text(json.dumps(results, indent=1) + "\n")
        path.with_suffix(".md").write_text(detail_markdown(results))
        print(name, results[name], flush=True)


if __name__ == "__main__":
    main()
