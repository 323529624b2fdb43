"""How far a network's expected error can be trusted, and the `Calibration` that mends it.

Renderings of heads that the network has not seen are spoiled at random, as `robustness` spoils
photographs. Of two thirds of them the calibration is fitted: a gamma regression with a logarithmic
link, whose mean is right whatever the errors' distribution, with numbers from 0 on, so that it is
monotone. The last third judges it. No photograph of a test has a part in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from facerelief.calibration import Calibration, cues
from facerelief.decoders import DECODERS
from facerelief.evaluate import report, robustness
from facerelief.evaluate.metrics import ranking_error
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.protocol import track
from facerelief.evaluate.renderings import Head, Renderings
from facerelief.evaluate.robustness import Crop, Mask
from facerelief.geometry.normals import angular_error
from facerelief.runtime import Estimator

PIXELS = 150  # of a picture
SPOILED = 3  # pictures of a head, besides the one as it is
_FEW = 2 * PIXELS  # visible pixels of a face, under which a picture is left out

#: Ways of spoiling and the least and greatest strength, drawn evenly in their logarithm. What
#: blurs comes twice: there is most to learn from it.
WAYS = {
    "blurred": (robustness.blurred, 1, 10),
    "small": (robustness.low_resolution, 12, 128),
    "blurred more": (robustness.blurred, 4, 12),
    "tiny": (robustness.low_resolution, 10, 40),
    "dark": (robustness.exposed, 1 / 32, 1 / 1.5),
    "bright": (robustness.exposed, 1.2, 6),
    "noisy": (robustness.noisy, 3, 50),
    "compressed": (robustness.jpeg, 4, 60),
    "covered": (robustness.occluded, 0.05, 0.6),
}
AS_IT_IS = "as it is"


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is known of N pictures, at P pixels each."""

    ways: NDArray[np.str_]  # (N,)
    errors: NDArray[np.float64]  # (N, P) true, degrees
    own: NDArray[np.float64]  # (N, P) what the network expects
    cues: NDArray[np.float64]  # (N, 2) `calibration.cues`

    def some(self, chosen: NDArray[Any]) -> Pictures:
        return Pictures(self.ways[chosen], self.errors[chosen], self.own[chosen], self.cues[chosen])

    def calibrated(self, by: Calibration) -> NDArray[np.float64]:
        """(N, P) degrees."""
        raised = self.cues @ [by.soft, by.white]
        return np.asarray(by.scale * self.own**by.power * np.exp(raised)[:, None])


def calibrate(
    estimator: Estimator, folder: Path, limit: int | None = None, progress: bool = False
) -> tuple[Calibration, dict[str, Any]]:
    """The calibration of a network, and what `report_of` says of heads left out of the fit.

    `folder` is what `facerelief synth` wrote, of people and with a seed that the network has not
    been trained on; `limit` takes the first so many heads.

    Raises EvaluationError for a network that expects no error, for a folder without heads, and for
    fewer than six of them.
    """
    found = measured(estimator, folder, limit, progress)
    fitted = np.arange(len(found.ways)) < 2 * len(found.ways) // 3
    calibration = fit(found.some(fitted))
    return calibration, report_of(found.some(~fitted), calibration)


def measured(
    estimator: Estimator, folder: Path, limit: int | None = None, progress: bool = False
) -> Pictures:
    """What the network says of heads, as they are and spoiled. Arguments as of `calibrate`."""
    heads = Renderings(folder, limit)
    g = np.random.default_rng(0)
    rows = []
    for key in track(heads.keys(), "heads", progress):
        shown = [one for head in heads.load(key) for one in spoiled(head, g)]
        rows += list(_of_pictures(estimator, shown, g)) if shown else []
    if len(rows) < 6 * (1 + SPOILED):
        raise EvaluationError(f"{folder}: too few heads to calibrate by")
    return Pictures(*(np.array(column) for column in zip(*rows, strict=True)))


def spoiled(head: Head, g: np.random.Generator) -> Iterator[tuple[str, Head, Crop, Mask]]:
    """A head as it is and in some of `WAYS`: each way's name, the crop and what is to be seen."""
    if np.count_nonzero(head.mask) < _FEW:
        return
    yield AS_IT_IS, head, head.photo, head.mask
    for name in g.choice(list(WAYS), SPOILED, replace=False):
        way, least, most = WAYS[name]
        strength = float(np.exp(g.uniform(np.log(least), np.log(most))))
        crop, seen = way(strength)(head.photo, head.mask, g)
        if np.count_nonzero(seen) >= _FEW:
            yield str(name), head, crop, seen


def _of_pictures(
    estimator: Estimator, shown: Sequence[tuple[str, Head, Crop, Mask]], g: np.random.Generator
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any], tuple[float, float]]]:
    answers = estimator.answers(np.stack([crop for _, _, crop, _ in shown]))
    estimate = DECODERS[estimator.entry.kind].decode(answers)
    if estimate.expected_error is None:
        raise EvaluationError(f"{estimator.name} expects no error: there is nothing to calibrate")
    for index, (way, head, crop, seen) in enumerate(shown):
        places = g.choice(np.flatnonzero(seen), PIXELS, replace=False)
        normals, truth = (
            maps.reshape(-1, 3)[places]
            for maps in (estimate.normals[index], head.truths["detailed"])
        )
        own = estimate.expected_error[index].ravel()[places]
        yield way, angular_error(normals, truth), own, cues(crop, estimate.mask[index])


def fit(pictures: Pictures) -> Calibration:
    """The one under which the true errors are likeliest, if they are gamma distributed."""
    errors = pictures.errors.ravel()
    per_picture = np.repeat(pictures.cues, pictures.errors.shape[1], axis=0)
    known = np.column_stack([np.log(pictures.own.ravel()), per_picture, np.ones(len(errors))])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logarithm = known @ weights
        ratio = errors * np.exp(-logarithm)
        return float((ratio + logarithm).mean()), known.T @ (1 - ratio) / len(errors)

    bounds = [(0, None)] * (known.shape[1] - 1) + [(None, None)]
    start = np.array([1.0, 0, 0, 0])
    power, soft, white, constant = minimize(loss, start, jac=True, bounds=bounds).x
    values = (np.exp(constant), power, soft, white)
    return Calibration(*(round(float(value), 4) for value in values))


def report_of(pictures: Pictures, calibration: Calibration) -> dict[str, Any]:
    """``ways``, ``deciles`` of the calibrated error, and ``ranking``: true error, the network's own
    and the calibrated one, degrees, ready for JSON."""
    errors, own, mended = pictures.errors, pictures.own, pictures.calibrated(calibration)

    def means(chosen: NDArray[np.bool_]) -> dict[str, float]:
        triple = zip(("true", "own", "calibrated"), (errors, own, mended), strict=True)
        return {name: round(float(values[chosen].mean()), 2) for name, values in triple}

    tenth = np.searchsorted(np.quantile(mended, np.linspace(0.1, 0.9, 9)), mended)
    return {
        "pictures": len(errors),
        "ways": {name: means(pictures.ways == name) for name in sorted(set(pictures.ways))},
        "deciles": [means(tenth == index) for index in range(10) if (tenth == index).any()],
        "ranking": {
            "own": round(ranking_error(errors, own), 3),
            "calibrated": round(ranking_error(errors, mended), 3),
        },
    }


def table(found: dict[str, Any]) -> str:
    """`report_of` in words."""

    def row(name: str, one: dict[str, float]) -> list[str]:
        return [name, *(f"{one[key]:.1f}" for key in ("true", "own", "calibrated"))]

    headings = ["Mean error, degrees", "true", "the network's own", "calibrated"]
    rows = [row(name, one) for name, one in found["ways"].items()]
    rows += [row(f"decile {i + 1}", one) for i, one in enumerate(found["deciles"])]
    ranking = found["ranking"]
    return (
        f"{report.table(headings, rows)}\n\n{found['pictures']} pictures of heads left out of the"
        f" fit; ranking {ranking['own']:.2f}, calibrated {ranking['calibrated']:.2f}."
    )
