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


def test_angles_are_those_of_the_turns_in_their_order() -> None:
    for angles in np.random.default_rng(1).uniform(-1, 1, (50, 3)) * (180, 89.9, 180):
        turn = Rotation.from_euler("YXZ", angles, degrees=True).as_matrix()
        assert Similarity(1.0, turn, np.zeros(3)).angles == pytest.approx(tuple(angles), abs=1e-5)
    for pitch in (-90, 90):  # where yaw and roll are one turn
        turn = Rotation.from_euler("YXZ", (40, pitch, 25), degrees=True).as_matrix()
        found = Similarity(1.0, turn, np.zeros(3)).angles
        again = Rotation.from_euler("YXZ", found, degrees=True).as_matrix()
        assert np.allclose(again, turn) and found[1] == pytest.approx(pitch)
