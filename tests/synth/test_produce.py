"""Samples from worker processes: order, sameness, failures."""

import os
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from facerelief.synth.produce import WorkerError, produce
from facerelief.synth.sample_files import to_files
from rendered_spheres import Fails, Spheres, sphere


def broken() -> Spheres:
    raise ValueError("no such skin")


def test_samples_come_in_order_and_are_the_same_for_any_number_of_workers() -> None:
    indices = [5, 0, 3, 1, 9, 2]
    expected = [to_files(sphere(index)) for index in indices]
    before = dict(os.environ)
    for workers in (1, 3):
        assert list(produce(Spheres, indices, workers)) == expected
    assert dict(os.environ) == before


def test_only_the_wanted_files_are_made() -> None:
    (sample,) = produce(Spheres, [4], 1, ["mask.png", "json"])
    assert list(sample) == ["mask.png", "json"]


@pytest.mark.parametrize(("kill", "error"), [(False, MemoryError), (True, WorkerError)])
def test_what_goes_wrong_in_a_worker_is_raised_here(
    kill: bool, error: type[Exception], tmp_path: Path
) -> None:
    make = partial(partial, Fails(2, tmp_path / "marker", kill))
    with closing(produce(make, range(5), 1)) as samples, pytest.raises(error, match="memory"):
        list(samples)


def test_what_goes_wrong_at_the_start_is_raised_too() -> None:
    with pytest.raises(ValueError, match="no such skin"):
        list(produce(broken, range(5), 1))


def test_nothing_to_do_is_nothing() -> None:
    assert list(produce(broken, [], 2)) == []
