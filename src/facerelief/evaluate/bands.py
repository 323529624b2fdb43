"""Where an error lies: estimate and truth split by frequency, the parts exchanged.

Normals are smoothed by a Gaussian within the pixels that count, the sum of neighbours weighed by it
over the sum of weights; what that leaves is their high part. Low parts of one and high parts of
the other, added and normalised, are off by what the exchanged part is to blame for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

SPLIT, FINE = 12.0, 6.0  # pixels, standard deviations of the Gaussians

#: Keys of `bands`, and what a table calls them.
BANDS = {
    "low": f"Low ({SPLIT:g} px)",
    "high": f"High ({SPLIT:g} px)",
    "fine": f"Finer than {FINE:g} px",
    "without_fine": "Nothing finer",
}


def bands(
    normals: NDArray[np.float32], truth: NDArray[np.float32], mask: NDArray[np.bool_]
) -> dict[str, float] | None:
    """Mean angles to the truth (H, W, 3), degrees, over the pixels of `mask` that have an answer.

    ``low``: the estimate's low part under `SPLIT` with the true high part; ``high``: the true low
    part with the estimate's high one; ``fine``: the true low part under `FINE` with the estimate's
    high one; ``without_fine``: with none at all. None without any such pixel.
    """
    known = mask & normals.any(axis=-1)
    if not known.any():
        return None
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    known, own, true = known[window], normals[window], truth[window]
    both = np.concatenate([own, true], axis=-1)
    (own_low, true_low), (own_coarse, true_coarse) = (
        np.split(smoothed(both, known, sigma), 2, axis=-1) for sigma in (SPLIT, FINE)
    )
    mixed = {
        "low": own_low + true - true_low,
        "high": true_low + own - own_low,
        "fine": true_coarse + own - own_coarse,
        "without_fine": true_coarse,
    }
    return {name: _mean_angle(one[known], true[known]) for name, one in mixed.items()}


def smoothed(
    values: NDArray[np.float32], mask: NDArray[np.bool_], sigma: float
) -> NDArray[np.float32]:
    """`values` (H, W, C) under a Gaussian of `sigma` pixels within `mask` (H, W)."""
    weight = mask[..., None].astype(np.float32)
    # As products of matrices this is several times as fast as filters so wide.
    down, across = (_gaussian(length, sigma) for length in mask.shape)
    layers = np.concatenate([values * weight, weight], axis=-1)
    along = np.tensordot(across, layers, (1, 1))  # (W, H, C + 1)
    total = np.tensordot(down, along, (1, 1))  # (H, W, C + 1)
    result: NDArray[np.float32] = total[..., :-1] / np.maximum(total[..., -1:], 1e-12)
    return result


def figures(found: Sequence[dict[str, float] | None]) -> dict[str, float] | None:
    """The mean over images of each of `bands`; None where there is none."""
    known = [one for one in found if one is not None]
    if not known:
        return None
    return {name: round(float(np.mean([one[name] for one in known])), 4) for name in BANDS}


def _mean_angle(found: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """Degrees between vectors (N, 3), the latter unit: single precision is good for a mean."""
    cosine, squared = (np.einsum("ni,ni->n", found, one) for one in (true, found))
    cosine /= np.maximum(np.sqrt(squared), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)).mean(dtype=np.float64)))


@cache
def _gaussian(length: int, sigma: float) -> NDArray[np.float32]:
    """(length, length): the weight of each pixel for each."""
    apart = np.subtract.outer(np.arange(length), np.arange(length))
    weights: NDArray[np.float32] = np.exp(-0.5 * (apart / sigma) ** 2).astype(np.float32)
    return weights
