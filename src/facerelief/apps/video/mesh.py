"""Films to heads that move: what `facerelief mesh` makes of a film."""

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from math import cos, radians
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.apps.texture import unwrap
from facerelief.apps.video.motion import Track, angles, continuous, to_glb, told
from facerelief.apps.video.reading import Clip
from facerelief.apps.video.running import measured
from facerelief.apps.video.smoothing import CENTRE, SIDE, Steadiness
from facerelief.apps.video.steps import Seen, Step
from facerelief.apps.video.work import Work, pack, unpack
from facerelief.coefficients import EXPRESSIONS
from facerelief.geometry.one_euro import OneEuro, Strength
from facerelief.runtime import Estimator
from facerelief.types import Crop, Place, Shape

#: What is written, besides what films always have: the file's ending, and what it is.
OUTPUTS = {
    "glb": (".glb", "the head with ARKit's 52 morph targets, moving as in the film"),
    "coefficients": ("_coefficients.csv", "expression by ARKit's names and pose in each picture"),
}
#: Of weights of expressions, and of quaternions (half the angle, in radians).
EXPRESSION, TURN = Strength(1.5, 4.0), Strength(1.5, 8.0)
FEWEST = 10  # pictures of a face that has a file of its own, unless the film has fewer
_BETTER = 1.1  # times as good is a picture that replaces the one that the texture is made of
_ROOM, _TEXTURE_FROM = 1.6, 512  # of the crop's side; pixels
_NAMES = tuple(field.name for field in fields(Track) if field.name != "times")


@dataclass(frozen=True)
class Options:
    """What to write."""

    texture: int = 1024  # pixels, a multiple of 256
    smooth: bool = True


@dataclass
class _Best:
    """The picture of a face that its texture is made of."""

    score: float
    pixels: NDArray[np.uint8]  # (S, S, 3)
    crop: Crop  # that of the face, in these pixels


class _PoseFilter:
    """What a film tells of one head, smoothed in time."""

    def __init__(self) -> None:
        self._filters = {
            "expression": OneEuro(EXPRESSION),
            "turns": OneEuro(TURN, vectors=True),
            "origins": OneEuro(CENTRE, vectors=True),
            "sizes": OneEuro(SIDE),
        }
        self._unit = 1.0  # pixels of the film that count as a side
        self._turn: NDArray[np.float64] | None = None

    def __call__(
        self, known: dict[str, NDArray[Any]], side: float, time: float
    ) -> dict[str, NDArray[Any]]:
        """The next values; `side` is that of the crop."""
        if self._turn is None:
            self._unit, self._turn = side, known["turns"]
        turn = continuous(np.stack([self._turn, known["turns"]]))[1]
        smooth = {
            **known,
            "expression": self._filters["expression"](known["expression"], time),
            "turns": self._filters["turns"](turn, time),
            "origins": self._filters["origins"](known["origins"] / self._unit, time) * self._unit,
            "sizes": self._filters["sizes"](known["sizes"], time),
        }
        smooth["turns"] = smooth["turns"] / np.linalg.norm(smooth["turns"])
        self._filters["turns"].put(smooth["turns"])
        self._turn = turn
        return smooth

    def state(self) -> dict[str, Any]:
        filters = {name: one.state() for name, one in self._filters.items()}
        return {"filters": filters, "unit": self._unit, "turn": self._turn}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> _PoseFilter:
        new = cls()
        for name, known in state["filters"].items():
            new._filters[name].restore(known)
        new._unit, new._turn = state["unit"], state["turn"]
        return new


class Heads:
    """The job (`running.Job`). Its estimator's kind is coefficients."""

    def __init__(self, estimator: Estimator, options: Options = Options()) -> None:
        self.estimator, self.options = estimator, options
        # Of turns, where a unit is a radian, and of expressions' weights.
        self.steadiness = {"pose": Steadiness(), "expression": Steadiness()}
        self._filters: dict[int, _PoseFilter] = {}
        self._best: dict[int, _Best] = {}
        self._size = (0, 0)  # height and width of the film
        self._rows: list[tuple[int, float, int, dict[str, NDArray[Any]]]] = []
        self._path = Path()

    def key(self) -> dict[str, Any]:
        return {"mesh": self.options.texture}

    def names(self, stem: str) -> list[str]:
        ending = OUTPUTS["glb"][0]
        return [stem + ending, f"{stem}_[0-9]*{ending}", stem + OUTPUTS["coefficients"][0]]

    def see(self, steps: Generator[Step, None, None]) -> Generator[Step, None, None]:
        with closing(steps):
            for step in steps:
                self._size = step.frame.pixels.shape[:2]
                before, self._filters = self._filters, {}
                if step.seen:
                    pixels = step.frame.pixels
                    crops = np.stack([seen.place.crop.extract(pixels) for seen in step.seen])
                    shapes = self.estimator.decode(self.estimator.answers(crops)).shapes or ()
                    for seen, shape in zip(step.seen, shapes, strict=True):
                        step.values.append(self._values(step, seen, shape, before))
                if step.kept is not None:
                    step.kept["job"] = self.state()
                yield step

    def _values(
        self, step: Step, seen: Seen, shape: Shape, before: dict[int, _PoseFilter]
    ) -> dict[str, NDArray[Any]] | None:
        """None where it is no face."""
        if shape.problem is not None:
            return None
        number, crop = seen.number, seen.place.crop
        known = told(shape, crop)
        old = None if seen.is_new else before.get(number)
        filter = self._filters[number] = old or _PoseFilter()
        smooth = filter(known, crop.side, step.frame.time)
        turn = continuous(np.stack([smooth["turns"], known["turns"]]))[1]
        pairs = {
            "pose": (2 * turn, 2 * smooth["turns"]),
            "expression": (known["expression"][:, None], smooth["expression"][:, None]),
        }
        for name, (raw, after) in pairs.items():
            if old is None:
                self.steadiness[name].begin(number)
            self.steadiness[name].see(number, raw, after)
        self._look(step, seen, known)
        return smooth if self.options.smooth else known

    def _look(self, step: Step, seen: Seen, known: dict[str, NDArray[Any]]) -> None:
        """Keep the picture for the texture, if it shows the face better than those before."""
        yaw, pitch, _ = angles(known["turns"])
        calm = 1 - min(float(known["expression"].max()), 1.0) / 2
        crop = seen.place.crop
        score = min(crop.side, _TEXTURE_FROM) * cos(radians(yaw)) * cos(radians(pitch)) * calm
        best = self._best.get(seen.number)
        if best is not None and score < _BETTER * best.score:
            return
        around = replace(crop, side=_ROOM * crop.side, size=_TEXTURE_FROM)
        x, y = around.to_crop(crop.centre)
        inner = Crop((float(x), float(y)), crop.side / around.scale)
        self._best[seen.number] = _Best(score, around.extract(step.frame.pixels), inner)

    def state(self) -> dict[str, Any]:
        return {
            "steadiness": {name: one.state() for name, one in self.steadiness.items()},
            "filters": [[number, one.state()] for number, one in self._filters.items()],
            "best": [
                [number, one.score, one.pixels, list(one.crop.centre), one.crop.side]
                for number, one in self._best.items()
            ],
            "size": list(self._size),
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name, one in self.steadiness.items():
            one.restore(state["steadiness"][name])
        self._filters = {number: _PoseFilter.restored(one) for number, one in state["filters"]}
        self._best = {
            number: _Best(score, pixels, Crop(tuple(centre), side))
            for number, score, pixels, centre, side in state["best"]
        }
        self._size = tuple(state["size"])

    def begin(self, work: Work, clip: Clip) -> None:
        self._rows, self._path = [], work.part("heads", ".npz")

    def put(self, step: Step) -> None:
        for seen, values in zip(step.seen, step.values, strict=True):
            if values is not None:
                row = (step.frame.index, step.frame.time, seen.number, values)
                self._rows.append(row)

    def end(self) -> None:
        pictures, times, numbers, values = zip(*self._rows, strict=True) if self._rows else [()] * 4
        table = {name: np.stack([one[name] for one in values]) for name in _NAMES if values}
        table |= {
            "pictures": np.array(pictures, np.int64),
            "times": np.array(times, np.float64),
            "numbers": np.array(numbers, np.int64),
        }
        self._path.write_bytes(pack(table))

    def finish(self, work: Work, clip: Clip, stem: str) -> tuple[dict[str, Path], list[str]]:
        parts = [unpack(path.read_bytes()) for path in work.all("heads", ".npz")]
        parts = [part for part in parts if len(part["numbers"])]
        made = {stem + OUTPUTS["coefficients"][0]: work.folder / "coefficients.csv"}
        whole = (
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if parts
            else {}
        )
        _write_table(made[stem + OUTPUTS["coefficients"][0]], whole)
        tracks = {
            int(number): whole["numbers"] == number
            for number in np.unique(whole.get("numbers", []))
        }
        least = min(FEWEST, work.frames)
        long = {number: chosen for number, chosen in tracks.items() if chosen.sum() >= least}
        for number, chosen in long.items():
            track = Track(**{name: whole[name][chosen] for name in ("times", *_NAMES)})
            name = stem if len(long) == 1 else f"{stem}_{number}"
            path = work.folder / f"{number}.glb"
            path.write_bytes(to_glb(track, self._size, self._texture(number)))
            made[name + OUTPUTS["glb"][0]] = path
        short = len(tracks) - len(long)
        notes = [f"{short} seen in less than {least} pictures: no GLB of them"] if short else []
        return made, notes

    def _texture(self, number: int) -> NDArray[np.uint8]:
        best = self._best[number]
        found = Place.of_crop(len(best.pixels))
        (face,) = self.estimator.estimate(best.pixels, [replace(found, crop=best.crop)])
        return unwrap(best.pixels, face, self.options.texture).colours

    def told(self) -> dict[str, Any]:
        """Of turns in degrees, and of weights of expressions."""
        pose = measured(self.steadiness["pose"], 9)
        if pose is not None:
            for name in ("jitter_raw", "jitter"):
                pose[name] = round(float(np.degrees(pose[name])), 3)
        return {"pose": pose, "expression": measured(self.steadiness["expression"], 5)}


def _write_table(path: Path, whole: dict[str, NDArray[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(
            ["picture", "seconds", "face", "yaw", "pitch", "roll", "origin_x", "origin_y",
             "pixels_a_mm", *EXPRESSIONS]
        )  # fmt: skip
        for index in range(len(whole.get("numbers", ()))):
            values = [*angles(whole["turns"][index]), *whole["origins"][index]]
            rows.writerow(
                [
                    whole["pictures"][index],
                    f"{whole['times'][index]:.6f}",
                    whole["numbers"][index],
                    *(f"{value:.3f}" for value in values),
                    f"{np.exp(whole['sizes'][index]):.5f}",
                    *(f"{weight:.4f}" for weight in whole["expression"][index]),
                ]
            )
