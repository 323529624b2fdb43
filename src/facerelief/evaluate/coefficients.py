"""Coefficients: what systems say of rendered heads whose expression and identity are known.

Expressions are compared by ARKit's names: the mean difference of the weights, and their correlation
over all heads, which a system that always says the same has none of. Identities are compared as
faces at rest, in the heads' own space and size: the root of the mean square of their distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.coefficients import EXPRESSIONS, OUTPUTS
from facerelief.data import heads
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import Arrays, Predictor
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.report import labelled, number, spread, table
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry.face_model import face_model
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.samples.shards import ShardReader
from facerelief.types import Crop

MEAN_FACE = "mean-face"
FRONTAL = 30.0  # degrees of yaw, up to which a head counts as nearly frontal
#: What avatars need most: names that make up one movement, both sides together.
MOVEMENTS = {
    "jawOpen": ("jawOpen",),
    "mouthSmile": ("mouthSmileLeft", "mouthSmileRight"),
    "eyeBlink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "browInnerUp": ("browInnerUp",),
}


@dataclass(frozen=True, eq=False)
class KnownHead:
    """A rendered head."""

    name: str
    crop: NDArray[np.uint8]  # (256, 256, 3)
    yaw: float  # degrees, without sign
    expression: NDArray[np.float32]  # (E,)
    identity: NDArray[np.float32]  # (K,)


class Coefficients(Protocol[Path, list[KnownHead], dict[str, Any]]):
    """Of systems that make coefficients.

    Args: folder: that `facerelief synth` wrote; limit: take the first so many heads.
    """

    name = "coefficients"
    reserved = (MEAN_FACE,)
    csv = None

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self.limit = folder, limit

    @staticmethod
    def answers(crops: Sequence[NDArray[np.uint8]], predictor: Predictor) -> Iterator[Arrays]:
        """Raises EvaluationError where the predictor makes none."""
        for shape in predictors.shapes_of(crops, predictor):
            told = shape.coefficients
            if told is None or not OUTPUTS.keys() <= told.keys():
                raise EvaluationError(f"{predictor.label} makes no coefficients")
            yield {"expression": told["expression"], "identity": told["identity"]}

    def keys(self) -> list[Path]:
        return [self.folder]

    def load(self, key: Path) -> list[KnownHead]:
        reader = ShardReader(key)
        made = []
        for place, index in list(enumerate(reader.indices))[: self.limit]:
            head = reader[place]
            told = head.coefficients
            crop = Crop.from_landmarks(head.landmarks[:, :2]).extract(head.photo)
            yaw = abs(np.degrees(np.arctan2(head.rotation[0, 2], head.rotation[2, 2])))
            expression = heads.expression(told["expression"])
            name = f"{index:09d}"
            made.append(KnownHead(name, crop, float(yaw), expression, heads.identity(told)))
        return made

    def pictures(self, subject: list[KnownHead]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        return [head.name for head in subject], [head.crop for head in subject]

    def floors(self) -> dict[str, Floor[list[KnownHead]]]:
        rest = {name: np.zeros(OUTPUTS[name], np.float32) for name in ("expression", "identity")}
        return {MEAN_FACE: lambda shown: [rest] * len(shown)}

    def score(self, folder: Path, subject: list[KnownHead]) -> list[dict[str, Any]]:
        rows = []
        for head in subject:
            found = predictions.read_arrays(
                folder, head.name, {name: OUTPUTS[name] for name in ("expression", "identity")}
            )
            rows.append(
                {
                    "yaw": head.yaw,
                    "found": found["expression"],
                    "true": head.expression,
                    "shape": _apart(found["identity"] - head.identity),
                }
            )
        return rows

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            name: summary([row for row in scores if low <= row["yaw"] < high])
            for name, low, high in (
                ("frontal", 0, FRONTAL),
                ("turned", FRONTAL, 360),
                ("all", 0, 360),
            )
        }

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"heads": len(scores), "floors": list(self.reserved)}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = labelled(results["systems"], results["floors"])
        sets = ("frontal", "turned", "all")
        headings = ["System", "Heads", *MOVEMENTS, "All names", "Difference", "Shape, mm"]
        rows = []
        for label, system in systems.items():
            for name in sets:
                one = system[name]
                movements = (number(one["movements"][key]) for key in MOVEMENTS)
                rows.append(
                    [label, name, *movements, number(one["correlation"]),
                     spread(one["difference"]), spread(one["shape"])]
                )  # fmt: skip
        names = (
            [name, *(number(s["all"]["names"][name][key]) for s in systems.values()
                     for key in ("difference", "correlation"))]
            for name in EXPRESSIONS
        )  # fmt: skip
        each = [f"{label}, {what}" for label in systems for what in ("difference", "correlation")]
        return f"""\
Correlation of the weights of expressions with the true ones, over {results["heads"]} rendered \
heads, up to {FRONTAL:g} degrees of yaw, beyond, and all; mean over the names that vary; mean \
difference of all weights, in percent; and distance of faces at rest, ± standard errors.

{table(headings, rows)}

Each name, over all heads: the mean difference in percent and the correlation.

{table(["Name", *each], names)}
"""


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of some heads: by name, by movement, and as a whole. None where nothing can be said."""
    found, true = (
        np.array([row[key] for row in rows], np.float64).reshape(-1, len(EXPRESSIONS))
        for key in ("found", "true")
    )
    names = {
        name: {
            "difference": float(100 * np.abs(found[:, i] - true[:, i]).mean()) if rows else None,
            "correlation": correlation(found[:, i], true[:, i]),
        }
        for i, name in enumerate(EXPRESSIONS)
    }
    known = [n["correlation"] for n in names.values() if n["correlation"] is not None]
    order = {name: i for i, name in enumerate(EXPRESSIONS)}
    return {
        "count": len(rows),
        "names": names,
        "movements": {
            movement: correlation(
                np.concatenate([found[:, order[name]] for name in parts]),
                np.concatenate([true[:, order[name]] for name in parts]),
            )
            for movement, parts in MOVEMENTS.items()
        },
        "correlation": float(np.mean(known)) if known else None,
        "difference": mean_and_error(100 * np.abs(found - true).mean(axis=1)),
        "shape": mean_and_error([row["shape"] for row in rows]),
    }


def correlation(found: NDArray[np.floating[Any]], true: NDArray[np.floating[Any]]) -> float | None:
    """Pearson's; 0 of an answer that is always the same, None of a truth that is."""
    if len(true) < 2 or np.ptp(true) < 1e-6:
        return None
    return 0.0 if np.ptp(found) < 1e-6 else float(np.corrcoef(found, true)[0, 1])


def _apart(off: NDArray[np.floating[Any]]) -> float:
    """mm, root of the mean square over the face of a difference of identities (K,)."""
    outer = np.unique(skin_mesh().source[skin_mesh().outer])
    moved = off @ face_model().identity[:, outer].reshape(len(off), -1)
    return float(np.sqrt((moved.reshape(-1, 3) ** 2).sum(axis=1).mean()))
