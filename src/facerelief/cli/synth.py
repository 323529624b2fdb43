"""The command that renders heads: it needs the extra `synth`."""

from __future__ import annotations

import json as json_module
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerelief import __version__
from facerelief.cli.common import Json, app, at_most_cores, cores, count, fail

if TYPE_CHECKING:
    from facerelief.samples.shards import SampleFolders, TarShards
    from facerelief.synth.assets import Assets
    from facerelief.synth.draw import SynthOptions

MOST_HEADS = 10**9  # names have nine digits
SHEET_HEADS = 64
SETTINGS = "synth.json"  # what a folder's heads were made with


@app.command()
def synth(
    number: Annotated[
        str | None, typer.Option("-n", metavar="N", help="Heads in all.", show_default="64")
    ] = None,
    seed: Annotated[str, typer.Option(metavar="S", help="Which heads: 0, 1, 2 ...")] = "0",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to; made if missing.")
    ] = None,
    size: Annotated[int, typer.Option(help="Pixels along each side.")] = 256,
    format: Annotated[
        str, typer.Option(help="webdataset (tar files) or folder (one a head).")
    ] = "webdataset",
    only: Annotated[
        str | None,
        typer.Option(help="Comma-separated: photo, normals, mask ...", show_default="all"),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help=f"Also draw the first {SHEET_HEADS} heads together."),
    ] = None,
    assets: Annotated[
        Path | None,
        typer.Option(help="Folder of skins, hair, light ...", show_default="$FACERELIEF_DATA"),
    ] = None,
    assets_help: Annotated[
        bool, typer.Option("--assets-help", help="Say what can be added, and where it is.")
    ] = False,
    yaw: Annotated[float, typer.Option(help="Heads turn up to so many degrees.")] = 90,
    pitch: Annotated[float, typer.Option(help="They nod up to so many.")] = 45,
    roll: Annotated[float, typer.Option(help="They tilt up to so many.")] = 45,
    anywhere: Annotated[
        float, typer.Option(help="Share of poses drawn evenly; others are those of photos.")
    ] = 0.18,
    focal: Annotated[
        tuple[float, float], typer.Option(metavar="LOW HIGH", help="Lenses, mm on 35 mm film.")
    ] = (24, 200),
    margin: Annotated[
        float, typer.Option(help="Side of the picture over that of the face's crop.")
    ] = 1,
    neutral: Annotated[float, typer.Option(help="Share of heads without an expression.")] = 0.4,
    scanned: Annotated[float, typer.Option(help="Share of shapes measured on people.")] = 0.7,
    identity_spread: Annotated[float, typer.Option(help="How unlike the mean heads are.")] = 1,
    grey: Annotated[float, typer.Option(help="Share of pictures without colour.")] = 0.12,
    displacement: Annotated[bool, typer.Option(help="Wrinkles and pores.")] = True,
    lifted: Annotated[bool, typer.Option(help="Skins from photographs.")] = True,
    shadows: Annotated[bool, typer.Option(help="Cast shadows.")] = True,
    occluders: Annotated[bool, typer.Option(help="Hair, glasses, hats, hands.")] = True,
    renderer: Annotated[
        str, typer.Option(help="torch, or mitsuba: path traced, some hundred times slower.")
    ] = "torch",
    paths: Annotated[int, typer.Option(min=1, help="Paths a pixel, for mitsuba.")] = 64,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes.", show_default="one a core", callback=at_most_cores),
    ] = None,
    json: Json = False,
) -> None:
    """Render random heads with their exact normals, depth, landmarks, light and more.

    Example: facerelief synth -n 1000 --seed 1 -o heads --sheet heads.png

    The same seed gives the same bytes on the same machine. An interrupted run goes on where it
    stopped when the same command is given again; a larger -n adds heads.
    """
    if assets_help:
        _print_assets(assets, json)
        return
    heads = _integer("-n", number if number is not None else "64", 1, MOST_HEADS)
    first = _integer("--seed", seed, 0, 2**63 - 1)
    if format not in ("webdataset", "folder"):
        fail(f"--format is webdataset or folder, not {format}", code=2)
    if renderer not in ("torch", "mitsuba"):
        fail(f"--renderer is torch or mitsuba, not {renderer}", code=2)
    if out is None and sheet is None:
        fail("nothing to write: give a folder with -o, or a picture with --sheet", code=2)
    if sheet is not None and only is not None:
        fail("--sheet shows all that is known of a head: leave out --only", code=2)
    _need("torch", *(["mitsuba"] if renderer == "mitsuba" else []))
    from facerelief.synth.draw import PoseRange, SynthOptions
    from facerelief.synth.produce import random_heads

    try:
        options = SynthOptions(
            size=size,
            margin=margin,
            pose=PoseRange(yaw, pitch, roll, focal, anywhere),
            neutral=neutral,
            scanned=scanned,
            identity_spread=identity_spread,
            grey=grey,
            displacement=displacement,
            lifted=lifted,
            shadows=shadows,
            occluders=occluders,
        )
    except ValueError as error:
        fail(str(error), code=2)
    files = _files(only)
    available = _find_assets(assets)
    make = partial(random_heads, available, options, first, renderer, paths)
    settings = _settings(available, options, first, renderer, paths, format, files)
    if not json and available.missing():
        missing = ", ".join(available.missing())
        typer.echo(f"done without: {missing} (see --assets-help)", err=True)
    workers = workers or (1 if renderer == "mitsuba" else cores())
    started = time.perf_counter()
    if out is None:
        assert sheet is not None
        made = heads = min(heads, SHEET_HEADS)
        _run(_sheet_only, make, heads, sheet, workers, not json)
    else:
        writer = _writer(out, format, settings)
        made = sum(len(shard) for shard in writer.pending(heads))
        _run(_write, make, heads, writer, files, workers, not json)
        if sheet is not None:
            _run(_sheet_of, out, sheet)
    seconds = time.perf_counter() - started
    if json:
        summary = {
            "folder": None if out is None else str(out),
            "sheet": None if sheet is None else str(sheet),
            "heads": heads,
            "made": made,
            "seconds": round(seconds, 3),
            "assets_missing": list(available.missing()),
        }
        typer.echo(json_module.dumps(summary, ensure_ascii=False))
        return
    already = f", {heads - made} were there" if made < heads else ""
    if out is not None:
        typer.echo(f"{count(made, 'head')} made{already}, in {out}")
    if sheet is not None:
        typer.echo(f"{sheet} shows {min(heads, SHEET_HEADS)} of them")


def _run(action: Any, *arguments: Any) -> None:
    """Do it; whatever stops it is one line and exit code 1, or 130 for Control-C."""
    from facerelief.samples.files import SampleError
    from facerelief.synth.assets import AssetError
    from facerelief.synth.produce import WorkerError

    again = "; what is finished stays, and the same command goes on from there"
    try:
        action(*arguments)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}{again}", code=1)
    except (WorkerError, MemoryError) as error:
        fail(f"{error or 'out of memory'}{again}", code=1)
    except (AssetError, SampleError) as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        fail(f"interrupted{again}", code=130)


def _write(
    make: Any,
    heads: int,
    writer: TarShards | SampleFolders,
    files: tuple[str, ...],
    workers: int,
    progress: bool,
) -> None:
    from facerelief.synth.produce import produce

    pending = writer.pending(heads)
    samples = produce(make, chain.from_iterable(pending), workers, files)
    done = sum(map(len, pending))
    with closing(samples), _Progress(heads, heads - done, progress) as shown:
        for shard in pending:
            writer.write(shard, shown.count(islice(samples, len(shard))))


def _sheet_only(make: Any, heads: int, path: Path, workers: int, progress: bool) -> None:
    from facerelief.samples.files import from_files
    from facerelief.synth.produce import produce

    samples = produce(make, range(heads), workers)
    with closing(samples), _Progress(heads, 0, progress) as shown:
        _write_sheet([from_files(files) for files in shown.count(samples)], path)


def _sheet_of(folder: Path, path: Path) -> None:
    from facerelief.samples.shards import ShardReader

    _write_sheet(ShardReader(folder)[:SHEET_HEADS], path)


def _write_sheet(renderings: Any, path: Path) -> None:
    from facerelief.encode import to_png
    from facerelief.files import write_files
    from facerelief.synth.sheet import contact_sheet

    write_files({path: to_png(contact_sheet(renderings))})


def _writer(out: Path, format: str, settings: dict[str, Any]) -> TarShards | SampleFolders:
    """A writer into a folder that is new, or holds heads of the same settings."""
    from facerelief.files import make_folder, write_files
    from facerelief.samples.shards import SampleFolders, TarShards

    path = out / SETTINGS
    try:
        make_folder(out)
        before = json_module.loads(path.read_text("utf-8")) if path.exists() else None
        if before is None:
            text = json_module.dumps(settings, indent=2, ensure_ascii=False) + "\n"
            write_files({path: text.encode()})
    except OSError as error:
        fail(f"{out}: cannot write there: {error.strerror}", code=2)
    except ValueError:
        fail(f"{path}: damaged; remove it, or choose another folder", code=2)
    if before is not None and before != settings:
        other = [key for key in settings if before.get(key) != settings[key]]
        fail(
            f"{out} holds heads made with another {', '.join(other) or 'version'} (see {path}):"
            " choose another folder, or remove it",
            code=2,
        )
    return TarShards(out) if format == "webdataset" else SampleFolders(out)


def _settings(
    assets: Assets,
    options: SynthOptions,
    seed: int,
    renderer: str,
    paths: int,
    format: str,
    files: tuple[str, ...],
) -> dict[str, Any]:
    """All that the bytes depend on, as JSON gives it back, and whom to credit."""
    used = [row for row in assets.describe() if row["found"]]
    settings = {
        "facerelief": __version__,
        "seed": seed,
        **asdict(options),
        "renderer": renderer,
        "paths": paths if renderer == "mitsuba" else None,
        "format": format,
        "files": files,
        "assets": [{key: row[key] for key in ("name", "licence", "published")} for row in used],
    }
    parsed: dict[str, Any] = json_module.loads(json_module.dumps(settings))
    return parsed


def _files(only: str | None) -> tuple[str, ...]:
    """The files of a sample that `only` names, without their endings; the JSON is always there."""
    from facerelief.samples.files import FILES

    names = {file.partition(".")[0]: file for file in FILES}
    chosen = list(names) if only is None else [*only.split(","), "json"]
    if unknown := [name for name in chosen if name not in names]:
        known = ", ".join(list(names)[:-1])
        fail(f"--only knows {known}; not {', '.join(unknown)}", code=2)
    return tuple(file for name, file in names.items() if name in chosen)


def _integer(option: str, text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        fail(f"{option} is a whole number, not {text!r}", code=2)
    if not low <= value <= high:
        fail(f"{option} is {low} to {high}, not {value}", code=2)
    return value


def _find_assets(folder: Path | None) -> Assets:
    from facerelief.synth.assets import AssetError, Assets

    try:
        return Assets.find(folder)
    except AssetError as error:
        fail(str(error), code=2)


def _need(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        fail(f"this needs {' and '.join(missing)}: pip install 'facerelief[synth]'", code=1)


def _print_assets(folder: Path | None, json: bool) -> None:
    rows = _find_assets(folder).describe()
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    typer.echo(
        "Heads render without any of these. Put them where FACERELIEF_DATA or --assets points:\n"
    )
    for row in rows:
        typer.echo(f"{row['name']}{'' if row['found'] else ' (missing)'}")
        for key, label in (
            ("adds", "adds"),
            ("licence", "licence"),
            ("published", "from"),
            ("files", "put"),
            ("path", "under"),
        ):
            typer.echo(f"  {label:<9}{row[key]}")


class _Progress:
    """A bar on a terminal; nothing elsewhere."""

    def __init__(self, total: int, done: int, wanted: bool) -> None:
        self.bar: Any = nullcontext()
        if wanted and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self.bar = progress.Progress(
                progress.TextColumn("Heads"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self.task = self.bar.add_task("Heads", total=total, completed=done)

    def __enter__(self) -> _Progress:
        self.bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.__exit__(*error)

    def count(self, samples: Any) -> Any:
        """Pass `samples` through, and move the bar."""
        for sample in samples:
            yield sample
            if not isinstance(self.bar, nullcontext):
                self.bar.advance(self.task)
