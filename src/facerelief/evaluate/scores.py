"""From predicted and true normals of images to the figures of a table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerelief.evaluate.metrics import THRESHOLDS, ranking_error, sparsification
from facerelief.geometry.normals import angular_error

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageScore:
    """The errors of one image."""

    known: int  # pixels whose true normal is known
    errors: NDArray[np.float32]  # (n,) degrees, at those of them that have an answer
    expected: NDArray[np.float32] | None  # (n,) degrees, at the same pixels

    @property
    def coverage(self) -> float:
        """% of the known pixels that have an answer."""
        return 100 * len(self.errors) / max(self.known, 1)

    @property
    def row(self) -> dict[str, Any]:
        """The columns of a CSV file."""
        mean = round(float(self.errors.mean(dtype=np.float64)), 4) if self.errors.size else ""
        return {"mean_error": mean, "coverage": round(self.coverage, 2)}


def score_image(
    normals: NDArray[np.float32],
    expected: NDArray[np.float32] | None,
    truth: NDArray[np.float32],
    mask: NDArray[np.bool_],
) -> ImageScore:
    """Compare `normals` (H, W, 3) with `truth` inside `mask`; zero normals are no answer."""
    errors = angular_error(normals[mask], truth[mask]).astype(np.float32)
    answered = np.isfinite(errors)
    known = None if expected is None else expected[mask][answered]
    return ImageScore(len(errors), errors[answered], known)


def figures(images: Sequence[ImageScore]) -> dict[str, Any]:
    """What a table says of some images, ready for JSON (no NaN, four decimals).

    ``images``, ``missed`` (those without any answer), ``pixels`` and ``coverage`` (% of known ones
    that have an answer); ``mean`` and ``std`` over images of each one's mean; ``median`` and the
    shares ``within`` each of `THRESHOLDS` (%) over the pixels of all images; ``expected_error``
    (see `expected_figures`) or None. All angles are degrees.
    """
    answered = [image.errors for image in images if image.errors.size]
    means = np.array([errors.mean(dtype=np.float64) for errors in answered] or [np.nan])
    pooled = np.concatenate(answered or [np.array([np.nan])])
    pixels = sum(map(len, answered))
    within = {f"{t:g}": float(100 * (pooled < t).mean()) for t in THRESHOLDS} if pixels else {}
    return _for_json(
        {
            "images": len(images),
            "pixels": pixels,
            "mean": float(means.mean()),
            "std": float(means.std()),
            "median": float(np.median(pooled)),
            "within": within or dict.fromkeys((f"{t:g}" for t in THRESHOLDS), None),
            "missed": len(images) - len(answered),
            "coverage": 100 * pixels / max(sum(image.known for image in images), 1),
            "expected_error": expected_figures(images),
        }
    )


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> dict[Any, list[T]]:
    """Items by what `key` says of them, in the order of its first answers."""
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def mean_and_error(values: Iterable[float | None]) -> dict[str, float] | None:
    """``mean``, ``error`` (its standard error) and ``count`` of what is known; None for nothing."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else 0.0
    return {
        "mean": round(float(known.mean()), 4),
        "error": round(float(error), 4),
        "count": len(known),
    }


def expected_figures(images: Sequence[ImageScore]) -> dict[str, float] | None:
    """How the expected error of some images compares with the true one; None where there is none.

    ``mean`` and ``true_mean`` over all pixels; ``ranking`` is `metrics.ranking_error` over the
    pixels of all images together and ``ranking_within`` its mean over images taken alone;
    ``trusted_half`` is the mean true error of the half of the pixels with the lowest expected one.
    """
    pairs = [(i.errors, i.expected) for i in images if i.expected is not None and i.errors.size]
    if not pairs:
        return None
    errors, expected = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    return {
        "mean": float(expected.mean(dtype=np.float64)),
        "true_mean": float(errors.mean(dtype=np.float64)),
        "ranking": ranking_error(errors, expected),
        "ranking_within": float(np.mean([ranking_error(*pair) for pair in pairs])),
        "trusted_half": float(sparsification(errors, expected)[(len(errors) - 1) // 2]),
    }


def _for_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_json(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value
