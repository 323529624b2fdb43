"""`facerelief batch`: photos by the thousand, in runs that can be stopped and started anywhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from facerelief.cli import jobs
from facerelief.cli.common import (
    Json,
    Provider,
    Threads,
    app,
    cores,
    count,
    fail,
    load_system,
    to_line,
)
from facerelief.cli.jobs import Crops, MaxFaces, Order, Smallest, Whole

if TYPE_CHECKING:
    from facerelief.apps.batch.manifest import Manifest, Shard
    from facerelief.apps.batch.running import Results

INSTALL = "pip install 'facerelief[batch]'"


@app.command()
def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders with all below, globs, files, lists (.txt, or - for stdin), tar shards "
            "(s-{000..009}.tar), Parquet.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")],
    what: Annotated[
        str, typer.Option(help="Comma-separated: normals, mesh, landmarks, coefficients.")
    ] = "normals",
    system: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Systems in the place of those that say each of it by default.",
            show_default="default, prnet, full_pose",
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="folder, or parquet: a row a face.")] = "folder",
    only: Annotated[
        str,
        typer.Option(help="Of normals in a folder: normal, npy, exr, shading, error, json."),
    ] = "normal,json",
    encoding: Annotated[str, typer.Option(help="Of normals in Parquet: png, or float16.")] = "png",
    column: Annotated[
        str | None, typer.Option(help="Of a Parquet source: bytes or paths of the photos.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of a Parquet source: the column of the photos' names.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="The I-th of N runs that share the photos.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try what has failed before once more.")
    ] = False,
    part: Annotated[
        int | None,
        typer.Option(min=1, help="Photos that are kept at once.", show_default="8; 256 in Parquet"),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="On a Ray cluster, by Ray Data.")] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(help="Of the cluster.", show_default="RAY_ADDRESS, or a local one"),
    ] = None,
    max_faces: MaxFaces = None,
    smallest: Smallest = None,
    whole: Whole = False,
    order: Order = "size",
    crops: Crops = False,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Estimate what faces of many photos look like, into a folder or Parquet.

    Example: facerelief batch photos/ 'shards/s-{000..009}.tar' -o out --to parquet

    A run that was stopped, anywhere, goes on where it was when it is started again: OUT's
    manifest.jsonl says what is done. Photos that fail are in failures.jsonl, with the reason.
    """
    from facerelief.apps.batch import work
    from facerelief.apps.batch.cluster import ClusterError, run_on_ray
    from facerelief.apps.batch.manifest import Manifest, ManifestError
    from facerelief.apps.batch.rows import ENCODINGS
    from facerelief.apps.batch.sinks import FORMS, PHOTOS, cannot_go_on, sink
    from facerelief.apps.batch.sources import Sources, needs_pyarrow
    from facerelief.apps.normals import MORE, OUTPUTS
    from facerelief.apps.photos import Search
    from facerelief.finding import ORDERS

    jobs.check_choice("--to", to, FORMS)
    jobs.check_choice("--encoding", encoding, ENCODINGS)
    jobs.check_choice("--order", order, ORDERS)
    kinds = jobs.split_choices("--what", what, work.WHAT)
    files = jobs.split_choices("--only", only, [k for k in (OUTPUTS | MORE) if k != "overlay"])
    ours = _shard(shard)
    jobs.begin(sources)
    if (to == "parquet" or needs_pyarrow(sources)) and find_spec("pyarrow") is None:
        fail(f"Parquet needs pyarrow: {INSTALL}", code=2)
    ray = ray or ray_address is not None
    if ray and find_spec("ray") is None:
        fail("--ray needs Ray: pip install 'facerelief[ray]'", code=2)
    settings = work.Settings(
        kinds,
        () if system is None else tuple(system.split(",")),
        to,
        Search(max_faces, smallest, whole, order, is_crop=crops),
        tuple(sorted(set(files))),
        encoding,
    )
    threads = threads or cores()
    try:
        estimators = work.choose(settings, partial(load_system, threads=1, provider=provider))
    except ValueError as error:
        fail(str(error), code=2)
    jobs.make_folders(out, [out])
    photos = Sources(sources, column, key, out)
    keeping = sink(out, settings, estimators, part or PHOTOS[to])
    described = settings.described({kind: e.entry for kind, e in estimators.items()})
    try:
        with Manifest(out, described, ours) as manifest:
            keeping.open(manifest)
            if ray:
                done = run_on_ray(
                    photos, settings, estimators, keeping, manifest, retry_failed, ray_address
                )
            else:
                from facerelief.apps.batch.running import pending, run

                job = work.Work(settings, estimators, keeping.form, 1)
                done = run(pending(photos, manifest, retry_failed), job, keeping, manifest, threads)
            try:
                _report(done, json)
            finally:
                manifest.write_failures()
            _end(manifest, out, json)
    except ManifestError as error:
        fail(str(error), code=2)
    except ClusterError as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(cannot_go_on(out, error), code=1)


def _report(done: Generator[Results, None, None], json: bool) -> None:
    """Say what becomes of the photos, as it is kept."""
    with closing(done):
        for results in _progress(done):
            for one in results:
                if one.reason is not None:
                    typer.echo(f"failed: {one.reason}", err=True)
                if json:
                    said: dict[str, Any] = {"key": one.key, "status": one.status}
                    typer.echo(to_line({**said, "faces": len(one.made), "reason": one.reason}))


def _progress(done: Generator[Results, None, None]) -> Any:
    """Pass results through; on a terminal they are counted."""
    if not sys.stderr.isatty():
        yield from done
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.completed} photos"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Photos", total=None)
        for results in done:
            bar.advance(task, len(results))
            yield results


def _end(manifest: Manifest, out: Path, json: bool) -> NoReturn:
    """What the folder holds now, of this shard, and the exit code."""
    counts = manifest.counts
    if not json:
        said = f"{count(counts.faces, 'face')} in {count(counts.done, 'photo')}, in {out}"
        if counts.no_face:
            said += f"; no face in {counts.no_face}"
        if counts.failed:
            said += f"; {counts.failed} failed (failures.jsonl says why; --retry-failed)"
        typer.echo(said)
    raise typer.Exit(1 if counts.failed else 0)


def _shard(text: str | None) -> Shard:
    from facerelief.apps.batch.manifest import Shard

    if text is None:
        return Shard()
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not int(match[1]) < int(match[2]):
        fail(f"--shard is I/N, from 0/N to N-1/N, not {text}", code=2)
    return Shard(int(match[1]), int(match[2]))
