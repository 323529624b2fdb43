"""Samples from worker processes, in order, each the same whoever made it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from multiprocessing.connection import wait
from threading import Thread
from typing import TYPE_CHECKING, cast

from facerelief.memory import keep_freed_memory
from facerelief.samples.files import FILES, to_files
from facerelief.samples.rendering import Rendering
from facerelief.signals import deaf_children, held_interrupts
from facerelief.synth.assets import Assets

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from facerelief.synth.draw import SynthOptions


#: Makes the sample of an index; the same for the same index.
Draw = Callable[[int], Rendering]

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(RuntimeError):
    """A worker process died."""


def random_heads(
    assets: Assets, options: SynthOptions, seed: int, renderer: str, paths: int
) -> Draw:
    """Draws the heads of a seed.

    Args:
        renderer: torch is quick, mitsuba careful.
        paths: through each pixel, for mitsuba.
    """
    from facerelief.synth.draw import Heads

    heads = Heads(assets, options, seed)
    heads.prepare()
    if renderer == "mitsuba":
        from facerelief.render import mitsuba

        return lambda index: mitsuba.render(heads.scene(index), paths)
    from facerelief.render.renderer import render

    return lambda index: render(heads.scene(index))


def produce(
    make: Callable[[], Draw],
    indices: Iterable[int],
    workers: int,
    files: Iterable[str] = FILES,
) -> Generator[dict[str, bytes], None, None]:
    """The files of the samples `indices`, in their order.

    Each of the `workers` is a process that calls `make` once and computes on one thread, so that
    neither their number nor the computer's cores change a byte. No more samples are made ahead
    than keep them busy. Close the iterator to stop them.

    Raises:
        WorkerError: a process was killed, most often for want of memory.
        Exception: whatever `make` or the drawing raises.
    """
    tasks = enumerate(indices)
    first = list(islice(tasks, 2 * workers))
    context = multiprocessing.get_context("spawn")
    end, here = context.Pipe(duplex=False)
    lines: list[Connection] = []  # one to each worker: whoever dies harms no other's answer
    crew = []
    found: dict[int, dict[str, bytes] | Exception] = {}
    try:
        with held_interrupts(), deaf_children(), _one_thread_each():
            for _ in range(min(workers, len(first))):
                line, theirs = context.Pipe()
                lines.append(line)
                told = (make, tuple(files), theirs, end)
                process = context.Process(target=_work, args=told, daemon=True)
                process.start()
                crew.append(process)
                theirs.close()  # so that a line whose worker has died ends
        idle = deque(lines * 2)  # the next sample goes to whoever was ready first
        for task in first:
            with _alive():
                idle.popleft().send(task)
        given = len(first)
        for place in count():
            if place == given:
                return
            while place not in found:
                for ready in cast("list[Connection]", wait(lines)):
                    with _alive():
                        found.update([ready.recv()])
                    idle.append(ready)
            if isinstance(sample := found.pop(place), Exception):
                raise sample
            for task in islice(tasks, 1):
                with _alive():
                    idle.popleft().send(task)
                given += 1
            yield sample
    finally:
        here.close()  # the workers end at once, whatever they do
        for process in crew:
            process.join()
        for line in (*lines, end):
            line.close()


@contextmanager
def _alive() -> Iterator[None]:
    """Where a line is used: what a drawing raises may be of the same kinds, and is no death."""
    try:
        yield
    except (EOFError, ConnectionError):
        raise WorkerError("a worker process died; was there enough memory for all?") from None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile do their linear algebra on one thread.

    Libraries read these variables when they are loaded, which is before any code of ours runs.
    """
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    make: Callable[[], Draw], files: tuple[str, ...], line: Connection, end: Connection
) -> None:
    """The life of a worker: answers places and indices that come by `line`, until `end` ends."""
    Thread(target=_end_with, args=(end,), daemon=True).start()
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops the workers
    draw: Draw | None = None
    while True:
        place, index = line.recv()
        try:
            draw = draw or make()
            answer: dict[str, bytes] | Exception = to_files(draw(index), files)
        except Exception as error:
            answer = error
        line.send((place, answer))


def _end_with(line: Connection) -> None:
    """End this process when the other end of `line` is closed: by the parent, or by its end."""
    with suppress(OSError):
        line.poll(None)
    os._exit(1)
