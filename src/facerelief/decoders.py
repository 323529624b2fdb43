"""What the arrays of a network mean: one decoder for each kind of answer.

A network says its kind in its ONNX metadata and in its catalogue entry. A new kind is one more
entry in `DECODERS`; nothing else asks what a network is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.types import Estimate

Arrays = Mapping[str, NDArray[Any]]

#: Side of the crops that the networks read, pixels.
CROP_SIZE = 256

_MAP = (CROP_SIZE, CROP_SIZE)


@dataclass(frozen=True)
class Decoder:
    """From the named outputs of a network, (N, ...) each, to what it says of N crops.

    Outputs are given by the shape of their rest (...): of those in `optional` a network need not
    have any.
    """

    decode: Callable[[Arrays], Estimate]
    outputs: Mapping[str, tuple[int, ...]]
    optional: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    makes_shapes: bool = False  # meshes, landmarks and poses, and not only normals

    @property
    def rests(self) -> dict[str, tuple[int, ...]]:
        """The shape of the rest of each output, optional or not."""
        return {**self.outputs, **self.optional}

    def nothing(self, names: Collection[str]) -> Estimate:
        """What a network with outputs `names` says of no crops."""
        rests = self.rests
        return self.decode(
            {name: np.zeros((0, *rests[name]), np.float32) for name in names if name in rests}
        )


def _normals(arrays: Arrays) -> Estimate:
    from facerelief.geometry.matte import solid

    likely = np.asarray(arrays["mask"], np.float32)
    mask = np.array([solid(one) for one in likely], np.bool_).reshape(likely.shape)
    return Estimate(arrays["normals"], mask, arrays.get("expected_error"), probability=likely)


def _positions(arrays: Arrays) -> Estimate:
    from facerelief.reconstruction import from_positions  # SciPy: normals need not wait for it

    return from_positions(arrays["position"], arrays.get("seen"))


def _coefficients(arrays: Arrays) -> Estimate:
    from facerelief.coefficients import from_coefficients

    return from_coefficients(arrays, CROP_SIZE)


DECODERS: dict[str, Decoder] = {
    "normals": Decoder(_normals, {"normals": (*_MAP, 3), "mask": _MAP}, {"expected_error": _MAP}),
    "positions": Decoder(_positions, {"position": (*_MAP, 3)}, {"seen": _MAP}, makes_shapes=True),
    "coefficients": Decoder(
        _coefficients,
        {
            "identity": (80,),
            "expression": (52,),
            "rotation": (3, 3),
            "camera": (4,),
            "light": (9, 3),
            "albedo": (80,),
        },
        makes_shapes=True,
    ),
}


def kind_of(outputs: Collection[str]) -> str | None:
    """The kind of a network that does not say it, by the names of its outputs; None for none."""
    fitting = (kind for kind, one in DECODERS.items() if set(one.outputs) <= set(outputs))
    return next(fitting, None)
