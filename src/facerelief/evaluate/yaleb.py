"""The protocol on the Extended Yale Database B: measured normals of people under single lights.

Every photograph of every person of a split, cropped by `facerelief.data.yaleb.crop_image`, against
the normals that photometric stereo measured. Subsets S1 to S5 go by the light's angle off the
camera axis; the headline is S1 to S4 pooled. A pixel counts where its measured normal can be
trusted and the system has an answer; coverage says how many of the trusted ones have one.

Two steps that share nothing but files (see `predictions`): step one writes
``OUT/predictions/SYSTEM/yaleBxx_P00A{azimuth}E{elevation}.npz``, step two scores what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.data import yaleb
from facerelief.data.folders import cache_folder, data_root
from facerelief.evaluate import pictures, predictions, predictors, protocol, report
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import MEAN_MAP, Predictor
from facerelief.evaluate.scores import ImageScore, figures, score_image
from facerelief.files import make_folder
from facerelief.geometry.light import direction

POOLED = (1, 2, 3, 4)  # subsets of the headline; S5 is nearly black

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


def run_yaleb(
    systems: Sequence[str],
    out: Path,
    split: str = "test",
    *,
    peer_python: Path | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Predict, score and report.

    Args:
        systems: each a name of the catalogue, an .onnx file, ``mediapipe``, or a folder of
            predictions that something else wrote. The floor ``mean-map`` is always added.
        out: folder for ``predictions/``, ``results.json``, ``results.md``, ``photographs.csv`` and
            ``pictures/`` of the errors; made if missing.
        split: train, val or test.
        peer_python: an interpreter that has MediaPipe; adds ``mediapipe`` to the systems.
        threads: of the networks; None leaves it to ONNX Runtime.
        progress: show bars on stderr.

    Returns:
        What ``results.json`` holds.

    Raises:
        EvaluationError: an unknown split, two systems of one name, a prediction missing or of the
            wrong shape, no MediaPipe. UnknownSystemError, WeightsError: as `facerelief.load`.
            FileNotFoundError: the data is not there.
    """
    root, cache = data_root(), cache_folder() / "yaleb"
    if not (root / "yaleb").is_dir():
        raise FileNotFoundError(f"{root} does not hold the Extended Yale Database B (yaleb)")
    splits = yaleb.load_splits(root)
    if split not in splits:
        raise EvaluationError(f"no split is called {split!r}; there are: {', '.join(splits)}")
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(systems, root, peer_python, threads)
    make_folder(out)

    entrants.insert(0, predictors.mean_map(predictors.training_mean(root, cache)))
    subjects = [load_subject(root, name, cache) for name in track(splits[split], "truth")]
    folders = {e.label: e.folder or out / "predictions" / e.label for e in entrants}
    for entrant in entrants:
        if entrant.folder is None:
            for subject in track(subjects, f"{entrant.label}: predictions"):
                write_predictions(folders[entrant.label], subject, entrant)

    results: dict[str, Any] = {
        "protocol": "yaleb",
        "version": __version__,
        "split": split,
        "people": splits[split],
        "photographs": sum(len(subject.photographs) for subject in subjects),
        "floor": MEAN_MAP,
        "systems": {},
    }
    rows = []
    for entrant in entrants:
        scores = []
        for subject in track(subjects, f"{entrant.label}: scores"):
            scores += score(folders[entrant.label], subject)
            sheet = draw(folders[entrant.label], subject)
            path = out / "pictures" / entrant.label / f"{subject.person.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            sheet.save(path)
        results["systems"][entrant.label] = {**entrant.about, **tabulate(scores)}
        rows += [_row(entrant.label, one) for one in scores]
    markdown = report.yaleb_markdown(results)
    protocol.write_results(out, results, markdown)
    protocol.write_rows(out / "photographs.csv", rows)
    return results


def load_subject(root: Path, name: str, cache: Path | None = None) -> Subject:
    """A person and the measured surface. Raises FileNotFoundError where there is none."""
    person = yaleb.load_person(root, name)
    return Subject(person, *yaleb.crop_truth(yaleb.load_ground_truth(person, cache)))


def write_predictions(folder: Path, subject: Subject, predictor: Predictor) -> None:
    """Step one for one person: a file for each photograph into `folder`, made if missing."""
    crops = [yaleb.crop_image(image) for image in subject.person.images]
    protocol.write_predictions(folder, subject.photographs, crops, predictor)


def score(folder: Path, subject: Subject) -> list[PhotographScore]:
    """Step two for one person, from the files in `folder`. Raises EvaluationError."""
    scores = []
    person = subject.person
    lights = zip(person.subsets, person.azimuth, person.elevation, strict=True)
    for name, (subset, azimuth, elevation) in zip(subject.photographs, lights, strict=True):
        normals, expected = predictions.read(folder, name, subject.mask.shape)
        one = score_image(normals, expected, subject.normals, subject.mask)
        light = (float(azimuth), float(elevation))
        scores.append(PhotographScore(name, person.name, int(subset), *light, one))
    return scores


def tabulate(scores: Sequence[PhotographScore]) -> dict[str, Any]:
    """Figures of a system: pooled (S1 to S4), by subset, and, S1 to S4, by person and by light."""
    pooled = [one for one in scores if one.subset in POOLED]

    def by(key: str, chosen: Sequence[PhotographScore]) -> dict[Any, Any]:
        groups: dict[Any, list[ImageScore]] = {}
        for one in chosen:
            groups.setdefault(getattr(one, key), []).append(one.score)
        return {name: figures(groups[name]) for name in sorted(groups)}

    return {
        "pooled": figures([one.score for one in pooled]),
        "subsets": {f"S{number}": group for number, group in by("subset", scores).items()},
        "people": by("person", pooled),
        "lights": by_light(pooled),
    }


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


def draw(folder: Path, subject: Subject) -> Image.Image:
    """Photo, estimate, truth and error for a few photographs of one person."""
    wanted = direction(*np.transpose(SHOWN_LIGHTS))
    rows = []
    for index in np.argmax(wanted @ subject.person.directions.T, axis=1):
        name = subject.photographs[index]
        normals, expected = predictions.read(folder, name, subject.mask.shape)
        crop = yaleb.crop_image(subject.person.images[index])
        rows.append(pictures.row(crop, normals, expected, subject.normals, subject.mask))
    return pictures.sheet(rows)


def _row(label: str, one: PhotographScore) -> dict[str, Any]:
    errors = one.score.errors
    return {
        "system": label,
        "photograph": one.name,
        "person": one.person,
        "subset": one.subset,
        "mean_error": round(float(errors.mean(dtype=np.float64)), 4) if errors.size else "",
        "coverage": round(one.score.coverage, 2),
    }
