"""Sparse symmetric systems."""

from __future__ import annotations

from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu


def factorised(system: sparse.csc_array) -> SuperLU:
    """Factors of a symmetric positive definite system; the options make it a third as long."""
    return splu(
        system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
