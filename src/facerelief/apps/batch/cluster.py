"""The work done on a Ray cluster, by Ray Data; the same tables and files, by the same sink.

Workers load the networks once each and write what they make to OUT, which all of them must see.
The photos' names go out and what became of them comes back, and the manifest is written here: a
task that is lost with its machine is done again elsewhere, and what it had written is replaced.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from facerelief.apps.batch.items import Item
from facerelief.apps.batch.manifest import Manifest
from facerelief.apps.batch.running import Results, pending
from facerelief.apps.batch.sinks import Sink
from facerelief.apps.batch.sources import Sources
from facerelief.apps.batch.work import Result, Settings, Work, groups
from facerelief.runtime import BATCH, Estimator

#: Tables or groups of files whose names go out at a time: bounds what the driver holds.
_WAVE = 64


@dataclass(frozen=True)
class _Job:
    """All that a worker needs; some hundred bytes, since networks are read where they are."""

    settings: Settings
    estimators: Mapping[str, Estimator]
    sink: Sink
    ending: str


class Worker:
    """An actor of Ray Data: photos that are committed together, to what became of them."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._work: Work[Any] = Work(job.settings, job.estimators, job.sink.form, 1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        said = []
        for packed in batch["photos"]:
            items: list[Item] = pickle.loads(packed)
            results: Results = []
            for group in groups(items, BATCH):
                results += self._job.sink.stage(self._work(group))
            part = self._job.sink.commit(results, self._job.ending)
            slim = [Result(r.key, r.status, (None,) * len(r.made), r.reason) for r in results]
            said.append(pickle.dumps((slim, part)))
        return {"done": said}


def run_on_ray(
    photos: Sources,
    settings: Settings,
    estimators: Mapping[str, Estimator],
    sink: Sink,
    manifest: Manifest,
    retry: bool = False,
    address: str | None = None,
) -> Generator[Results, None, None]:
    """As `running.run`, on the cluster at `address`, or that of RAY_ADDRESS, or a new local one.

    Raises OSError where a worker can keep nothing any more, and RuntimeError for a cluster that
    cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(
                address=address or os.environ.get("RAY_ADDRESS"),
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=None if address else False,
                configure_logging=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RuntimeError(f"no Ray cluster to be had: {error}".partition("\n")[0]) from None
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        job = _Job(settings, estimators, sink, manifest.shard.ending)
        todo = _committed(pending(photos, manifest, retry), sink.photos)
        while wave := list(islice(todo, _WAVE)):
            yield from _wave(wave, job, manifest)
    finally:
        if mine:
            ray.shutdown()


def _wave(wave: list[bytes], job: _Job, manifest: Manifest) -> Iterator[Results]:
    import ray

    cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    data = ray.data.from_items([{"photos": one} for one in wave], override_num_blocks=len(wave))
    done = data.map_batches(
        Worker,
        fn_constructor_args=(job,),
        batch_size=1,
        num_cpus=1,
        concurrency=(1, min(cores, len(wave))),
        max_restarts=-1,
        max_task_retries=-1,
    )
    for row in done.iter_rows():
        results, part = pickle.loads(row["done"])
        manifest.record(results, part)
        yield results


def _committed(items: Iterator[Item], many: int) -> Iterator[bytes]:
    """The items that are committed together, as bytes."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == many:
            yield pickle.dumps(group)
            group = []
    if group:
        yield pickle.dumps(group)
