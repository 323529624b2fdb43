"""Pictures that the documentation may show: a portrait in the public domain, and rendered heads.

Heads have true normals; skins, hair and light are CC0, nothing lifted from photographs of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tables import ROOT

from facerelief import load
from facerelief.evaluate.robustness import CONDITIONS, Condition
from facerelief.geometry.normals import angular_error, encode
from facerelief.images import load_photo
from facerelief.pictures import colour_error

PICTURES = ROOT / "docs" / "pictures"
SEED, HEADS = 2026, (0, 2, 5)

_LINE = 22  # pixels, of text
_TILE = 160  # pixels, of a picture


@dataclass(frozen=True, eq=False)
class Specimen:
    """A crop, and the truth about it if there is one."""

    crop: NDArray[np.uint8]  # (256, 256, 3)
    mask: NDArray[np.bool_]  # (256, 256): the face
    normals: NDArray[np.float32] | None = None


@cache
def specimens() -> tuple[Specimen, ...]:
    """The portrait, then heads. Raises OSError where the portrait is missing."""
    photo = load_photo(ROOT / "examples" / "astronaut.jpg")
    face = load("default")(photo)[0]
    return (Specimen(face.crop.extract(photo), face.mask), *_heads())


def draw(name: str, networks: Mapping[str, Path]) -> None:
    """``docs/pictures/NAME.jpg``: a line a network (.onnx files) of its normals and errors."""
    shown = specimens()
    crops = np.stack([one.crop for one in shown])
    lines = [("Photo and truth", [_truth(one) for one in shown])]
    for label, file in networks.items():
        normals = load(str(file)).estimate_crops(crops).normals
        lines.append((label, [_estimate(*pair) for pair in zip(shown, normals, strict=True)]))
    _save(name, lines)


def draw_spoiled(name: str, networks: Mapping[str, Path]) -> None:
    """``docs/pictures/NAME.jpg``: what is left of the normals in pictures that are spoiled."""
    shown = specimens()[:2]
    loaded = [load(str(file)) for file in networks.values()]
    lines = []
    for condition in CONDITIONS:
        if not condition.shown or condition.subsets != Condition.subsets:
            continue
        g = np.random.default_rng(SEED)
        spoiled = [condition.spoil(one.crop, one.mask, g) for one in shown]
        maps = [
            one.estimate_crops(np.stack([crop for crop, _ in spoiled])).normals for one in loaded
        ]
        cells = [
            [crop, *(_within(encode(normals[index]), seen) for normals in maps)]
            for index, (crop, seen) in enumerate(spoiled)
        ]
        lines.append((f"{condition.name}: {', '.join(networks)}", cells))
    _save(name, lines)


def _heads() -> list[Specimen]:
    from facerelief.synth.assets import Assets
    from facerelief.synth.draw import PoseRange, SynthOptions
    from facerelief.synth.produce import random_heads

    options = SynthOptions(lifted=False, occluders=False, pose=PoseRange(yaw=45, pitch=15, roll=10))
    make = random_heads(Assets.find(), options, SEED, "torch", 0)
    made = [make(index) for index in HEADS]
    return [Specimen(one.photo, one.mask, one.normals) for one in made]


def _truth(one: Specimen) -> list[NDArray[np.uint8]]:
    if one.normals is None:
        return [one.crop]
    return [one.crop, _within(encode(one.normals), one.mask)]


def _estimate(one: Specimen, normals: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    maps = [_within(encode(normals), one.mask)]
    if one.normals is not None:
        error = np.nan_to_num(angular_error(normals, one.normals))
        maps.append(_within(colour_error(error), one.mask))
    return maps


def _within(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mask[..., None], picture, 255).astype(np.uint8)


def _save(name: str, lines: list[tuple[str, list[list[NDArray[np.uint8]]]]]) -> None:
    columns = sum(len(cells) for cells in lines[0][1])
    canvas = Image.new("RGB", (columns * _TILE, len(lines) * (_TILE + _LINE)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for row, (label, groups) in enumerate(lines):
        top = row * (_TILE + _LINE)
        pen.text((4, top + _LINE / 2), label, "black", font, "lm")
        for column, cell in enumerate(cell for group in groups for cell in group):
            tile = Image.fromarray(cell).resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            canvas.paste(tile, (column * _TILE, top + _LINE))
    PICTURES.mkdir(parents=True, exist_ok=True)
    canvas.save(PICTURES / f"{name}.jpg", quality=88)
