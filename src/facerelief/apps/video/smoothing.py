"""Faces held steady in time: their crops, and what a network says of them.

A face that rests is smoothed, and one that moves is not held back: `geometry.one_euro`. What was
smoothed is compared with what it was made of, so that the gain and its price are told.
"""

from __future__ import annotations

from dataclasses import replace
from math import degrees, log, radians, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.crops import Crop
from facerelief.geometry.one_euro import OneEuro, Strength

#: Of a crop: its centre in its own sides, the logarithm of its side, its angle in radians.
CENTRE, SIDE, ANGLE = Strength(0.7, 30.0), Strength(0.6, 6.0), Strength(1.0, 6.0)
#: Of normals (their speed is in radians a second), and of how likely a pixel shows a face.
NORMALS, PROBABILITY = Strength(1.5, 3.0), Strength(2.0, 1.5)
_JUMP = 12.0  # degrees of a crop's angle between two pictures, which are another crop
_TURN = 360.0


class CropFilter:
    """The crops of one face."""

    def __init__(self) -> None:
        self.unit = 1.0  # photo pixels that count as a side: that of the first crop
        self._angle = 0.0  # degrees, of the last crop, going on beyond 180
        self._filters = [OneEuro(CENTRE, vectors=True), OneEuro(SIDE), OneEuro(ANGLE)]
        self._is_new = True

    def __call__(self, crop: Crop, time: float) -> tuple[Crop, bool]:
        """The next crop, smoothed; and whether it is the first, or of another angle."""
        angle = self._angle + (crop.angle - self._angle + _TURN / 2) % _TURN - _TURN / 2
        is_new = self._is_new or abs(angle - self._angle) > _JUMP
        if is_new:
            self.__init__()  # type: ignore[misc]
            self.unit, self._is_new, angle = crop.side, False, crop.angle
        self._angle = angle
        values = (np.divide(crop.centre, self.unit), [log(crop.side)], [radians(angle)])
        centre, side, turn = (
            one(value, time) for one, value in zip(self._filters, values, strict=True)
        )
        x, y = (centre * self.unit).tolist()
        smooth = replace(
            crop, centre=(x, y), side=float(np.exp(side[0])), angle=degrees(float(turn[0]))
        )
        return smooth, is_new

    def state(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "angle": self._angle,
            "filters": [one.state() for one in self._filters],
            "is_new": self._is_new,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> CropFilter:
        new = cls()
        new.unit, new._angle, new._is_new = state["unit"], state["angle"], state["is_new"]
        for one, told in zip(new._filters, state["filters"], strict=True):
            one.restore(told)
        return new


class SurfaceFilter:
    """The normals of one face, and where they are, in the frame of its crops."""

    def __init__(self) -> None:
        self._normals = OneEuro(NORMALS, vectors=True)
        self._probability = OneEuro(PROBABILITY)

    def __call__(
        self, normals: NDArray[np.float32], probability: NDArray[np.float32], time: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The next normals (S, S, 3), unit, and probability (S, S), smoothed."""
        smooth = self._normals(normals, time)
        length = np.sqrt(np.einsum("...i,...i", smooth, smooth))[..., None]
        smooth /= np.maximum(length, 1e-6)
        if length.min() <= 1e-6:  # opposite ones, of which the middle has no direction
            smooth = np.where(length > 1e-6, smooth, normals)
        self._normals.put(smooth)
        return smooth, self._probability(probability, time)

    def state(self) -> dict[str, Any]:
        return {"normals": self._normals.state(), "probability": self._probability.state()}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> SurfaceFilter:
        new = cls()
        new._normals.restore(state["normals"])
        new._probability.restore(state["probability"])
        return new


class Steadiness:
    """How unsteady values are before and after smoothing, and how late they come.

    *Jitter* is the root mean square of second differences (a - 2 b + c) over the root of 6: the
    spread of independent noise on something that rests or moves evenly. *Lag* is by how many
    pictures what was smoothed is behind, by least squares of (raw - smooth) on the speed of raw.
    """

    _NAMES = ("raw", "smooth", "weight", "behind", "speed")

    def __init__(self) -> None:
        self._last: dict[int, list[NDArray[Any]]] = {}  # by face: two of raw and smooth each
        self._sums = dict.fromkeys(self._NAMES, 0.0)

    def begin(self, face: int) -> None:
        """What comes next of a face does not go on from what came before."""
        self._last.pop(face, None)

    def see(
        self,
        face: int,
        raw: NDArray[Any],
        smooth: NDArray[Any],
        weight: NDArray[np.bool_] | None = None,
    ) -> None:
        """The next values (..., n) of a face; where `weight` (...) is not, they do not count."""
        if face in self._last:
            first, first_smooth, last, last_smooth = self._last[face]
            chosen = slice(None) if weight is None else weight
            part = {
                "raw": _square(first - 2 * last + raw, chosen),
                "smooth": _square(first_smooth - 2 * last_smooth + smooth, chosen),
                "speed": _square((raw - first) / 2, chosen),
                "behind": _dot(last - last_smooth, (raw - first) / 2, chosen),
                "weight": _square(np.ones(raw.shape[:-1])[..., None], chosen),
            }
            if len(self._last[face]) == 4 and np.isfinite(list(part.values())).all():
                for name, value in part.items():
                    self._sums[name] += value
            self._last[face] = [last, last_smooth, raw, smooth]
        else:
            nothing = np.full_like(raw, np.nan)
            self._last[face] = [nothing, nothing, raw, smooth]

    @property
    def jitter(self) -> tuple[float, float] | None:
        """Before and after, in units of the values; None where nothing was long enough."""
        if not self._sums["weight"]:
            return None
        before, after = (
            sqrt(self._sums[name] / self._sums["weight"] / 6) for name in ("raw", "smooth")
        )
        return before, after

    @property
    def lag(self) -> float | None:
        """Pictures; None where nothing moves, by which it could be told."""
        speed = self._sums["speed"] - self._sums["raw"] / 12  # of noise the former has a twelfth
        if not speed > 0.5 * self._sums["speed"]:
            return None
        return self._sums["behind"] / speed

    def state(self) -> dict[str, Any]:
        last = [[face, *values] for face, values in self._last.items()]
        return {"last": last, "sums": dict(self._sums)}

    def restore(self, state: dict[str, Any]) -> None:
        self._last = {face: values for face, *values in state["last"]}
        self._sums = dict(state["sums"])


def _square(values: NDArray[Any], chosen: Any) -> float:
    return _dot(values, values, chosen)


def _dot(one: NDArray[Any], other: NDArray[Any], chosen: Any) -> float:
    return float((one[chosen].astype(np.float64) * other[chosen]).sum())
