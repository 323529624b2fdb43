"""From the error that a network expects of itself to the one that is to be expected.

What a network has not learned to doubt, it cannot say: in blurred and tiny pictures it errs far
more than it expects. A few numbers, fitted to renderings of people that it has not seen
(`evaluate.calibration`), mend that; a network carries them in its metadata or catalogue entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray
from facerelief.doubts import softness, whiteness

#: Of `softness`, up to which a picture shows all that shape is estimated from.
KNEE = 0.6
#: Names of what `cues` gives.
CUES = ("soft", "white")

_LONGEST = 1000  # characters of JSON
_FEW = 500  # pixels of a face, under which all of the crop is looked at


@dataclass(frozen=True)
class Calibration:
    """Expected error = scale * own ** power * exp(soft * s + white * w), degrees.

    `own` is what the network says of a pixel; s and w are its picture's `cues`. It never falls
    when one of them rises. Raises ValueError for numbers below 0 or above 10.
    """

    scale: float = 1.0
    power: float = 1.0
    soft: float = 0.0
    white: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= value <= 10 for value in asdict(self).values()):
            raise ValueError(f"a calibration has numbers from 0 to 10, not {asdict(self)}")

    @classmethod
    def read(cls, said: str | Mapping[str, float]) -> Calibration:
        """Of a catalogue entry, or the same as JSON. Raises ValueError for anything else."""
        values = json.loads(said[:_LONGEST]) if isinstance(said, str) else said
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ValueError(f"a calibration has {', '.join(sorted(names))}")
        if not all(isinstance(value, (int, float)) for value in values.values()):
            raise ValueError("a calibration has numbers")
        return cls(**values)

    def applied(
        self, own: NDArray[np.float32], pictures: NDArray[np.uint8], masks: BoolArray
    ) -> NDArray[np.float32]:
        """Expected errors (N, 256, 256), degrees, of crops (N, 256, 256, 3) with faces in `masks`.

        At most 90 degrees, which is off as far as chance is.
        """
        raised = np.array([
            np.log(max(self.scale, 1e-6)) + self.soft * soft + self.white * white
            for soft, white in (cues(*one) for one in zip(pictures, masks, strict=True))
        ], np.float32)  # fmt: skip
        errors = np.power(np.maximum(own, 1e-3), np.float32(self.power))
        errors *= np.exp(raised)[:, None, None]
        return np.minimum(errors, np.float32(90), out=errors)


def cues(picture: NDArray[np.uint8], mask: BoolArray) -> tuple[float, float]:
    """How far a crop (256, 256, 3) is softer than `KNEE`, and how much of its face is white."""
    face = mask if np.count_nonzero(mask) >= _FEW else np.ones_like(mask)
    return max(softness(picture, face) - KNEE, 0.0), whiteness(picture, face)
