"""The protocol on the Extended Yale Database B: measured normals of people under single lights.

Every photograph of every person of a split, cropped by `facerelief.data.yaleb.crop_image`, against
the normals that photometric stereo measured. Subsets S1 to S5 go by the light's angle off the
camera axis; the headline is S1 to S4 pooled. A pixel counts where its measured normal can be
trusted and the system has an answer; coverage says how many of the trusted ones have one.

Two steps that share nothing but files (see `predictions`): step one writes
``OUT/predictions/SYSTEM/yaleBxx_P00A{azimuth}E{elevation}.npz``, step two scores what is there.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.apps.files import make_folder
from facerelief.data import yaleb
from facerelief.evaluate import pictures, predictions, predictors, report
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import MEAN_MAP, MEDIAPIPE, Predictor
from facerelief.evaluate.scores import ImageScore, figures, score_image
from facerelief.geometry.light import direction

POOLED = (1, 2, 3, 4)  # subsets of the headline; S5 is nearly black

#: Photographs that a sheet of error maps shows: those whose lights are nearest to these
#: (azimuth, elevation), degrees.
SHOWN_LIGHTS = ((0, 0), (-35, 15), (70, 0))

_BATCH = 16  # crops that a system is given at once

T = TypeVar("T")


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
    from facerelief.data.sources import cache_folder, data_root

    root, cache = data_root(), cache_folder() / "yaleb"
    if not (root / "yaleb").is_dir():
        raise FileNotFoundError(f"{root} does not hold the Extended Yale Database B (yaleb)")
    splits = yaleb.load_splits(root)
    if split not in splits:
        raise EvaluationError(f"no split is called {split!r}; there are: {', '.join(splits)}")
    track = _bar if progress else _silent
    names = [*systems, *([MEDIAPIPE] if peer_python else [])]
    entrants = [_entrant(name, root, peer_python, threads) for name in _unique(names)]
    labels = [MEAN_MAP, *(entrant.label for entrant in entrants)]
    if len(set(labels)) < len(labels):
        raise EvaluationError(f"two systems have the same name: {', '.join(sorted(labels))}")
    make_folder(out)

    train = [load_subject(root, name, cache) for name in track(splits["train"], MEAN_MAP)]
    entrants.insert(0, predictors.mean_map((one.normals, one.mask) for one in train))
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
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(report.yaleb_markdown(results), "utf-8")
    with open(out / "photographs.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return results


def load_subject(root: Path, name: str, cache: Path | None = None) -> Subject:
    """A person and the measured surface. Raises FileNotFoundError where there is none."""
    person = yaleb.load_person(root, name)
    return Subject(person, *yaleb.crop_truth(yaleb.load_ground_truth(person, cache)))


def write_predictions(folder: Path, subject: Subject, predictor: Predictor) -> None:
    """Step one for one person: a file for each photograph into `folder`, made if missing."""
    if predictor.predict is None:
        raise EvaluationError(f"{predictor.label} only has files; it cannot predict")
    folder.mkdir(parents=True, exist_ok=True)
    names, images = subject.photographs, subject.person.images
    for start in range(0, len(names), _BATCH):
        batch = slice(start, start + _BATCH)
        estimate = predictor.predict(np.stack([yaleb.crop_image(i) for i in images[batch]]))
        for index, name in enumerate(names[batch]):
            expected = estimate.expected_error
            expected = None if expected is None else expected[index]
            predictions.write(folder, name, estimate.normals[index], expected)


def score(folder: Path, subject: Subject) -> list[PhotographScore]:
    """Step two for one person, from the files in `folder`. Raises EvaluationError."""
    scores = []
    for name, subset in zip(subject.photographs, subject.person.subsets, strict=True):
        normals, expected = predictions.read(folder, name, subject.mask.shape)
        one = score_image(normals, expected, subject.normals, subject.mask)
        scores.append(PhotographScore(name, subject.person.name, int(subset), one))
    return scores


def tabulate(scores: Sequence[PhotographScore]) -> dict[str, Any]:
    """Figures of a system: pooled (S1 to S4), by subset, and by person (S1 to S4)."""
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
    }


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


def _entrant(name: str, root: Path, peer_python: Path | None, threads: int | None) -> Predictor:
    if name == MEDIAPIPE:
        return predictors.mediapipe(root, peer_python)
    if Path(name).is_dir():
        return predictors.files(Path(name))
    return predictors.network(name, threads)


def _unique(names: Iterable[str]) -> list[str]:
    """In order, without repetition; the floor is added anyway."""
    return [name for name in dict.fromkeys(names) if name != MEAN_MAP]


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


def _silent(items: Iterable[T], what: str) -> Iterable[T]:
    return items


def _bar(items: Iterable[T], what: str) -> Iterable[T]:
    from rich.console import Console
    from rich.progress import track

    return track(items, what, console=Console(stderr=True))
