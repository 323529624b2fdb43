"""How systems bear bad pictures: extreme light, occlusion, low quality.

Photographs of Extended Yale B under lights near the camera (S1 and S2) are spoiled in one way at a
time, to several degrees, and scored against the normals that were measured; then the photographs
of S3 to S5 as they are. Only pixels that can be seen count, and what a system expects its error to
be stands beside what it is: a system that is worse on a bad picture should say so.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facerelief.cache import cache_folder
from facerelief.data import yaleb
from facerelief.evaluate import pictures, predictions, predictors, report
from facerelief.evaluate.predictors import MEAN_MAP
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.scores import ImageScore, figures, score_image
from facerelief.evaluate.yaleb import Subject, load_subject, yale_root
from facerelief.geometry.normals import encode

Crop = NDArray[np.uint8]  # (256, 256, 3) RGB
Mask = NDArray[np.bool_]  # (256, 256)
#: Spoils a crop whose face is at a mask, and says what is left to be seen of it.
Way = Callable[[Crop, Mask, np.random.Generator], tuple[Crop, Mask]]


@dataclass(frozen=True)
class Condition:
    """A way of spoiling a picture, or none, and the lights whose photographs are taken."""

    name: str
    spoil: Way
    subsets: tuple[int, ...] = (1, 2)
    shown: bool = False  # in the pictures


def as_it_is(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
    """Nothing is spoiled and all of the face is visible."""
    return crop, face


def _way(spoil: Callable[[Crop, float, np.random.Generator], Crop]) -> Callable[[float], Way]:
    """A way of spoiling that hides nothing, of any strength."""

    def of(strength: float) -> Way:
        return lambda crop, face, g: (spoil(crop, strength, g), face)

    of.__doc__ = spoil.__doc__
    return of


@_way
def low_resolution(crop: Crop, pixels: float, g: np.random.Generator) -> Crop:
    """A face photographed from far: the crop was `pixels` wide."""
    small = Image.fromarray(crop).resize((int(pixels),) * 2, Image.Resampling.BOX)
    return np.asarray(small.resize(crop.shape[1::-1], Image.Resampling.BICUBIC))


@_way
def blurred(crop: Crop, sigma: float, g: np.random.Generator) -> Crop:
    """Out of focus; `sigma` in pixels of the crop."""
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(sigma)))


@_way
def noisy(crop: Crop, sigma: float, g: np.random.Generator) -> Crop:
    """A sensor's noise, independent by pixel and channel; `sigma` in 255ths."""
    return _to_bytes(crop + g.normal(0, sigma, crop.shape))


@_way
def jpeg(crop: Crop, quality: float, g: np.random.Generator) -> Crop:
    """Compressed and read back."""
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "JPEG", quality=int(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


@_way
def exposed(crop: Crop, gain: float, g: np.random.Generator) -> Crop:
    """Too dark, with few levels left, or too bright, clipped."""
    return _to_bytes(crop.astype(np.float32) * gain)


def occluded(share: float) -> Way:
    """A textured rectangle about some point of the face hides `share` of it."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        rows, columns = np.nonzero(face)
        middle, aspect = g.integers(len(rows)), np.exp(g.uniform(-0.4, 0.4))
        y, x = np.indices(face.shape)
        apart = np.maximum(abs(y - rows[middle]) / aspect, abs(x - columns[middle]) * aspect)
        inside = apart <= np.quantile(apart[face], share)
        # Coarse and fine noise, as PRNet's occluders have it.
        texture = np.mean([_noise(crop.shape, cells, g) for cells in (4, 16, 64)], axis=0)
        return np.where(inside[..., None], _to_bytes(texture), crop), face & ~inside

    return spoil


CONDITIONS = (
    Condition("As photographed", as_it_is, shown=True),
    Condition("Light up to 50° off the axis (S3)", as_it_is, (3,)),
    Condition("Light up to 77° (S4)", as_it_is, (4,), shown=True),
    Condition("Light beyond (S5)", as_it_is, (5,), shown=True),
    Condition("Exposed a quarter", exposed(1 / 4)),
    Condition("Exposed a sixteenth", exposed(1 / 16), shown=True),
    Condition("Overexposed twice", exposed(2)),
    Condition("Overexposed four times", exposed(4), shown=True),
    Condition("A tenth occluded", occluded(0.1)),
    Condition("A quarter occluded", occluded(0.25)),
    Condition("Half occluded", occluded(0.5), shown=True),
    Condition("64 pixels wide", low_resolution(64)),
    Condition("32 pixels wide", low_resolution(32)),
    Condition("16 pixels wide", low_resolution(16), shown=True),
    Condition("Blurred by 3 pixels", blurred(3)),
    Condition("Blurred by 8 pixels", blurred(8), shown=True),
    Condition("Noise of 10/255", noisy(10)),
    Condition("Noise of 40/255", noisy(40), shown=True),
    Condition("JPEG, quality 20", jpeg(20)),
    Condition("JPEG, quality 5", jpeg(5), shown=True),
)


@dataclass(frozen=True, eq=False)
class Spoiled:
    """Photographs of a person, spoiled in one way."""

    subject: Subject
    condition: Condition
    names: list[str]  # of files: the condition's folder and the photograph
    crops: list[Crop]
    visible: list[Mask]


class Robustness(Protocol[tuple[str, Condition], Spoiled, tuple[str, ImageScore]]):
    """The test people, each in every condition."""

    name = "robustness"
    reserved = (MEAN_MAP,)
    csv = None
    kept = False

    def __init__(self) -> None:
        self._load = lru_cache(maxsize=1)(load_subject)
        self._rows: list[NDArray[np.uint8]] = []  # of the picture of the present person

    def keys(self) -> list[tuple[str, Condition]]:
        people = yaleb.load_splits(yale_root())["test"]
        return [(name, condition) for name in people for condition in CONDITIONS]

    def load(self, key: tuple[str, Condition]) -> Spoiled:
        name, condition = key
        subject = self._load(yale_root(), name, cache_folder() / "yaleb")
        folder = re.sub(r"\W+", "_", condition.name).strip("_").lower()
        taken = np.isin(subject.person.subsets, condition.subsets)
        names = [f"{folder}/{name}" for name in np.array(subject.photographs)[taken]]
        return Spoiled(subject, condition, names, *spoiled(subject, condition))

    def pictures(self, subject: Spoiled) -> tuple[list[str], list[Crop]]:
        return subject.names, subject.crops

    def floors(self) -> dict[str, Floor[Spoiled]]:
        return {MEAN_MAP: lambda subject: predictors.mean_map(len(subject.crops))}

    def score(self, folder: Path, subject: Spoiled) -> list[tuple[str, ImageScore]]:
        """Names of conditions with the scores of their photographs."""
        scores = []
        for name, seen in zip(subject.names, subject.visible, strict=True):
            normals, expected = predictions.read(folder, name, seen.shape)
            one = score_image(normals, expected, subject.subject.normals, seen)
            scores.append((subject.condition.name, one))
        return scores

    def tabulate(self, scores: Sequence[tuple[str, ImageScore]]) -> dict[str, Any]:
        """For each condition what `scores.figures` gives."""
        names = [condition.name for condition in CONDITIONS]
        return {"conditions": {n: figures([one for of, one in scores if of == n]) for n in names}}

    def facts(self, scores: Sequence[tuple[str, ImageScore]]) -> dict[str, Any]:
        return {"people": len(yaleb.load_splits(yale_root())["test"]), "floor": MEAN_MAP}

    def draw(self, out: Path, subject: Spoiled, folders: Mapping[str, Path]) -> None:
        """``pictures/PERSON.png``: of conditions that are shown, a photograph and all normals."""
        face = subject.subject.mask
        if subject.condition.shown:
            found = [predictions.read(f, subject.names[0], face.shape)[0] for f in folders.values()]
            self._rows.append(_row(subject.crops[0], [subject.subject.normals, *found], face))
        if subject.condition is CONDITIONS[-1]:
            folder = out / "pictures"
            folder.mkdir(exist_ok=True)
            names = [f"{c.name}: photo, truth, {', '.join(folders)}" for c in CONDITIONS if c.shown]
            sheet = pictures.labelled(self._rows, names)
            sheet.save(folder / f"{subject.subject.person.name}.png")
            self._rows = []

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        """A line a condition, a column a system."""
        systems = report.labelled(results["systems"], [results["floor"]])
        names = list(next(iter(systems.values()))["conditions"])
        rows = ([name, *(_cell(s["conditions"][name]) for s in systems.values())] for name in names)
        return f"""\
Photographs of Extended Yale B, {results["people"]} test people, lights up to 25 degrees off the \
camera axis unless said, spoiled in one way at a time: angular error in degrees where the face is \
visible, in brackets what the system itself expects there.

{report.table(["Photograph", *systems], rows)}
"""


def _cell(figures: dict[str, Any]) -> str:
    expected = figures["expected_error"]
    missed = 100 * figures["missed"] / max(figures["images"], 1)
    own = "" if expected is None else f" ({expected['mean']:.1f})"
    return f"{report.number(figures['mean'])}{own}" + (f", {missed:.0f} % missed" if missed else "")


def spoiled(subject: Subject, condition: Condition) -> tuple[list[Crop], list[Mask]]:
    """Spoiled crops of one person, the same at every call, and what is visible of the face."""
    crops, visible = [], []
    person = subject.person
    for name, subset, image in zip(subject.photographs, person.subsets, person.images, strict=True):
        if subset in condition.subsets:
            g = np.random.default_rng(zlib.crc32(f"{condition.name} {name}".encode()))
            crop, seen = condition.spoil(yaleb.crop_image(image), subject.mask, g)
            crops.append(crop)
            visible.append(seen)
    return crops, visible


def _row(crop: Crop, maps: Sequence[NDArray[np.float32]], face: Mask) -> NDArray[np.uint8]:
    known = face[..., None]
    cells = [np.where(known & one.any(axis=-1, keepdims=True), encode(one), 255) for one in maps]
    return np.hstack([crop, *cells]).astype(np.uint8)


def _noise(shape: Sequence[int], cells: int, g: np.random.Generator) -> NDArray[np.uint8]:
    grid = Image.fromarray(g.integers(0, 256, (cells, cells, 3), np.uint8))
    return np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
