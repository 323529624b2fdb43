"""Similarities: found again, undone, and one after another."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facerelief.geometry.similarity import Similarity

TURN = Rotation.from_euler("YXZ", (30, -20, 10), degrees=True).as_matrix()
POINTS = np.random.default_rng(0).normal(size=(7, 3))


def test_what_was_applied_is_found() -> None:
    found = Similarity.between(POINTS, 2.5 * POINTS @ TURN.T + [1, 2, 3])
    assert found.scale == pytest.approx(2.5)
    assert np.allclose(found.rotation, TURN) and np.allclose(found.translation, [1, 2, 3])
    assert found.angles == pytest.approx((30, -20, 10))
    # A mirrored cloud does not turn into a rotation that mirrors.
    assert np.linalg.det(Similarity.between(POINTS, POINTS * [-1, 1, 1]).rotation) > 0.99
    with pytest.raises(ValueError, match="three or more"):
        Similarity.between(POINTS[:2], POINTS[:2])


def test_ways_there_and_back() -> None:
    one = Similarity(2.5, TURN, np.array([1.0, 2, 3]))
    other = Similarity(0.5, TURN.T @ TURN.T, np.array([-4.0, 0, 1]))
    there = one(POINTS)
    assert np.allclose(there, np.column_stack([POINTS, np.ones(7)]) @ one.matrix.T)
    assert np.allclose(one.undo(there), POINTS)
    assert np.allclose((other @ one)(POINTS), other(there))
