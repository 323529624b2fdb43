"""What is found, and which way up: turned photographs, small faces, pictures without a face.

    FACERELIEF_DATA=... python benchmarks/finding.py [--photos N] [--only turned,small,none]

`turned`: N photographs of each source, whole, turned about their middle; FaceMesh's points say
which way up the face is. `small`: scenes of many small faces. `none`: environment
maps in parts, skins without a face, noise, for what is found there all the same. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import facerelief as fr
from facerelief.types import Crop

ANGLES = (0, 45, 90, 135, 180)
# Of the 478 points: both corners of each eye, the nose, the corners of the mouth.
EYES, NOSE, MOUTH = ((33, 133), (362, 263)), 1, (61, 291)
NEAR = 0.5  # of a face's longer side, from its middle to that of a place
SCENES = {  # width, height, faces, pixels of a face's longer side
    "12 of 72 px in 6000 x 4000": (6000, 4000, 12, 72),
    "48 of 200 px in 12000 x 1500": (12000, 1500, 48, 200),
    "12 of 48 px in 6000 x 4000": (6000, 4000, 12, 48),
}


def evenly(values: list[Any], number: int) -> list[Any]:
    return [values[index * len(values) // number] for index in range(min(number, len(values)))]


def faces_of(photos: Path, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs (H, W, 3), and the 478 points (478, 2) of the face in each."""
    with np.load(photos / "facemesh478.npz") as mesh:
        paths, points = [str(path) for path in mesh["paths"]], mesh["points"].astype(float)
    sources = sorted({path.partition("/")[0] for path in paths})
    for source in sources:
        own = [i for i, path in enumerate(paths) if path.startswith(f"{source}/")]
        for index in evenly(own, number):
            yield fr.load_photo(photos / paths[index]), points[index, :, :2]


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees in [0, 180] between the lines from eyes to mouth of five points each."""
    lines = [p[3:].mean(axis=0) - p[:2].mean(axis=0) for p in (one, other)]
    a, b = (complex(*line) for line in lines)
    return float(abs(np.degrees(np.angle(a / b))))


def turned(photos: Path, number: int) -> dict[str, Any]:
    """For each angle: how many faces are found upright, tilted, on their head, or not at all."""
    counts: dict[int, Counter[str]] = {angle: Counter() for angle in ANGLES}
    for photo, mesh in faces_of(photos, number):
        height, width = photo.shape[:2]
        five = np.array([*(mesh[list(eye)].mean(axis=0) for eye in EYES), mesh[NOSE],
                         *mesh[list(MOUTH)]])  # fmt: skip
        for angle in ANGLES:
            side = max(height, width) * (1 if angle % 90 == 0 else 1.42)
            frame = Crop((width / 2, height / 2), side, float(-angle), round(side))
            picture = photo if angle == 0 else frame.extract(photo)
            truth, points = (five, mesh) if angle == 0 else map(frame.to_crop, (five, mesh))
            low, high = points.min(axis=0), points.max(axis=0)
            near = [
                place
                for place in fr.find(picture)
                if np.hypot(*(np.array(place.crop.centre) - (low + high) / 2))
                < NEAR * max(high - low)
            ]
            if not near:
                counts[angle]["missed"] += 1
                continue
            off = angle_between(max(near, key=lambda place: place.crop.side).points, truth)
            counts[angle]["upright" if off < 45 else "tilted" if off < 135 else "on its head"] += 1
    return {str(angle): dict(sorted(count.items())) for angle, count in counts.items()}


def small(photos: Path) -> dict[str, Any]:
    """For each scene: how many of its faces are found, what else is, and seconds of processor."""
    heads = [(photo, mesh) for photo, mesh in faces_of(photos, 2)]
    return {name: scene(heads, *sizes) for name, sizes in SCENES.items()}


def scene(
    heads: list[tuple[np.ndarray, np.ndarray]], width: int, height: int, number: int, pixels: int
) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(60, 190, (height // 100, width // 100, 3), np.uint8))
    canvas = np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC)).copy()
    columns = round(np.sqrt(number * width / height))
    rows = -(-number // columns)
    middles = []
    for index in range(number):
        photo, mesh = heads[index * len(heads) // number]
        low, high = mesh.min(axis=0), mesh.max(axis=0)
        crop = Crop(tuple((low + high) / 2), 1.5 * max(high - low), size=round(1.5 * pixels))
        row, column = divmod(index, columns)
        x = round((column + rng.uniform(0.3, 0.7)) * width / columns - crop.size / 2)
        y = round((row + rng.uniform(0.3, 0.7)) * height / rows - crop.size / 2)
        canvas[y : y + crop.size, x : x + crop.size] = crop.extract(photo)
        middles.append((x + crop.size / 2, y + crop.size / 2))
    begin = time.process_time()
    centres = np.array([place.crop.centre for place in fr.find(canvas, threads=1)]).reshape(-1, 2)
    seconds = time.process_time() - begin
    apart = np.linalg.norm(np.array(middles)[:, None] - centres, axis=-1) < NEAR * pixels
    return {
        "found": int(apart.any(axis=1).sum()),
        "of": number,
        "elsewhere": int((~apart.any(axis=0)).sum()),
        "seconds": round(seconds, 2),
    }


def none(root: Path) -> dict[str, Any]:
    """How many pictures that show no face have one found in them, by kind."""
    result = {}
    for kind, pictures in (("environments", environments(root)), ("skins", skins(root)),
                           ("noise", noise())):  # fmt: skip
        found = [len(fr.find(picture)) for picture in pictures]
        result[kind] = {"pictures": len(found), "with a face": int(np.count_nonzero(found))}
    return result


def environments(root: Path) -> Iterator[np.ndarray]:
    """Two halves of each environment map, as a camera shows them, four times as large."""
    with np.load(root / "hdri" / "polyhaven_256x128.npz") as maps:
        for key in maps.files:
            light = maps[key].astype(np.float32)
            shown = np.clip(light / (light + np.median(light)), 0, 1) ** (1 / 2.2)
            whole = Image.fromarray((255 * shown).astype(np.uint8)).resize((1024, 512))
            yield from np.split(np.asarray(whole), 2, axis=1)


def skins(root: Path) -> Iterator[np.ndarray]:
    """The lower half of each skin's layout: limbs and trunk."""
    for path in sorted((root / "makehuman").rglob("*.jpg")):
        with Image.open(path) as image:
            if image.width >= 1024:
                yield np.asarray(image.convert("RGB").resize((1024, 1024)))[512:]


def noise() -> Iterator[np.ndarray]:
    """Noise of several grains."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        grain = Image.fromarray(rng.integers(0, 256, (2 ** (2 + seed % 7),) * 2 + (3,), np.uint8))
        yield np.asarray(grain.resize((600, 600), Image.Resampling.BICUBIC))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=20, help="of each source")
    parser.add_argument("--only", default="turned,small,none")
    options = parser.parse_args()
    root = os.environ.get("FACERELIEF_DATA")
    if not root:
        parser.error("FACERELIEF_DATA names no data folder")
    data, photos = Path(root), Path(root) / "photos"
    parts: dict[str, Callable[[], Any]] = {
        "turned": lambda: turned(photos, options.photos),
        "small": lambda: small(photos),
        "none": lambda: none(data),
    }
    print(json.dumps({name: parts[name]() for name in options.only.split(",")}, indent=1))


if __name__ == "__main__":
    main()
