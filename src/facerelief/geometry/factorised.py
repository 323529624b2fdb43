"""Sparse symmetric systems: by factors, and by steps where a coarser mesh is known."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from facerelief.arrays import FloatArray

_DAMPED = 0.7  # of a step of Jacobi's
_EXACT = 1e-4  # of the right side, that may be left
_MOST = 40  # steps


def factorised(system: sparse.csc_array) -> SuperLU:
    """Factors of a symmetric positive definite system; the options make it a third as long."""
    return splu(
        system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


class TwoGrids:
    """A symmetric positive definite system (V, V) on a mesh that refines one of W vertices.

    Conjugate gradients; their preconditioner solves the coarse mesh's system (Galerkin's) by its
    factors, between two steps of Jacobi's (Briggs et al., "A multigrid tutorial", 2000, chapter 3).

    Args:
        system: (V, V). prolongation: (V, W), values of the coarse mesh at the fine one's vertices.
        like: what was made of nearly this system on the same mesh; its factors serve here, too.
    """

    def __init__(
        self,
        system: sparse.csr_array,
        prolongation: sparse.csr_array,
        like: TwoGrids | None = None,
    ) -> None:
        self._system, self._up = system, prolongation
        self._step = _DAMPED / system.diagonal()
        self._down: sparse.csr_array = like._down if like else prolongation.T.tocsr()
        self._coarse: SuperLU = (
            like._coarse if like else factorised((self._down @ system @ prolongation).tocsc())
        )

    def solve(self, right: FloatArray, start: FloatArray) -> FloatArray:
        """(V,) for right side (V,), from a first guess (V,)."""
        found = start.astype(np.float64)
        rest = right - self._system @ found
        enough = (_EXACT * np.linalg.norm(right)) ** 2
        step, before = np.zeros_like(rest), 1.0
        for _ in range(_MOST):
            if not rest @ rest > enough:
                break
            near = self._nearly(rest)
            size = float(rest @ near)
            step = near + (size / before) * step
            along = self._system @ step
            length = size / float(step @ along)
            found += length * step
            rest -= length * along
            before = size
        return found

    def _nearly(self, rest: FloatArray) -> FloatArray:
        found = self._step * rest
        found += self._up @ self._coarse.solve(self._down @ (rest - self._system @ found))
        found += self._step * (rest - self._system @ found)
        return found
