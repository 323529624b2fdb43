"""The protocol on the Extended Yale Database B: measured normals of people under single lights.

Every photograph of every person of a split, cropped by `facerelief.data.yaleb.crop_image`, against
the normals that photometric stereo measured. Subsets S1 to S5 go by the light's angle off the
camera axis; the headline is S1 to S4 pooled. A pixel counts where its measured normal can be
trusted and the system has an answer; coverage says how many of the trusted ones have one.

Two steps that share nothing but files (see `predictions`): step one writes
``OUT/predictions/SYSTEM/yaleBxx_P00A{azimuth}E{elevation}.npz``, step two scores what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.cache import cache_folder
from facerelief.data import yaleb
from facerelief.data.folders import data_root
from facerelief.evaluate import bands, pictures, predictions, predictors, report
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import MEAN_MAP
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.scores import ImageScore, figures, grouped, score_image
from facerelief.geometry.light import direction
from facerelief.geometry.normals import normalise

POOLED = (1, 2, 3, 4)  # subsets of the headline; S5 is nearly black
AVERAGED = 0  # the "subset" of the mean over the headline's estimates of a person

#: Photographs that a sheet of error maps shows: those whose lights are nearest to these
#: (azimuth, elevation), degrees.
SHOWN_LIGHTS = ((0, 0), (-35, 15), (70, 0))

#: Edges of the table by light, degrees: positive azimuth lights the picture's left, positive
#: elevation comes from above.
AZIMUTHS = (-75, -42, -17, 17, 42, 75)  # between the lights of S1 to S4
ELEVATIONS = (70, 30, 12, -15, -45)


@dataclass(frozen=True, eq=False)
class Subject:
    """One person of the split, with the measured surface in the crop's frame."""

    person: yaleb.Person
    normals: NDArray[np.float32]  # (256, 256, 3)
    mask: NDArray[np.bool_]  # (256, 256)

    @property
    def photographs(self) -> list[str]:
        """Names of the photographs, as the database's files have them."""
        lights = zip(self.person.azimuth, self.person.elevation, strict=True)
        return [f"{self.person.name}_P00A{a:+04.0f}E{e:+03.0f}" for a, e in lights]


@dataclass(frozen=True, eq=False)
class PhotographScore:
    """How a system did on one photograph."""

    name: str
    person: str
    subset: int
    azimuth: float  # degrees, of the light
    elevation: float
    score: ImageScore
    bands: dict[str, float] | None = None


class Yaleb(Protocol[str, Subject, PhotographScore]):
    """Args: split: train, val or test. Raises EvaluationError for another."""

    name = "yaleb"
    reserved = (MEAN_MAP,)

    def __init__(self, split: str = "test") -> None:
        self.split = split

    def keys(self) -> list[str]:
        splits = yaleb.load_splits(yale_root())
        if self.split not in splits:
            raise EvaluationError(
                f"no split is called {self.split!r}; there are: {', '.join(splits)}"
            )
        return splits[self.split]

    def load(self, key: str) -> Subject:
        return load_subject(data_root(), key, cache_folder() / "yaleb")

    def pictures(self, subject: Subject) -> tuple[list[str], list[NDArray[np.uint8]]]:
        crops = [yaleb.crop_image(image) for image in subject.person.images]
        return subject.photographs, crops

    def floors(self) -> dict[str, Floor[Subject]]:
        return {MEAN_MAP: lambda subject: predictors.mean_map(len(subject.photographs))}

    def score(self, folder: Path, subject: Subject) -> list[PhotographScore]:
        """One a photograph, and one of the mean of those that are pooled."""
        scores = []
        person, total = subject.person, np.zeros_like(subject.normals)
        lights = zip(person.subsets, person.azimuth, person.elevation, strict=True)
        for name, (subset, azimuth, elevation) in zip(subject.photographs, lights, strict=True):
            normals, expected = predictions.read(folder, name, subject.mask.shape)
            light = (int(subset), float(azimuth), float(elevation))
            one = score_image(normals, expected, subject.normals, subject.mask)
            split = bands.bands(normals, subject.normals, subject.mask)
            scores.append(PhotographScore(name, person.name, *light, one, split))
            if subset in POOLED:
                total += normals
        mean = score_image(normalise(total), None, subject.normals, subject.mask)
        return [*scores, PhotographScore("mean", person.name, AVERAGED, 0, 0, mean)]

    def tabulate(self, scores: Sequence[PhotographScore]) -> dict[str, Any]:
        """Figures: pooled (S1 to S4), by subset, and, S1 to S4, by person and by light.

        Then ``bands`` of the latter, and ``averaged``, of each person's mean estimate.
        """
        lit = [one for one in scores if one.subset != AVERAGED]
        pooled = [one for one in lit if one.subset in POOLED]
        averaged = [one for one in scores if one.subset == AVERAGED]
        return {
            "pooled": _figures(pooled),
            "subsets": {
                f"S{number}": _figures(group)
                for number, group in sorted(grouped(lit, lambda one: one.subset).items())
            },
            "people": {name: _figures(group) for name, group in sorted(_people(pooled).items())},
            "lights": by_light(pooled),
            "bands": bands.figures([one.bands for one in pooled]),
            "averaged": {
                "pooled": _figures(averaged),
                "people": {name: _figures(one) for name, one in _people(averaged).items()},
            },
        }

    def facts(self, scores: Sequence[PhotographScore]) -> dict[str, Any]:
        return {
            "split": self.split,
            "people": list(_people(scores)),
            "photographs": sum(one.subset != AVERAGED for one in scores),
            "floor": MEAN_MAP,
        }

    def row(self, score: PhotographScore) -> dict[str, Any] | None:
        if score.subset == AVERAGED:
            return None
        place = {"photograph": score.name, "person": score.person, "subset": score.subset}
        return {**place, **score.score.row}

    def draw(self, out: Path, subject: Subject, folders: Mapping[str, Path]) -> None:
        """Photo, estimate, truth and error for a few photographs of the person."""
        wanted = direction(*np.transpose(SHOWN_LIGHTS))
        shown = np.argmax(wanted @ subject.person.directions.T, axis=1)
        pictures.draw_sheets(out, subject.person.name, folders, [
            (subject.photographs[i], yaleb.crop_image(subject.person.images[i]),
             subject.normals, subject.mask) for i in shown
        ])  # fmt: skip

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        """One table of everything pooled, one by subset, one by person, then bands."""
        systems = report.labelled(results["systems"], [results["floor"]])
        subsets = list(next(iter(systems.values()))["subsets"])
        return f"""\
Extended Yale B, {results["split"]} people ({len(results["people"])}, {results["photographs"]} \
photographs): angular error in degrees, S1 to S4 pooled. Ranking is that of the expected error: 0 \
orders pixels like the true error, 1 like chance.

{report.pooled(systems, "pooled")}

Mean by subset: lights up to 12, 25, 50 and 77 degrees off the camera axis, and beyond.

{report.means(systems, "subsets", names=subsets)}

Mean by person, S1 to S4.

{report.means(systems, "people", names=results["people"])}
{report.band_table(systems, "S1 to S4", "bands")}{_averaged_table(systems)}"""


def yale_root() -> Path:
    """The data folder, if it has Extended Yale B. Raises FileNotFoundError."""
    root = data_root()
    if not (root / "yaleb").is_dir():
        raise FileNotFoundError(f"{root} does not hold the Extended Yale Database B (yaleb)")
    return root


def load_subject(root: Path, name: str, cache: Path | None = None) -> Subject:
    """A person and the measured surface. Raises FileNotFoundError where there is none."""
    person = yaleb.load_person(root, name)
    return Subject(person, *yaleb.crop_truth(yaleb.load_ground_truth(person, cache)))


def by_light(scores: Sequence[PhotographScore]) -> list[dict[str, Any]]:
    """``images``, ``mean`` and ``std`` in bins of ``azimuth`` and ``elevation``, [low, high)."""
    table = []
    for high, low in pairwise(ELEVATIONS):
        for left, right in pairwise(AZIMUTHS):
            means = [
                one.score.errors.mean(dtype=np.float64)
                for one in scores
                if left <= one.azimuth < right
                and low <= one.elevation < high
                and one.score.errors.size
            ]
            table.append(
                {
                    "azimuth": [left, right],
                    "elevation": [low, high],
                    "images": len(means),
                    "mean": round(float(np.mean(means)), 4) if means else None,
                    "std": round(float(np.std(means)), 4) if means else None,
                }
            )
    return table


def _figures(scores: Sequence[PhotographScore]) -> dict[str, Any]:
    return figures([one.score for one in scores])


def _people(scores: Sequence[PhotographScore]) -> dict[str, list[PhotographScore]]:
    return grouped(scores, lambda one: one.person)


def _averaged_table(systems: dict[str, Any]) -> str:
    """The error of each person's mean estimate, where it was measured."""
    measured = {n: one["averaged"]["people"] for n, one in systems.items() if one.get("averaged")}
    if not any(measured.values()):
        return ""
    rows = {n: {"mean": systems[n]["averaged"]["pooled"], **one} for n, one in measured.items()}
    return f"""
Error of the mean of a person's estimates, S1 to S4: what light is not to blame for.

{report.means(rows)}
"""
