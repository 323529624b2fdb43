"""The filter against its equations written out; what rests is steady, what runs is near."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerelief.geometry.one_euro import OneEuro, Strength

STRENGTH = Strength(1.2, 0.7, 0.9)


def twin(values: list[float], times: list[float], strength: Strength) -> list[float]:
    """One number after the other, as the paper has it."""

    def alpha(cutoff: float, step: float) -> float:
        return 1 / (1 + 1 / (2 * pi * cutoff * step))

    found, speed = [values[0]], 0.0
    for index in range(1, len(values)):
        step = times[index] - times[index - 1]
        share = alpha(strength.speed_cutoff, step)
        speed = share * (values[index] - found[-1]) / step + (1 - share) * speed
        share = alpha(strength.cutoff + strength.beta * abs(speed), step)
        found.append(share * values[index] + (1 - share) * found[-1])
    return found


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(0.01, 0.2)), min_size=1, max_size=20),
    st.sampled_from(["float32", "float64"]),
)
def test_it_is_what_the_paper_says(steps: list[tuple[float, float]], kind: str) -> None:
    values, times = [value for value, _ in steps], np.cumsum([step for _, step in steps]).tolist()
    filter = OneEuro(STRENGTH)
    found = [
        filter(np.array([value, -value], kind), time)
        for value, time in zip(values, times, strict=True)
    ]
    assert all(one.dtype == kind for one in found)
    expected = np.outer(twin(values, times, STRENGTH), (1, -1))
    np.testing.assert_allclose(found, expected, atol=1e-4 if kind == "float32" else 1e-9)


def test_vectors_are_filtered_alike_in_any_direction() -> None:
    random = np.random.default_rng(0)
    path = np.cumsum(random.normal(size=(30, 2)), axis=0)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    one, other = OneEuro(STRENGTH, vectors=True), OneEuro(STRENGTH, vectors=True)
    for index, place in enumerate(path):
        np.testing.assert_allclose(one(place, index / 30) @ turn.T, other(turn @ place, index / 30))


def test_what_rests_is_steady_and_what_runs_is_hardly_late() -> None:
    random = np.random.default_rng(1)
    times = np.arange(300) / 30
    still = random.normal(0, 0.01, 300)
    filter = OneEuro(Strength(1.0, 10.0))
    steady = np.array([filter(value, time) for value, time in zip(still, times, strict=True)])
    assert steady[60:].std() < 0.5 * still[60:].std()
    running = 2 * times + still
    filter = OneEuro(Strength(1.0, 10.0))
    near = np.array([filter(value, time) for value, time in zip(running, times, strict=True)])
    late = ((running - near)[60:] / 2 * 30).mean()  # pictures
    assert 0 < late < 0.3
    slow = OneEuro(Strength(1.0, 0.0))
    plain = np.array([slow(value, time) for value, time in zip(running, times, strict=True)])
    assert ((running - plain)[60:] / 2 * 30).mean() == pytest.approx(30 / (2 * pi), rel=0.02)


def test_it_goes_on_from_its_state() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(20, 3))
    whole, first, second = (OneEuro(STRENGTH, vectors=True) for _ in range(3))
    expected = [whole(value, index / 30) for index, value in enumerate(values)]
    for index in range(10):
        first(values[index], index / 30)
    second.restore(first.state())
    found = [second(values[index], index / 30) for index in range(10, 20)]
    np.testing.assert_array_equal(found, expected[10:])


def test_time_goes_on_and_cutoffs_are_positive() -> None:
    filter = OneEuro(STRENGTH)
    filter(1.0, 0.5)
    with pytest.raises(ValueError, match=r"0\.5 is not after 0\.5"):
        filter(1.0, 0.5)
    for wrong in [(0, 1), (1, -1), (1, 1, 0), (float("nan"), 1)]:
        with pytest.raises(ValueError, match="positive"):
            Strength(*wrong)
