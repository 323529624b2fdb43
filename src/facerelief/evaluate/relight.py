"""Relighting against real photographs: Extended Yale B's people under one light, predicted from
another.

From a photograph under light A, and the normals that a system sees in it alone, the photograph
under light B is predicted, of which only the direction is told. Its exposure is not: predictions
are scaled to be nearest, and compared over the face, brows, eyes and nostrils included, in linear
light as the files are. A is every `EVERY`th photograph of S1 to S4, B every other one of them.

Beside the systems stand the photograph under A itself (`COPY`), the ratio image of the mean normal
map (`RATIO`: A times the ratio of its shadings under both lights, for which A's direction is told,
too), the same method with the mean map's normals, and with those that photometric stereo measured
from all photographs of the person (`MEASURED`): what shape alone can bring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter

from facerelief.arrays import BoolArray, FloatArray
from facerelief.data import yaleb
from facerelief.encode import to_png
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.picture_metrics import aligned, psnr, ssim
from facerelief.evaluate.predictors import MEAN_MAP, yale_mean
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.report import table
from facerelief.evaluate.scores import grouped
from facerelief.evaluate.yaleb import POOLED, Subject, Yaleb
from facerelief.files import write_files
from facerelief.geometry.light import Light
from facerelief.geometry.lights import Lights
from facerelief.geometry.normals import angular_error, normalise
from facerelief.geometry.relightable import Relightable, Surface, resized

COPY, RATIO, MEASURED = "copy", "mean-map-ratio", "measured-normals"
FLOORS = (COPY, RATIO, MEAN_MAP, MEASURED)
EVERY = 8
EDGES = (0, 20, 40, 60, 80, 180)  # degrees between the lights
FAR = 40  # beyond which the headline looks
AMBIENT = 0.02  # of a lamp, in a room that is not quite black
_RATIO = 0.05, 8.0  # what is added to its shadings, and what it is at most: best on other people
_SIZE = yaleb.PADDED  # pixels of a side: the photographs' own
_SHOWN = 3  # predictions of a person that are drawn


class Relight(Protocol[str, Subject, dict[str, Any]]):
    """Args: split: train, val or test. Raises EvaluationError for another."""

    name = "relight"
    reserved = FLOORS
    csv = "pairs.csv"
    kept = False

    def __init__(self, split: str = "test") -> None:
        self.people = Yaleb(split)

    def keys(self) -> list[str]:
        return self.people.keys()

    def load(self, key: str) -> Subject:
        return self.people.load(key)

    def pictures(self, subject: Subject) -> tuple[list[str], list[NDArray[np.uint8]]]:
        chosen = _sources(subject)
        names = subject.photographs
        crops = [yaleb.crop_image(subject.person.images[index]) for index in chosen]
        return [names[index] for index in chosen], crops

    def floors(self) -> dict[str, Floor[Subject]]:
        def mean(subject: Subject) -> list[predictions.Arrays]:
            return predictors.mean_map(len(_sources(subject)))

        def measured(subject: Subject) -> list[predictions.Arrays]:
            normals = filled(subject.normals, subject.mask)
            return [{"normals": normals}] * len(_sources(subject))

        return {COPY: mean, RATIO: mean, MEAN_MAP: mean, MEASURED: measured}

    def score(self, folder: Path, subject: Subject) -> list[dict[str, Any]]:
        """A row for each pair of photographs."""
        mask = face_region(subject.mask)
        names, lights = subject.photographs, subject.person.directions
        rows = []
        for source in _sources(subject):
            normals, _ = predictions.read(folder, names[source], subject.mask.shape)
            predict = _predictor(folder.name, subject, source, normals, mask)
            for target in _targets(subject, source):
                truth = _photograph(subject, target)
                found = aligned(predict(lights[target]), truth, mask)
                rows.append({
                    "person": subject.person.name,
                    "source": names[source],
                    "target": names[target],
                    "angle": round(float(angular_error(lights[source], lights[target])), 2),
                    "psnr": round(psnr(found, truth, mask), 3),
                    "ssim": round(ssim(found, truth, mask), 4),
                })  # fmt: skip
        return rows

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        far = [one for one in scores if one["angle"] >= FAR]
        return {
            "far": _figures(far),
            "angles": {
                f"{low} to {high}": _figures([s for s in scores if low <= s["angle"] < high])
                for low, high in pairwise(EDGES)
            },
            "people": {
                name: _figures(some) for name, some in grouped(far, lambda s: s["person"]).items()
            },
        }

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        people = sorted({one["person"] for one in scores})
        return {
            "split": self.people.split,
            "people": people,
            "sources": len({one["source"] for one in scores}),
            "pairs": len(scores),
            "floors": list(FLOORS),
        }

    def draw(self, out: Path, subject: Subject, folders: Mapping[str, Path]) -> None:
        """Rows of the photograph, what everyone makes of it, and the true one."""
        mask = face_region(subject.mask)
        source = _sources(subject)[len(_sources(subject)) // 2]
        lights, targets = subject.person.directions, _targets(subject, source)
        far = [t for t in targets if angular_error(lights[source], lights[t]) >= FAR]
        rows = []
        for target in far[:: max(1, len(far) // _SHOWN)][:_SHOWN]:
            truth = _photograph(subject, target)
            made: list[FloatArray] = [_photograph(subject, source)]
            for label, folder in folders.items():
                name = subject.photographs[source]
                normals, _ = predictions.read(folder, name, subject.mask.shape)
                predict = _predictor(label, subject, source, normals, mask)
                made.append(aligned(predict(lights[target]), truth, mask) * mask)
            rows.append(np.hstack([*made, truth]))
        if rows:
            picture = np.rint(np.clip(np.vstack(rows), 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
            path = out / "pictures" / f"{subject.person.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_files({path: to_png(picture)})

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        """PSNR by angle and, beyond `FAR`, SSIM, and what is gained."""
        systems = results["systems"]
        base = {name: systems[name]["far"]["psnr"] for name in (COPY, RATIO, MEASURED)}
        rows = []
        for name, one in systems.items():
            far = one["far"]
            gains = [f"{far['psnr'] - base[other]:+.2f}" for other in base]
            bands = [_two(band["psnr"]) for band in one["angles"].values()]
            label = f"{name} (floor)" if name in (COPY, RATIO, MEAN_MAP) else name
            rows.append([label, *bands, _two(far["psnr"]), f"{far['ssim']:.3f}", *gains])
        bands = list(next(iter(systems.values()))["angles"])
        headings = [
            "Normals of", *(f"{band}°" for band in bands), f"Beyond {FAR}°", "SSIM",
            "over copy", "over ratio", "over measured",
        ]  # fmt: skip
        people, split = len(results["people"]), results["split"]
        return f"""\
Extended Yale B, {split} people ({people}): {results["pairs"]} photographs under a light B, \
predicted from {results["sources"]} under a light A, by the angle between the lights. PSNR in \
decibels over the face, exposure aligned, linear light; then SSIM and the gain in decibels beyond \
{FAR}°.

{table(headings, rows)}
"""


def face_region(trusted: BoolArray) -> BoolArray:
    """(200, 200) the face: where normals (256, 256) could be measured, and the holes in that."""
    room = np.pad(trusted, 16)
    closed = binary_fill_holes(binary_closing(room, iterations=8))[16:-16, 16:-16]
    return np.asarray(resized(closed.astype(np.float32), (_SIZE, _SIZE)) > 0.5)


def filled(normals: FloatArray, known: BoolArray) -> NDArray[np.float32]:
    """Normals (H, W, 3) where they are known, and a smooth continuation of them elsewhere."""
    weight = known[..., None].astype(np.float32)
    smooth = gaussian_filter(normals * weight, (8, 8, 0)) + np.array([0, 0, 1e-4])
    return np.where(known[..., None], normals, normalise(smooth)).astype(np.float32)


def mean_ratio(photo: FloatArray, source: FloatArray, target: FloatArray) -> NDArray[np.float32]:
    """(200, 200) a photograph times the ratio of the mean map's shadings under two lights (3,)."""
    added, most = _RATIO
    mean = _mean_normals()
    old, new = (
        np.maximum(mean @ light.astype(np.float32), 0) + added for light in (source, target)
    )
    result: NDArray[np.float32] = photo * np.minimum(new / old, most)
    return result


@cache
def _mean_normals() -> NDArray[np.float32]:
    return normalise(resized(yale_mean(), (_SIZE, _SIZE))).astype(np.float32)


def _predictor(
    label: str, subject: Subject, source: int, normals: FloatArray, mask: BoolArray
) -> Callable[[NDArray[np.float64]], FloatArray]:
    """What predicts the photograph (200, 200) under a light (3,), for a label's normals."""
    photo = _photograph(subject, source)
    if label == COPY:
        return lambda light: photo
    if label == RATIO:
        own = subject.person.directions[source]
        return lambda light: mean_ratio(photo, own, light)
    normals = normalise(resized(normals, (_SIZE, _SIZE))).astype(np.float32)
    parts = Relightable.of(
        np.repeat(photo[..., None], 3, axis=-1), Surface.of(normals, mask), mask.astype(np.float32)
    )

    def predict(light: NDArray[np.float64]) -> NDArray[np.float32]:
        lamp = Light((light[0], light[1], light[2]), ambient=(AMBIENT,) * 3)
        return parts.under(Lights.of(lamp))[..., 0]

    return predict


def _photograph(subject: Subject, index: int) -> NDArray[np.float32]:
    """(200, 200) linear light in [0, 1]."""
    values: NDArray[np.float32] = yaleb.pad(subject.person.images[index]).astype(np.float32)
    return values / np.float32(255)


def _pooled(subject: Subject) -> NDArray[np.int64]:
    return np.flatnonzero(np.isin(subject.person.subsets, POOLED))


def _sources(subject: Subject) -> list[int]:
    return [int(index) for index in _pooled(subject)[::EVERY]]


def _targets(subject: Subject, source: int) -> list[int]:
    return [int(index) for index in _pooled(subject) if index != source]


def _figures(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``pairs`` and, over them, the means of ``psnr`` and ``ssim``; None for no pairs."""
    means = {
        key: round(float(np.mean([one[key] for one in scores])), 4) if scores else None
        for key in ("psnr", "ssim")
    }
    return {"pairs": len(scores), **means}


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
