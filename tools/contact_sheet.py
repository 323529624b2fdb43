"""A sheet of photos with their 68 landmarks and the lines of the UV layout, to be looked at.

    FACERELIEF_DATA=... python tools/contact_sheet.py -o sheets/prnet.jpg [--system prnet] [-n 40]

Photographs that no training saw, from every source in turn, as `facerelief.apps.overlay` draws
them. They are not ours to publish: `sheets/` is ignored by Git.
"""

from __future__ import annotations

import argparse
import hashlib
from itertools import chain, zip_longest
from pathlib import Path

from PIL import Image

import facerelief as fr
from facerelief.apps.overlay import overlay
from facerelief.data.folders import data_root
from facerelief.data.photos import held_out_paths

SIDE = 320  # pixels of a picture
COLUMNS = 8


def varied(root: Path) -> list[str]:
    """Photos that are held out, one source after the other, in an order that is always the same."""
    paths = sorted(held_out_paths(root), key=lambda p: hashlib.sha256(p.encode()).digest())
    sources: dict[str, list[str]] = {}
    for path in paths:
        sources.setdefault(path.split("/")[0], []).append(path)
    return [path for path in chain(*zip_longest(*sources.values())) if path is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--system", default="prnet")
    parser.add_argument("-n", "--number", type=int, default=40)
    options = parser.parse_args()
    estimator, root = fr.load(options.system), data_root() / "photos"
    pictures = []
    for path in varied(data_root()):
        photo = fr.load_photo(root / path)
        faces = estimator(photo, max_faces=1)
        if faces:
            pictures.append(Image.fromarray(overlay(photo, faces[0], SIDE)))
        if len(pictures) == options.number:
            break
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % COLUMNS * SIDE, index // COLUMNS * SIDE))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out, quality=90)
    print(f"{len(pictures)} faces in {options.out}")


if __name__ == "__main__":
    main()
