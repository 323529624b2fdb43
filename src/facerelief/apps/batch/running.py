"""A run in one process: photos in, results out, in order, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from facerelief.apps.batch.items import Item
from facerelief.apps.batch.keys import digest
from facerelief.apps.batch.manifest import Manifest
from facerelief.apps.batch.sinks import Sink
from facerelief.apps.batch.work import Result, Work
from facerelief.runtime import BATCH

Results = list[Result[Any]]


def run(
    items: Iterable[Item], work: Work[Any], sink: Sink, manifest: Manifest, threads: int
) -> Generator[Results, None, None]:
    """What became of `items`, as it is committed. Raises OSError where nothing can be kept.

    `items` are those of `pending`. Each group of some photos is a task of `threads` threads; what
    they make is committed by this one, in the order of `items`.
    """

    def task(group: list[Item]) -> Results:
        return sink.stage(work(group))

    pool = ThreadPoolExecutor(threads)
    collected: Results = []
    try:
        tasks = ((last, pool.submit(task, group)) for last, group in _groups(items, sink.photos))
        ahead: deque[tuple[bool, Future[Results]]] = deque(islice(tasks, 2 * threads))
        while ahead:
            last, future = ahead.popleft()
            collected += future.result()
            ahead.extend(islice(tasks, 1))
            if last:
                yield commit(collected, sink, manifest)
                collected = []
    finally:
        pool.shutdown(cancel_futures=True)


def commit(results: Results, sink: Sink, manifest: Manifest) -> Results:
    """Keep `results`, and say so."""
    part = sink.commit(results, manifest.shard.ending)
    manifest.record(results, part)
    return results


def pending(items: Iterable[Item], manifest: Manifest, retry: bool = False) -> Iterator[Item]:
    """Those of the shard that are not done; with `retry` also those that failed.

    Of two that are called alike the second fails.
    """
    seen: dict[int, int] = {}
    for item in items:
        number, source = digest(item.key), digest(item.source)
        if seen.get(number) == source:  # the same one, named twice
            continue
        if number in seen:
            item = _again(item)
            number = digest(item.key)
            if number in seen:
                continue
        seen[number] = source
        if not manifest.shard.has(number):
            continue
        if number not in manifest.known or (retry and number in manifest.failed):
            yield item


def _again(item: Item) -> Item:
    """What fails in the place of a photo that is called like one before it."""
    other = f"{digest(item.source) % 2**32:08x}"
    text = f"called {item.key}, as a photo before it is: give it another name, or run it alone"
    return Item(f"{item.key}%{other}", item.source, problem=text)


def _groups(items: Iterable[Item], committed: int) -> Iterator[tuple[bool, list[Item]]]:
    """Groups for tasks, and whether each is the last of those that are committed together."""
    group: list[Item] = []
    count = 0
    for item in items:
        group.append(item)
        count += 1
        if len(group) == BATCH or count == committed:
            yield count == committed, group
            group = []
            count %= committed
    if group:
        yield True, group
