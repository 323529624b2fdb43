"""Masks without dust and holes, and mattes that follow a picture's edges."""

import numpy as np
import pytest
from scipy.ndimage import label

from facerelief.geometry.matte import guided_filter, matte, parts_of, solid

SIZE = 128
Y, X = np.mgrid[:SIZE, :SIZE] + 0.5
DISC = (X - 64) ** 2 + (Y - 64) ** 2 < 40**2


def test_dust_and_pinholes_go_and_large_parts_stay():
    rough = DISC.astype(float)
    rough[60:63, 60:63] = 0  # a pinhole
    rough[4:8, 4:8] = 1  # dust
    rough[:, 80:84] = 0  # what hangs before the face
    cleaned = solid(rough)
    assert cleaned[61, 61]
    assert not cleaned[5, 5]
    assert cleaned[64, 95] and not cleaned[64, 82]


def test_a_large_hole_is_an_occluder():
    hand = DISC & ~((X - 64) ** 2 + (Y - 70) ** 2 < 15**2)
    assert np.array_equal(solid(hand), hand)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_and_everything(value):
    assert (solid(np.full((8, 9), value)) == (value > 0)).all()


def test_the_matte_goes_to_the_pictures_edge():
    picture = np.where(DISC[..., None], [0.8, 0.6, 0.5], [0.1, 0.2, 0.4])
    picture = picture + np.random.default_rng(0).normal(0, 0.02, picture.shape)
    estimate = 1 / (1 + np.exp((np.hypot(X - 60, Y - 64) - 37) / 2))  # four pixels beside it
    alpha, mask = matte(estimate, np.clip(picture, 0, 1))
    assert (mask != DISC).sum() < 0.65 * ((estimate > 0.5) != DISC).sum()
    assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1
    assert np.array_equal(alpha > 0.5, mask)


def test_the_filter_is_the_papers():
    """Window by window, by a linear solver (He et al., equation 15)."""
    g = np.random.default_rng(1)
    picture, values = g.random((12, 14, 3)), g.random((12, 14))
    radius, ridge = 2, 1e-2
    slopes, rests = np.zeros((12, 14, 3)), np.zeros((12, 14))
    for i in range(radius, 12 - radius):
        for j in range(radius, 14 - radius):
            window = np.s_[i - radius : i + radius + 1, j - radius : j + radius + 1]
            c, v = picture[window].reshape(-1, 3), values[window].ravel()
            covariance = np.cov(c.T, bias=True) + ridge * np.eye(3)
            slopes[i, j] = np.linalg.solve(covariance, (c.T @ v) / len(v) - c.mean(0) * v.mean())
            rests[i, j] = v.mean() - slopes[i, j] @ c.mean(0)
    inner = np.s_[2 * radius : 12 - 2 * radius, 2 * radius : 14 - 2 * radius]
    expected = np.zeros((12, 14))
    for i in range(2 * radius, 12 - 2 * radius):
        for j in range(2 * radius, 14 - 2 * radius):
            window = np.s_[i - radius : i + radius + 1, j - radius : j + radius + 1]
            expected[i, j] = slopes[window].reshape(-1, 3).mean(0) @ picture[i, j]
            expected[i, j] += rests[window].mean()
    found = guided_filter(picture, values, radius, ridge)
    assert np.allclose(found[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("density", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_parts_are_scipys(density):
    mask = np.random.default_rng(0).random((57, 80)) < density
    expected, count = label(mask)
    found, sizes = parts_of(mask)
    assert len(sizes) == count
    assert ((found < 0) == ~mask).all()
    pairs = set(zip(expected[mask].tolist(), found[mask].tolist(), strict=True))
    assert len(pairs) == count
    assert sizes.tolist() == np.bincount(found[mask], minlength=count).tolist()
