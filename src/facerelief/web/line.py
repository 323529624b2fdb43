"""The queue: a few workers, so many places to wait in, and no more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from threading import Event, Lock
from typing import Any, TypeVar

from facerelief.giving_up import wanted_while
from facerelief.web.problems import Problem

T = TypeVar("T")


class ClientGone(Exception):
    """Nobody is there to be answered."""


class Line:
    """Jobs for worker threads. Its methods may be called by several event loops at once.

    A job that has begun, and that nobody waits for any more, ends before its next step
    (`giving_up`). Until then it holds its place, so that never more run at a time than there are
    workers.
    """

    def __init__(self, workers: int, waiting: int, per_client: int | None = None) -> None:
        self.workers, self.places = workers, workers + waiting
        self._per_client = per_client
        self._pool = ThreadPoolExecutor(workers, "facerelief")
        self._lock = Lock()
        self._held, self._working, self._lasts = 0, 0, 1.0
        self._clients: Counter[str] = Counter()

    def state(self) -> dict[str, int]:
        """How full it is."""
        with self._lock:
            waiting = self._held - self._working
            return {"working": self._working, "waiting": waiting, "places": self.places}

    async def run(
        self,
        job: Callable[[], T],
        seconds: float,
        client: str = "",
        gone: Callable[[], Awaitable[Any]] | None = None,
    ) -> T:
        """What `job` gives, when its turn has come; raises what it raises.

        Raises Problem where there is no place, or it takes more than `seconds`; ClientGone when
        `gone` ends before the job.
        """
        self._enter(client)
        left = Event()
        try:
            task = self._pool.submit(self._do, job, left)
        except RuntimeError:  # closed
            self._leave(client)
            raise Problem(503, "The server is stopping. Try again in a while.") from None
        task.add_done_callback(lambda _: self._leave(client))
        work: asyncio.Future[T] = asyncio.wrap_future(task)
        watched = asyncio.ensure_future(gone()) if gone else None
        try:
            waits = {work} if watched is None else {work, watched}
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if watched is not None and watched.done():
                raise ClientGone
            if task.cancel():
                raise self._busy(f"The photo waited for {seconds:g} s.")
            raise Problem(
                504,
                f"The photo took more than {seconds:g} s. Send a smaller one, or ask for fewer "
                "faces or smaller pictures.",
            )
        finally:
            left.set()
            task.cancel()
            if watched is not None:
                watched.cancel()
            work.add_done_callback(_seen)

    def close(self) -> None:
        """Take no more jobs; wait for those that have begun, and forget those that have not."""
        self._pool.shutdown(cancel_futures=True)

    def _do(self, job: Callable[[], T], left: Event) -> T:
        since = time.monotonic()
        with self._lock:
            self._working += 1
        try:
            with wanted_while(lambda: not left.is_set()):
                return job()
        finally:
            with self._lock:
                self._working -= 1
                self._lasts += 0.2 * (time.monotonic() - since - self._lasts)

    def _enter(self, client: str) -> None:
        with self._lock:
            if self._held >= self.places:
                raise self._busy("All places are taken.")
            if self._per_client and client and self._clients[client] >= self._per_client:
                raise Problem(
                    429,
                    f"Of one client {self._per_client} photos are here at a time at most. Send the "
                    "next one when an answer has come.",
                    {"retry-after": self._patience()},
                )
            self._held += 1
            self._clients[client] += 1

    def _leave(self, client: str) -> None:
        with self._lock:
            self._held -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def _busy(self, why: str) -> Problem:
        patience = self._patience()
        return Problem(503, f"{why} Try again in {patience} s.", {"retry-after": patience})

    def _patience(self) -> str:
        """Seconds, whole ones, until those who are here now are done: a guess."""
        return str(min(max(ceil(self._lasts * self._held / self.workers), 1), 600))


def _seen(work: Future[Any] | asyncio.Future[Any]) -> None:
    """What became of a job that nobody waits for is no event."""
    if not work.cancelled():
        work.exception()
