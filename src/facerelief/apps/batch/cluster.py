"""The work done on a Ray cluster, by Ray Data; the same tables and files, by the same sink.

Workers load the networks once each and write what they make to OUT, which all of them must see.
The photos' names go out and what became of them comes back, and the manifest is written here: a
task that is lost with its machine is done again elsewhere, and what it had written is replaced.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
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

#: Photos, and bytes of those that are no files, that go out at a time: what the driver holds.
_PHOTOS, _BYTES = 16384, 256 * 2**20


class ClusterError(RuntimeError):
    """A cluster that cannot be reached or has failed; one line."""


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

    Raises OSError where a worker can keep nothing any more, and ClusterError for a cluster that
    cannot be reached or has failed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.exceptions import RayError

    mine = not ray.is_initialized()
    if mine:
        _connect(address or os.environ.get("RAY_ADDRESS"))
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        job = _Job(settings, estimators, sink, manifest.shard.ending)
        todo = _committed(pending(photos, manifest, retry), sink.photos)
        for wave in _waves(todo, sink.photos):
            yield from _wave(wave, job, manifest)
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
                raise OSError(cause.errno or 0, cause.strerror or str(cause)) from None
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise ClusterError(f"the Ray cluster failed: {_last_line(error)}") from None
    finally:
        if mine:
            ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:  # one that is here for this alone
        os.environ.setdefault("RAY_worker_niceness", "0")
        quiet["include_dashboard"] = False
    try:
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(f"no Ray cluster to be had: {_last_line(error)}") from None


def _wave(wave: list[bytes], job: _Job, manifest: Manifest) -> Iterator[Results]:
    import ray

    cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    data = ray.data.from_items([{"photos": one} for one in wave], override_num_blocks=len(wave))
    # Actors of a machine that is lost are restarted, and their tasks, by Ray Data itself.
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=min(cores, len(wave)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = data.map_batches(
            Worker, fn_constructor_args=(job,), batch_size=1, num_cpus=1, compute=pool
        )
    recorded: set[str] = set()
    for row in done.iter_rows():
        results, part = pickle.loads(row["done"])
        if results[0].key in recorded:
            continue
        recorded.add(results[0].key)
        manifest.record(results, part)
        yield results


def _waves(todo: Iterator[bytes], each: int) -> Iterator[list[bytes]]:
    """As many as go out at a time: each wave has networks loaded anew."""
    wave: list[bytes] = []
    size = 0
    for packed in todo:
        wave.append(packed)
        size += len(packed)
        if len(wave) * each >= _PHOTOS or size > _BYTES:
            yield wave
            wave, size = [], 0
    if wave:
        yield wave


def _committed(items: Iterator[Item], many: int) -> Iterator[bytes]:
    """The items that are committed together, as bytes."""
    while group := list(islice(items, many)):
        yield pickle.dumps(group)


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
