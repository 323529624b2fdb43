"""Samples from worker processes, in order, each the same whoever made it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING

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
    context = multiprocessing.get_context("spawn")
    line, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _start, (make, tuple(files), line))
    waiting: deque[Future[dict[str, bytes]]] = deque()
    remaining = iter(indices)

    def submit(count: int) -> None:
        with held_interrupts(), deaf_children(), _one_thread_each():  # it may start a process
            waiting.extend(pool.submit(_sample, index) for index in islice(remaining, count))

    try:
        submit(2 * workers)
        while waiting:
            sample = waiting[0].result()
            waiting.popleft()
            submit(1)
            yield sample
    except BrokenProcessPool:
        raise WorkerError("a worker process died; was there enough memory for all?") from None
    finally:
        if waiting:
            end.close()  # the workers end at once, whatever they do
        pool.shutdown(cancel_futures=True)
        end.close()
        line.close()


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


_draw: Draw | None = None  # of a worker process
_failure: Exception | None = None
_files: tuple[str, ...] = ()


def _start(make: Callable[[], Draw], files: tuple[str, ...], line: Connection) -> None:
    global _draw, _failure, _files
    Thread(target=_end_with, args=(line,), daemon=True).start()
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops the workers
    _files = files
    try:
        _draw = make()
    except Exception as error:  # told with the first sample: a pool only says that it broke
        _failure = error


def _end_with(line: Connection) -> None:
    """End this process when the other end of `line` is closed: by the parent, or by its end."""
    with suppress(OSError):
        line.poll(None)
    os._exit(1)


def _sample(index: int) -> dict[str, bytes]:
    if _draw is None:
        raise _failure or RuntimeError("the worker did not start")
    return to_files(_draw(index), _files)
