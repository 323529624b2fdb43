"""How well an expected error ranks the true one, and the limits that papers count below."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from facerelief.arrays import FloatArray

#: Shares of pixels are reported below these: papers on faces use 20, 25, 30 (Trigeorgis et al. 2017
#: and those after it), papers on scenes 11.25, 22.5, 30.
THRESHOLDS = (11.25, 20.0, 22.5, 25.0, 30.0)


def sparsification(errors: ArrayLike, uncertainty: ArrayLike) -> FloatArray:
    """Mean error of the k least uncertain pixels, for k = 1 to N; both inputs are (N,).

    Pixels of equal uncertainty count with their common mean, which is what any order of theirs
    gives on average: an uncertainty that is the same everywhere gives a flat line.
    """
    error = np.asarray(errors, np.float64).ravel()
    value, group = np.unique(np.asarray(uncertainty).ravel(), return_inverse=True)
    count = np.bincount(group, minlength=len(value))
    mean = np.bincount(group, error, minlength=len(value)) / count
    return np.cumsum(np.repeat(mean, count)) / np.arange(1, len(error) + 1)


def ranking_error(errors: ArrayLike, uncertainty: ArrayLike) -> float:
    """Normalised area under the sparsification error: 0 ranks like an oracle, 1 like a die.

    Drop the most uncertain pixels, more and more of them: the mean error of what is left, over the
    share left, is the sparsification curve (Ilg et al. 2018). The area between it and the curve of
    the oracle, which drops by the true error, is divided by the area between a random order's
    (flat at the mean) and the oracle's. Above 1 is worse than random. NaN where all errors are the
    same, and for fewer than two pixels.
    """
    error = np.asarray(errors, np.float64).ravel()
    if error.size < 2 or np.ptp(error) == 0:
        return float("nan")
    best = sparsification(error, error).mean()
    found = sparsification(error, uncertainty).mean()
    return float((found - best) / (error.mean() - best))
