"""How systems bear bad pictures: extreme light, occlusion, low quality.

Photographs of Extended Yale B under lights near the camera (S1 and S2) are spoiled in one way at a
time, to several degrees, and scored against the normals that were measured; then the photographs
of S3 to S5 as they are. Only pixels that can be seen count, and what a system expects its error to
be stands beside what it is: a system that is worse on a bad picture should say so.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facerelief import __version__
from facerelief.data import yaleb
from facerelief.data.folders import cache_folder, data_root
from facerelief.evaluate import pictures, predictors, protocol, report
from facerelief.evaluate.comparison import expanded
from facerelief.evaluate.scores import ImageScore, figures, score_image
from facerelief.evaluate.yaleb import Subject, load_subject
from facerelief.files import make_folder
from facerelief.geometry.normals import encode

Crop = NDArray[np.uint8]  # (256, 256, 3) RGB
Mask = NDArray[np.bool_]  # (256, 256)


@dataclass(frozen=True)
class Condition:
    """A way of spoiling a picture, or none, and the lights whose photographs are taken."""

    name: str
    spoil: Callable[[Crop, Mask, np.random.Generator], tuple[Crop, Mask]]
    subsets: tuple[int, ...] = (1, 2)
    shown: bool = False  # in the pictures


def as_it_is(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
    """Nothing is spoiled and all of the face is visible."""
    return crop, face


def low_resolution(pixels: int) -> Callable[..., tuple[Crop, Mask]]:
    """A face photographed from far: the crop was `pixels` wide."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        small = Image.fromarray(crop).resize((pixels, pixels), Image.Resampling.BOX)
        large = small.resize(crop.shape[1::-1], Image.Resampling.BICUBIC)
        return np.asarray(large), face

    return spoil


def blurred(sigma: float) -> Callable[..., tuple[Crop, Mask]]:
    """Out of focus; `sigma` in pixels of the crop."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(sigma))), face

    return spoil


def noisy(sigma: float) -> Callable[..., tuple[Crop, Mask]]:
    """A sensor's noise, independent by pixel and channel; `sigma` in 255ths."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        return _to_bytes(crop + g.normal(0, sigma, crop.shape)), face

    return spoil


def jpeg(quality: int) -> Callable[..., tuple[Crop, Mask]]:
    """Compressed and read back."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        buffer = io.BytesIO()
        Image.fromarray(crop).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer).convert("RGB")), face

    return spoil


def exposed(gain: float) -> Callable[..., tuple[Crop, Mask]]:
    """Too dark, with few levels left, or too bright, clipped."""

    def spoil(crop: Crop, face: Mask, g: np.random.Generator) -> tuple[Crop, Mask]:
        return _to_bytes(crop.astype(np.float32) * gain), face

    return spoil


def occluded(share: float) -> Callable[..., tuple[Crop, Mask]]:
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


def run_robustness(
    systems: Sequence[str],
    out: Path,
    *,
    peer_python: Path | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Score systems on spoiled photographs of the test people.

    Args:
        systems: as of `run_table`, without folders of predictions. The floor ``mean-map`` is
            always added.
        out: folder for ``results.json``, ``results.md`` and ``pictures/PERSON.png``; made if
            missing.
        peer_python, threads, progress: as of `run_yaleb`.

    Returns:
        What ``results.json`` holds: for each system and condition what `scores.figures` gives.

    Raises:
        Whatever `run_yaleb` does.
    """
    root, cache = data_root(), cache_folder() / "yaleb"
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(expanded(systems), root, peer_python, threads)
    entrants.insert(0, predictors.mean_map(predictors.training_mean(root, cache)))
    make_folder(out / "pictures")
    people = [load_subject(root, name, cache) for name in yaleb.load_splits(root)["test"]]

    found: dict[str, dict[str, Any]] = {entrant.label: {} for entrant in entrants}
    rows: list[list[NDArray[np.uint8]]] = [[] for _ in people]
    for condition in track(CONDITIONS, "spoiled photographs"):
        scores: dict[str, list[ImageScore]] = {label: [] for label in found}
        for subject, row in zip(people, rows, strict=True):
            crops, visible = spoiled(subject, condition)
            maps = [subject.normals]
            for entrant in entrants:
                estimates = list(protocol.predict(crops, entrant))
                maps.append(estimates[0][0])
                scores[entrant.label] += (
                    score_image(normals, expected, subject.normals, seen)
                    for (normals, expected), seen in zip(estimates, visible, strict=True)
                )
            if condition.shown:
                row.append(_row(crops[0], maps, subject.mask))
        for label, images in scores.items():
            found[label][condition.name] = figures(images)
    names = [f"{c.name}: photo, truth, {', '.join(found)}" for c in CONDITIONS if c.shown]
    for subject, row in zip(people, rows, strict=True):
        sheet = pictures.labelled(row, names)
        sheet.save(out / "pictures" / f"{subject.person.name}.png")

    results: dict[str, Any] = {
        "protocol": "robustness",
        "version": __version__,
        "people": len(people),
        "floor": predictors.MEAN_MAP,
        "systems": {
            entrant.label: {**entrant.about, "conditions": found[entrant.label]}
            for entrant in entrants
        },
    }
    protocol.write_results(out, results, report.robustness_markdown(results))
    return results


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
