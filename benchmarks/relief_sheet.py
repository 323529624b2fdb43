"""A sheet of 24 photographs: coarse meshes beside each kind of relief, in two lights.

    FACERELIEF_DATA=... python benchmarks/relief_sheet.py -o sheets/relief [--system full_pose]
        [-n 24] [--kinds shading,fused,relief.onnx]

Openly licensed photographs that no training saw: those of `relief_photos.chosen`. Six a page, PNG.
They are to be looked at, and not ours to publish: `sheets/` is ignored by Git. A line is a
photograph; then, lit from over the camera's left shoulder, the smooth mesh and each kind in the
order of --kinds; then the same lit from the right, raking.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from plaster import LIGHTS, row, sheet
from relief_photos import chosen

import facerelief as fr
from facerelief.data.folders import data_root
from facerelief.detail import available, kind_of

SIDE, A_PAGE = 256, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True, help="pages are OUT_1.png ...")
    parser.add_argument("--system", default="full_pose")
    parser.add_argument("--kinds", default=",".join(available()), help="comma-separated")
    parser.add_argument("-n", "--number", type=int, default=24)
    options = parser.parse_args()
    estimator = fr.load(options.system, threads=1)
    makers = {kind: kind_of(kind)(512, 1) for kind in options.kinds.split(",")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows, page = [], 0
    for path, _ in chosen(data_root(), 4 * options.number):
        photo = fr.load_photo(data_root() / "photos" / path)
        faces = estimator(photo, max_faces=1)
        if not faces or faces[0].sound is None:
            continue
        rows.append(row(photo, faces[0], makers, SIDE, tuple(LIGHTS)))
        full = len(rows) + A_PAGE * page
        if len(rows) == A_PAGE or full == options.number:
            page += 1
            file = options.out.with_name(f"{options.out.name}_{page}.png")
            Image.fromarray(sheet(rows)).save(file)
            print(file, flush=True)
            rows = []
        if full == options.number:
            break


if __name__ == "__main__":
    main()
