"""Morphable models of the head: a mean, an identity basis and named expressions on one topology.

Model space is the head's own: x to the subject's left, y up, z out of the face, millimetres; so a
head that is not turned looks at a viewer who has x on the right. Vertices are `mean + identity
coefficients (standard deviations) * identity + expression weights (0 to 1) * expression`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """A linear model of heads. What a file does not have is None or empty."""

    name: str
    licence: str
    mean: NDArray[np.float32]  # (V, 3) mm
    triangles: NDArray[np.int32]  # (T, 3) counter-clockwise seen from outside
    identity: NDArray[np.float32]  # (K, V, 3) mm per standard deviation
    expression: NDArray[np.float32]  # (E, V, 3) mm at weight 1
    expression_names: tuple[str, ...] = ()
    landmarks: NDArray[np.int32] | None = None  # (68,) vertices of the iBUG points
    uv: NDArray[np.float32] | None = None  # (U, 2) in [0, 1], v upwards
    uv_triangles: NDArray[np.int32] | None = None  # (T, 3) into uv
    regions: dict[str, BoolArray] = field(default_factory=dict)  # name -> (V,) vertices
    symmetry: NDArray[np.int32] | None = None  # (V,) the mirrored vertex of each

    def __post_init__(self) -> None:
        for name in ("identity", "expression"):  # whose products with weights must not copy them
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    @property
    def marks(self) -> NDArray[np.int32]:
        """The `landmarks`. Raises ValueError for a model that has none."""
        if self.landmarks is None:
            raise ValueError(f"{self.name} has no landmarks")
        return self.landmarks

    def vertices(
        self, identity: ArrayLike | None = None, expression: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Vertices (..., V, 3) in mm of `identity` (..., k <= K) and `expression` (..., E).

        None is the mean identity, or the neutral expression. Batch shapes broadcast.

        Raises:
            ValueError: more coefficients than the model has.
        """
        parts = [("identity", identity, self.identity), ("expression", expression, self.expression)]
        result = self.mean
        for name, given, basis in parts:
            if given is None:
                continue
            weights = np.asarray(given, np.float32)
            count = weights.shape[-1]
            if count > len(basis):
                raise ValueError(f"{self.name} has {len(basis)} {name} coefficients, got {count}")
            # As one matrix product of a view: `tensordot` would copy the basis.
            moved = weights @ basis[:count].reshape(count, -1)
            result = result + moved.reshape(*weights.shape[:-1], *self.mean.shape)
        return result

    def expression_weights(self, **weights: float) -> NDArray[np.float32]:
        """(E,) weights from names, such as ``jawOpen=0.5``.

        Raises:
            ValueError: unknown name; the message lists the valid ones.
        """
        result = np.zeros(len(self.expression_names), np.float32)
        for name, weight in weights.items():
            if name not in self.expression_names:
                known = ", ".join(self.expression_names)
                raise ValueError(f"{self.name} has no expression {name!r}; it has: {known}")
            result[self.expression_names.index(name)] = weight
        return result

    def with_bases(
        self, mean: FloatArray, identity: FloatArray, expression: FloatArray, **changes: Any
    ) -> MorphableModel:
        """The same topology with other shapes, such as another model's registered to it."""
        return replace(
            self,
            mean=mean.astype(np.float32),
            identity=identity.astype(np.float32),
            expression=expression.astype(np.float32),
            **changes,
        )
