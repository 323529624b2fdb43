"""Samples from worker processes: order, sameness, failures."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from facerelief.samples.files import to_files
from facerelief.samples.shards import ShardReader
from facerelief.synth.produce import WorkerError, produce
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


def truncated() -> Spheres:
    raise EOFError("the skin ends early")


def test_a_file_that_ends_early_is_no_worker_that_died() -> None:
    with pytest.raises(EOFError, match="ends early"):
        list(produce(truncated, range(5), 1))


def test_what_goes_wrong_at_the_start_is_raised_too() -> None:
    with pytest.raises(ValueError, match="no such skin"):
        list(produce(broken, range(5), 1))


def test_workers_that_are_in_the_middle_of_an_answer_are_left_too() -> None:
    # An answer is longer than what a pipe holds: its sender waits until it is read.
    with closing(produce(partial(Spheres, 256), range(50), 2)) as samples:
        assert len(next(samples)["photo.png"]) > 0
        time.sleep(1)
    assert not multiprocessing.active_children()


def test_nothing_to_do_is_nothing() -> None:
    assert list(produce(broken, [], 2)) == []


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from facerelief.synth.produce import produce
from facerelief.samples.shards import TarShards
from rendered_spheres import Spheres

if __name__ == "__main__":
    writer = TarShards(Path(sys.argv[1]), 4)
    samples = produce(partial(Spheres, 48, 0.2), range(100), 2)
    for shard in writer.pending(100):
        writer.write(shard, islice(samples, 4))
"""


def test_control_c_stops_all_and_leaves_whole_shards(tmp_path: Path) -> None:
    """It reaches the program and its workers together, as from a terminal."""
    script, out = tmp_path / "run.py", tmp_path / "out"
    # A program started in the background is deaf to Control-C unless it says otherwise.
    hear = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script.write_text(hear + "from itertools import islice" + SCRIPT)
    out.mkdir()
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    running = subprocess.Popen(
        [sys.executable, script, out],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
    while not (out / "heads-000000.tar").exists():
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)  # returns when the workers have gone, too
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
    assert not [path for path in out.iterdir() if path.name.endswith(".tmp")]
    assert len(ShardReader(out)) % 4 == 0
    np.testing.assert_array_equal(ShardReader(out)[3].photo, sphere(3, 48).photo)
