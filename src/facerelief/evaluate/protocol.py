"""What protocols have in common: who is scored, predictions of pictures, files of results."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerelief.data.folders import cache_folder
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import MEAN_MAP, MEDIAPIPE, SHAPE_FROM_SHADING, Predictor
from facerelief.geometry.skin import Skin
from facerelief.types import Estimate

_BATCH = 16  # crops that a system is given at once

T = TypeVar("T")


class Track(Protocol):
    """Shows how far a loop has come."""

    def __call__(self, items: Iterable[T], what: str) -> Iterable[T]: ...


def entrants(
    systems: Sequence[str],
    root: Path,
    peer_python: Path | None = None,
    threads: int | None = None,
    reserved: Sequence[str] = (MEAN_MAP,),
) -> list[Predictor]:
    """The systems to be scored, in order, without repetition; ``mean-map`` is left out.

    Args:
        systems: each a name of the catalogue, an .onnx file, ``mediapipe``,
            ``shape-from-shading``, or a folder of predictions that something else wrote.
        root: the data folder.
        peer_python: an interpreter that has MediaPipe; adds ``mediapipe``.
        reserved: labels that the protocol itself gives to its floors.

    Raises:
        EvaluationError: two systems of one name, no MediaPipe. UnknownSystemError, WeightsError:
            as `facerelief.load`.
    """
    names = [*systems, *([MEDIAPIPE] if peer_python else [])]
    found = [
        _entrant(name, root, peer_python, threads)
        for name in dict.fromkeys(names)
        if name not in reserved
    ]
    labels = [*reserved, *(entrant.label for entrant in found)]
    if len(set(labels)) < len(labels):
        raise EvaluationError(f"two systems have the same name: {', '.join(sorted(labels))}")
    return found


def predict(
    crops: Sequence[NDArray[np.uint8]], predictor: Predictor
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Normals (256, 256, 3) and expected error (256, 256), if any, of crops (256, 256, 3) RGB.

    Raises EvaluationError where the predictor only has files.
    """
    for estimate in _estimates(crops, predictor):
        expected = estimate.expected_error
        for index, normals in enumerate(estimate.normals):
            yield normals, None if expected is None else expected[index]


def skins(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Skin]:
    """What a system's position maps say of crops (256, 256, 3) RGB.

    Raises EvaluationError where it makes none.
    """
    for estimate in _estimates(crops, predictor):
        if estimate.shapes is None:
            raise EvaluationError(f"{predictor.label} makes no position maps: it has no shapes")
        yield from (shape.skin for shape in estimate.shapes)


def _estimates(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Estimate]:
    if predictor.predict is None:
        raise EvaluationError(f"{predictor.label} only has files; it cannot predict")
    for start in range(0, len(crops), _BATCH):
        yield predictor.predict(np.stack(crops[start : start + _BATCH]))


def write_predictions(
    folder: Path, names: Sequence[str], crops: Sequence[NDArray[np.uint8]], predictor: Predictor
) -> None:
    """A file for each of `crops`, (256, 256, 3) RGB, into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (normals, expected) in zip(names, predict(crops, predictor), strict=True):
        predictions.write(folder, name, normals, expected)


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


def silent(items: Iterable[T], what: str) -> Iterable[T]:
    """A `Track` that shows nothing."""
    return items


def bar(items: Iterable[T], what: str) -> Iterable[T]:
    """A `Track` that draws on stderr."""
    from rich.console import Console
    from rich.progress import track

    return track(items, what, console=Console(stderr=True))


def _entrant(name: str, root: Path, peer_python: Path | None, threads: int | None) -> Predictor:
    if name == MEDIAPIPE:
        return predictors.mediapipe(root, peer_python)
    if name == SHAPE_FROM_SHADING:
        return predictors.shading(predictors.training_mean(root, cache_folder() / "yaleb"))
    if Path(name).is_dir():
        return predictors.files(Path(name))
    return predictors.network(name, threads)
