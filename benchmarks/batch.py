"""Many photos, against the detector and the network alone on the same photos.

    FACERELIEF_DATA=... OMP_NUM_THREADS=1 python benchmarks/batch.py [--photos N] [--rounds N]

Each round has the same photos for all, one after the other in this process: first the detector and
the network alone on decoded photos and cut crops, then `facerelief batch` and `facerelief normals`
from files to files, all in two threads. Ratios are of processor time, which other programs on the
machine hardly change, and of wall time. Memory is that of whole processes with 200 and 1,000 photos
of one size.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import speed
from measuring import launch, machine
from tables import write

from facerelief.apps import normals
from facerelief.apps.batch import running, sinks, work
from facerelief.apps.batch.manifest import Manifest
from facerelief.apps.batch.sources import Sources
from facerelief.apps.photos import stream
from facerelief.apps.products import Folder
from facerelief.detect import Detector
from facerelief.images import load_photo
from facerelief.runtime import Estimator, load

THREADS = 2
SIZES = (200, 1000)  # photos, of the memory


def clocked(run: Callable[[], Any]) -> tuple[float, float]:
    """Processor and wall seconds."""
    began, work_began = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - work_began, time.perf_counter() - began


def alone(photos: Sequence[Any], crops: Sequence[Any], detector: Detector, one: Estimator) -> None:
    def both(photo: Any, faces: Any) -> None:
        detector(photo)
        one.estimate_crops(faces)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(both, photos, crops))


def batch(source: Path, out: Path, to: str, estimator: Estimator) -> None:
    settings = work.Settings(to=to)
    estimators = {"normals": estimator}
    out.mkdir()
    sink = sinks.sink(out, settings, estimators, sinks.PHOTOS[to])
    with Manifest(out, settings.described({"normals": estimator.entry})) as manifest:
        sink.open(manifest)
        job: work.Work[Any] = work.Work(settings, estimators, sink.form, 1)
        items = running.pending(Sources([str(source)]), manifest)
        for _ in running.run(items, job, sink, manifest, THREADS):
            pass
        if manifest.counts.failed:
            raise RuntimeError(f"{manifest.counts.failed} photos failed")


def command(paths: Sequence[Path], out: Path, options: normals.Options, one: Estimator) -> None:
    out.mkdir()
    job = partial(normals.produce, estimator=one, options=options)
    for _ in stream(paths, job, Folder(out), THREADS):
        pass


def throughput(folder: Path, rounds: int) -> dict[str, Any]:
    paths, about = speed.many_photos(folder / "all")
    estimator, detector = load("default", threads=1), Detector(threads=1)
    times: dict[str, list[tuple[float, float]]] = {}
    numbers, faces = itertools.count(), 0
    each = len(paths) // rounds
    for start in range(0, each * rounds, each):
        chunk = paths[start : start + each]
        source = folder / f"source{start}"
        source.mkdir()
        for path in chunk:
            shutil.copy(path, source)
        shard = folder / f"s{start}.tar"
        with tarfile.open(shard, "w") as tar:
            for path in chunk:
                tar.add(path, path.name)
        photos = [load_photo(path) for path in chunk]
        crops = [speed.faces_of(photo, detector) for photo in photos]
        faces += sum(map(len, crops))

        def out() -> Path:
            return folder / f"out{next(numbers)}"

        few = normals.Options(("normal", "json"))
        runs: dict[str, Callable[[], Any]] = {
            "alone": lambda: alone(photos, crops, detector, estimator),  # noqa: B023
            "folder": lambda: batch(source, out(), "folder", estimator),  # noqa: B023
            "parquet": lambda: batch(source, out(), "parquet", estimator),  # noqa: B023
            "webdataset": lambda: batch(shard, out(), "parquet", estimator),  # noqa: B023
            "normals": lambda: command(chunk, out(), few, estimator),  # noqa: B023
            "normals_all": lambda: command(chunk, out(), normals.Options(), estimator),  # noqa: B023
        }
        if not times:  # what is loaded once, and the first memory
            for run in runs.values():
                run()
        for name, run in runs.items():
            times.setdefault(name, []).append(clocked(run))
    base = times["alone"]
    return {
        "about": about, "faces": faces, "photos": each * rounds, "rounds": rounds,
        "alone_ms": 1000 * sum(cpu for cpu, _ in base) / (each * rounds),
        "ratios": {
            name: {
                "cpu": sum(c for c, _ in base) / sum(c for c, _ in own),
                "wall": median(w / v for (_, w), (_, v) in zip(base, own, strict=True)),
                "cpu_ms": 1000 * sum(c for c, _ in own) / (each * rounds),
            }
            for name, own in times.items() if name != "alone"
        },
    }  # fmt: skip


def memory(folder: Path) -> dict[str, dict[str, float]]:
    """Peak MB of the commands, by the number of photos."""
    found: dict[str, dict[str, float]] = {"batch": {}, "batch_parquet": {}}
    original = speed.PHOTOS
    for many in SIZES:
        speed.PHOTOS = many
        photos = speed.astronauts(folder / f"photos{many}")[0].parent
        calls = {
            "batch": ("batch", photos, "-o", folder / f"a{many}"),
            "batch_parquet": ("batch", photos, "-o", folder / f"b{many}", "--to", "parquet"),
        }
        for name, words in calls.items():
            _, _, peak = launch(*speed.CLI, *map(str, words), "--threads", str(THREADS))
            found[name][str(many)] = peak
            print(f"{name}, {many} photos: {peak:.0f} MB", file=sys.stderr)
    speed.PHOTOS = original
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", choices=("throughput", "memory"))
    chosen = parser.parse_args()
    speed.PHOTOS = chosen.photos
    from tables import RESULTS

    path = RESULTS / "batch.json"
    result = json.loads(path.read_text("utf-8")) if path.exists() else {}
    result["machine"] = machine()
    with TemporaryDirectory() as folder:
        if chosen.only != "memory":
            result["throughput"] = throughput(Path(folder), chosen.rounds)
        if chosen.only != "throughput":
            result["memory"] = memory(Path(folder))
    write("batch", json.loads(json.dumps(result), parse_float=speed.short))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
