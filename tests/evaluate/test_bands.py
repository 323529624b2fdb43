"""The split of an error by frequency: each band is blamed for its own, and masks do not leak."""

import numpy as np
import pytest

from facerelief.evaluate import bands
from facerelief.geometry.normals import normalise

SIZE = 128


def bump(wavelength: float, height: float) -> np.ndarray:
    """Slopes (128, 128, 3) of a wave to the right, added to a normal."""
    x = np.arange(SIZE) + 0.5
    wave = height * np.sin(2 * np.pi * x / wavelength)
    slopes = np.zeros((SIZE, SIZE, 3), np.float32)
    slopes[..., 0] = wave
    return slopes


AHEAD = np.zeros((SIZE, SIZE, 3), np.float32) + np.float32([0, 0, 1])
MASK = np.ones((SIZE, SIZE), bool)


def test_smoothing_is_a_weighted_mean_of_what_counts() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 30, 2)).astype(np.float32)
    mask = rng.random((20, 30)) > 0.3
    found = bands.smoothed(values, mask, 3.0)
    y, x = np.indices(mask.shape)
    for row, column in ((0, 0), (10, 12), (19, 29)):
        weight = np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / 9) * mask
        slow = np.einsum("hw,hwc->c", weight, values) / weight.sum()
        assert found[row, column] == pytest.approx(slow, abs=1e-4)
    hidden = np.where(mask[..., None], values, 1e6).astype(np.float32)
    assert np.allclose(bands.smoothed(hidden, mask, 3.0), found)


def test_each_band_is_blamed_for_its_own() -> None:
    truth = normalise(AHEAD + bump(90, 0.2) + bump(8, 0.2)).astype(np.float32)
    fine_missing = normalise(AHEAD + bump(90, 0.2)).astype(np.float32)
    turned = normalise(AHEAD + bump(90, 0.2) + bump(8, 0.2) + (0, 0.2, 0)).astype(np.float32)
    same = bands.bands(truth, truth, MASK)
    assert same is not None and max(same["low"], same["high"], same["fine"]) < 0.05
    assert same["without_fine"] > 5
    smooth = bands.bands(fine_missing, truth, MASK)
    assert smooth is not None and smooth["low"] < 0.5 < 5 < smooth["high"]
    assert smooth["fine"] == pytest.approx(smooth["without_fine"], rel=0.05)
    askew = bands.bands(turned, truth, MASK)
    assert askew is not None and askew["low"] == pytest.approx(11, abs=0.5) and askew["high"] < 0.5


def test_only_answers_within_the_mask_count() -> None:
    truth = normalise(AHEAD + bump(30, 0.3)).astype(np.float32)
    normals = np.where(np.arange(SIZE)[:, None, None] < 64, truth, 0).astype(np.float32)
    mask = MASK.copy()
    mask[:, 100:] = False
    spoilt = np.where(mask[..., None], normals, -truth)
    found = bands.bands(spoilt, truth, mask & normals.any(axis=-1))
    assert found == pytest.approx(bands.bands(normals, truth, mask))
    assert bands.bands(np.zeros_like(truth), truth, mask) is None


def test_figures_are_means_over_images() -> None:
    one = dict(zip(bands.BANDS, (1.0, 2.0, 3.0, 4.0), strict=True))
    other = {name: value + 1 for name, value in one.items()}
    assert bands.figures([one, None, other]) == {name: v + 0.5 for name, v in one.items()}
    assert bands.figures([None]) is None
