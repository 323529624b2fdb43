"""What every protocol does: load, predict to files, score the files alone, say it in a table.

A protocol is a class of the four steps; `Protocol.run` goes through them, one subject (a person, a
scan, a set of photographs) after the other, and writes the results. Nothing reaches `score` but
truth and files, so what something else has written is judged like our own networks.
"""

from __future__ import annotations

import csv
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.encode import to_png
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import Arrays, Predictor
from facerelief.files import make_folder, write_files

Key = TypeVar("Key")
Subject = TypeVar("Subject")
Score = TypeVar("Score")
T = TypeVar("T")

#: Of a subject, what a floor says of each of its pictures.
Floor = Callable[[Subject], Iterable[Arrays]]


class Protocol(ABC, Generic[Key, Subject, Score]):
    """A test of systems. The order of a run is `keys`; then for each of them `load`, `predict`,
    `score` and `draw`; then `tabulate` and `table`."""

    name: ClassVar[str]
    reserved: ClassVar[tuple[str, ...]] = ()  # labels of floors that no system may have
    csv: ClassVar[str | None] = "photographs.csv"  # the file of `row`s
    #: Whether predictions stay, normals in half precision; elsewhere they are gigabytes, and each
    #: is exact and gone once it is scored.
    kept: ClassVar[bool] = True
    #: What a system says of crops, as it is stored, and the systems that ``all`` stands for.
    answers: Callable[[Sequence[NDArray[np.uint8]], Predictor], Iterable[Arrays]] = staticmethod(
        predictors.normals
    )
    everything: Callable[[], list[str]] = staticmethod(predictors.normal_systems)
    threads: int | None = None  # of a run

    @abstractmethod
    def keys(self) -> Sequence[Key]:
        """What there is to load. Raises FileNotFoundError where the data is not there."""

    @abstractmethod
    def load(self, key: Key) -> Subject:
        """Pictures with their truth."""

    @abstractmethod
    def pictures(self, subject: Subject) -> tuple[Sequence[str], Sequence[NDArray[np.uint8]]]:
        """What systems are shown: names of files and crops (256, 256, 3), RGB."""

    @abstractmethod
    def score(self, folder: Path, subject: Subject) -> list[Score]:
        """From the files in `folder` alone. Raises EvaluationError for what is missing or bad."""

    @abstractmethod
    def tabulate(self, scores: Sequence[Score]) -> dict[str, Any]:
        """The figures of one system."""

    @abstractmethod
    def facts(self, scores: Sequence[Score]) -> dict[str, Any]:
        """What was measured on, from the scores of any system."""

    @staticmethod
    @abstractmethod
    def table(results: dict[str, Any]) -> str:
        """``results.md`` of ``results.json``."""

    def floors(self) -> dict[str, Floor[Subject]]:
        """What is scored beside the systems, by label."""
        return {}

    def row(self, score: Score) -> Mapping[str, Any] | None:
        """A line of the CSV file; None for what has none, as for a shape that was not found."""
        assert isinstance(score, Mapping)
        return None if score.get("error", 0) is None else score

    def draw(self, out: Path, subject: Subject, folders: Mapping[str, Path]) -> None:
        """Pictures into `out`, from the files of every system."""

    def run(
        self,
        systems: Sequence[str],
        out: Path,
        *,
        peer_python: Path | None = None,
        threads: int | None = None,
        crops: Path | None = None,
        progress: bool = False,
    ) -> dict[str, Any]:
        """Predict, score and report.

        Args:
            systems: each a name of the catalogue, an .onnx file, ``mediapipe``,
                ``shape-from-shading``, ``all``, or a folder of predictions that something else
                wrote (`predictions`).
            out: folder for ``results.json``, ``results.md``, the rows, ``predictions/`` and
                ``pictures/``; made if missing.
            peer_python: an interpreter that has MediaPipe; adds ``mediapipe`` to the systems.
            threads: of the networks; None leaves it to ONNX Runtime.
            crops: folder for what systems are shown, a PNG each, for others to predict from.
            progress: show a bar on stderr.

        Returns:
            What ``results.json`` holds.

        Raises:
            EvaluationError: two systems of one name, a prediction missing or of the wrong shape, a
                system that does not make what is asked for, no MediaPipe. UnknownSystemError,
                WeightsError: as `facerelief.load`. FileNotFoundError: the data is not there.
        """
        self.threads = threads
        keys = self.keys()
        chosen = predictors.expanded(systems, self.everything)
        entrants = predictors.entrants(chosen, peer_python, threads, self.reserved)
        make_folder(out)
        floors = self.floors()
        entrants = [*(Predictor(label, None) for label in floors), *entrants]
        scores: dict[str, list[Score]] = {entrant.label: [] for entrant in entrants}
        if not scores:
            raise EvaluationError("no system to score")
        for key in track(keys, self.name, progress):
            subject = self.load(key)
            names, shown = self.pictures(subject)
            if crops is not None:
                write_crops(crops, names, shown)
            with nullcontext(out / "predictions") if self.kept else TemporaryDirectory() as place:
                folders = {one.label: one.folder or Path(place) / one.label for one in entrants}
                for one in entrants:
                    if one.folder is None:
                        floor = floors.get(one.label)
                        answers = floor(subject) if floor else self.answers(shown, one)
                        for name, answer in zip(names, answers, strict=True):
                            predictions.write(folders[one.label], name, answer, half=self.kept)
                    scores[one.label] += self.score(folders[one.label], subject)
                self.draw(out, subject, folders)
        results = {
            "protocol": self.name,
            "version": __version__,
            **self.facts(next(iter(scores.values()))),
            "systems": {
                one.label: {**one.about, **self.tabulate(scores[one.label])} for one in entrants
            },
        }
        write_results(out, results, self.table(results))
        if self.csv is not None:
            lines = ((n, self.row(one)) for n, made in scores.items() for one in made)
            write_rows(out / self.csv, [{"system": n, **row} for n, row in lines if row])
        return results


def runner(protocol: Callable[..., Protocol[Any, Any, Any]]) -> Callable[..., dict[str, Any]]:
    """A protocol as a function: arguments of its own, and those of `Protocol.run`."""
    own = inspect.signature(protocol).parameters

    def run(systems: Sequence[str], out: Path, **options: Any) -> dict[str, Any]:
        made = protocol(**{name: options.pop(name) for name in own if name in options})
        return made.run(systems, out, **options)

    return run


def write_crops(folder: Path, names: Sequence[str], crops: Sequence[NDArray[np.uint8]]) -> None:
    """``FOLDER/NAME.png`` each. Raises OSError."""
    for name, crop in zip(names, crops, strict=True):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_files({path: to_png(crop)})


def write_results(out: Path, results: dict[str, Any], markdown: str) -> None:
    """``results.json`` and ``results.md`` into `out`, which exists."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(markdown, "utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file of rows that have the same keys."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def track(items: Sequence[T], what: str, progress: bool) -> Iterable[T]:
    """`items`, with a bar on stderr if there is to be any."""
    if not progress:
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, what, console=Console(stderr=True))
