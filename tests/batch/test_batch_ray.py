"""On a real cluster of this machine: two nodes that work, of which one dies midway."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_runs import files, photos_of
from facerelief.apps.batch import running, sinks, work
from facerelief.apps.batch.cluster import run_on_ray
from facerelief.apps.batch.manifest import Manifest
from facerelief.apps.batch.sources import Sources
from facerelief.apps.photos import Search
from facerelief.runtime import load

pytest.importorskip("pyarrow")
SETTINGS = work.Settings(to="parquet", search=Search(is_crop=True))


class Noted(sinks.Parquet):
    """Notes which node makes each table, and takes its time."""

    def commit(self, results: Any, ending: str) -> str | None:
        import ray

        name = super().commit(results, ending)
        node = ray.get_runtime_context().get_node_id()
        (self.out.parent / "nodes" / f"{node} {name}").touch()
        time.sleep(0.4)
        return name


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    }
    before = dict(os.environ)
    os.environ.update(environment)
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    store = 80 * 2**20
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": store, "include_dashboard": False},
    )
    try:
        workers = [made.add_node(num_cpus=1, object_store_memory=store) for _ in range(2)]
        ray.init(address=made.address, log_to_driver=False, logging_level=40)
        made.wait_for_nodes()
        yield made, workers
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Ray's test cluster is for Linux")
def test_a_node_that_dies_midway_costs_nothing(
    cluster: Any, tiny: Path, crops: Path, tmp_path: Path
) -> None:
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    made, (doomed, _) = cluster
    estimators = {"normals": load(tiny, threads=1)}
    told = SETTINGS.described({"normals": estimators["normals"].entry})
    nodes, out, whole = (tmp_path / name for name in ("nodes", "out", "whole"))
    for folder in (nodes, out, whole):
        folder.mkdir()
    plain = sinks.sink(out, SETTINGS, estimators, 1)
    sink = Noted(out, plain.form, plain.said, 1)
    dies = doomed.node_id

    def worked() -> set[str]:
        return {path.name.split()[0] for path in nodes.iterdir()}

    killed_after = 0
    with Manifest(out, told) as manifest:
        for _ in run_on_ray(Sources([str(crops)]), SETTINGS, estimators, sink, manifest):
            if not killed_after and dies in worked():
                made.remove_node(doomed, allow_graceful=False)
                killed_after = manifest.counts.photos
    assert 0 < killed_after < 30 and len(worked()) == 2
    assert [node["NodeID"] for node in ray.nodes() if not node["Alive"]] == [dies]

    same = sinks.sink(whole, SETTINGS, estimators, 1)
    with Manifest(whole, told) as manifest:
        job = work.Work(SETTINGS, estimators, same.form, 1)
        items = running.pending(Sources([str(crops)]), manifest)
        assert sum(len(r) for r in running.run(items, job, same, manifest, 1)) == 30
    assert files(out) == files(whole) and photos_of(out) == photos_of(whole)
