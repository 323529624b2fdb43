"""The One Euro filter: a low pass whose cutoff rises with speed (Casiez, Roussel and Vogel, "1 Euro
filter: a simple speed-based low-pass filter for noisy input in interactive systems", CHI 2012).

What rests is held still, and what moves is hardly delayed. With x the value, y what was given
before, and dt the seconds since then:

    v <- v + a(d) ((x - y) / dt - v)        the speed, smoothed
    y <- y + a(c + b |v|) (x - y)           a(f) = 1 / (1 + 1 / (2 pi f dt))

A first-order low pass of cutoff f delays a steady motion by 1 / (2 pi f) seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Strength:
    """How much is smoothed. Raises ValueError for a cutoff that is not positive, or beta below 0.

    Lengths are those of the values, whatever they are.
    """

    cutoff: float  # Hz, of what rests: lower is steadier
    beta: float  # Hz by which it rises for a length a second: higher is quicker
    speed_cutoff: float = 1.0  # Hz, of the speed

    def __post_init__(self) -> None:
        if not (self.cutoff > 0 and self.speed_cutoff > 0 and self.beta >= 0):
            raise ValueError(f"cutoffs are positive, and beta is not negative: {self}")


class OneEuro:
    """The filter of an array of values, given one after the other with their times.

    Values are filtered one by one; with `vectors` those along the last axis have a common speed,
    the length of their velocity, so that a vector's direction does not matter.
    """

    def __init__(self, strength: Strength, vectors: bool = False) -> None:
        self.strength, self.vectors = strength, vectors
        self._value: NDArray[Any] | None = None
        self._speed: NDArray[Any] | None = None
        self._time = 0.0

    def __call__(self, value: ArrayLike, time: float) -> NDArray[Any]:
        """The value (...), filtered; the first one as it is. `time` is in seconds.

        Raises ValueError for a time that is not later than the last.
        """
        new = np.asarray(value)
        new = new if np.issubdtype(new.dtype, np.floating) else new.astype(np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._time = new.copy(), np.zeros_like(new), time
            return new.copy()
        step = time - self._time
        if not step > 0:
            raise ValueError(f"time goes on: {time} is not after {self._time}")
        strength, kind = self.strength, new.dtype.type
        change = np.subtract(new, self._value)
        # v + a (change / dt - v), in place: pictures of vectors come thirty times a second.
        share = _share(strength.speed_cutoff, step)
        self._speed = np.multiply(self._speed, kind(1 - share))
        self._speed += change * kind(share / step)
        if self.vectors:
            speed = np.sqrt(np.einsum("...i,...i", self._speed, self._speed))[..., None]
        else:
            speed = np.abs(self._speed)
        # a(f) with 2 pi f dt = w is w / (1 + w).
        speed = speed * kind(2 * pi * step * strength.beta)
        speed += kind(2 * pi * step * strength.cutoff)
        speed /= 1 + speed
        change = change * speed
        change += self._value
        self._value, self._time = change, time
        return change.copy()

    def put(self, value: NDArray[Any]) -> None:
        """Replace what was given last, as where it had to be made unit length."""
        self._value = value.copy()

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on from here."""
        return {"value": self._value, "speed": self._speed, "time": self._time}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a filter gave its `state`."""
        self._value, self._speed, self._time = state["value"], state["speed"], state["time"]


def _share(cutoff: float, step: float) -> float:
    width = 2 * pi * cutoff * step
    return width / (1 + width)
