"""Films among the inputs of `normals` and `mesh`: options, progress, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from facerelief.cli import jobs
from facerelief.cli.common import cores, count, fail

if TYPE_CHECKING:
    from facerelief.apps.photos import Outcome, Search
    from facerelief.apps.video.running import Job
    from facerelief.runtime import Estimator

Video = Annotated[
    str | None,
    typer.Option(
        help="Of films, comma-separated: side (by side), normals, frames (a PNG each).",
        show_default="side",
    ),
]
Raw = Annotated[bool, typer.Option("--raw", help="Of films: do not smooth in time.")]
Seconds = Annotated[
    float | None, typer.Option(min=0.001, help="Of films: take so much, from their beginning.")
]


def are_films(inputs: list[str], only_films: Mapping[str, Any]) -> bool:
    """Whether the inputs are films. Fails, in one line, for films and photos together, and for
    options that are given although they are for films alone.
    """
    from facerelief.apps.video.reading import is_film

    found = [name for name in inputs if is_film(name)]
    if found and len(found) < len(inputs):
        photo = next(name for name in inputs if not is_film(name))
        fail(f"films and photos are worked on apart: {found[0]}, {photo}", code=2)
    if not found:
        refuse(only_films, "films")
    return bool(found)


def refuse(options: Mapping[str, Any], meant: str = "photos") -> None:
    """Fail, in one line, for those that are given: they are meant for others."""
    if given := [name for name, value in options.items() if value not in (None, False)]:
        fail(f"{', '.join(given)}: for {meant} alone", code=2)


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was written, whatever its value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_given(context: typer.Context, *names: str) -> None:
    """Fail, in one line, for those parameters that are given: they are for photos."""
    refuse({f"--{name.replace('_', '-')}": is_given(context, name) for name in names})


def normals(
    inputs: list[str],
    out: Path,
    load: Callable[..., Estimator],
    search: Search,
    views: str | None,
    bits: int,
    raw: bool,
    seconds: float | None,
    threads: int | None,
    json: bool,
) -> NoReturn:
    """What `facerelief normals` does with films."""
    from facerelief.apps.video.normals import VIEWS, Normals, Options

    chosen = jobs.split_choices("--video", views or "side", VIEWS)
    threads = threads or cores()

    def make() -> Job:
        return Normals(estimator, Options(chosen, bits, not raw, threads))

    # Decoding, searching and compressing take about as long as the network: half of two.
    _check_inputs(inputs, out)
    estimator = load(threads=max(threads - 1, 1))
    endings = {VIEWS[view][0]: VIEWS[view][1] for view in chosen}
    _run(inputs, out, make, endings, search, raw, seconds, threads, json)


def mesh(
    inputs: list[str],
    out: Path,
    system: str | None,
    load: Callable[..., Estimator],
    search: Search,
    texture: int,
    raw: bool,
    seconds: float | None,
    threads: int | None,
    json: bool,
) -> NoReturn:
    """What `facerelief mesh` does with films."""
    from facerelief.apps.video.mesh import OUTPUTS, Heads, Options

    def make() -> Job:
        return Heads(estimator, Options(texture, not raw))

    _check_inputs(inputs, out)
    threads = threads or cores()
    estimator = load(system, threads=max(threads - 1, 1))
    if estimator.entry.kind != "coefficients":
        fail(f"{estimator.name} tells no coefficients, by which heads move: use full_pose", code=2)
    _run(inputs, out, make, dict(OUTPUTS.values()), search, raw, seconds, threads, json)


def _check_inputs(inputs: list[str], out: Path) -> None:
    from facerelief.apps.video.reading import VideoError, import_av

    try:
        import_av()
    except VideoError as error:
        fail(str(error), code=1)
    jobs.make_folders(out, [out])


def _run(
    inputs: list[str],
    out: Path,
    make: Callable[[], Job],
    endings: Mapping[str, str],
    search: Search,
    raw: bool,
    seconds: float | None,
    threads: int,
    json: bool,
) -> NoReturn:
    from facerelief.apps.photos import output_stems
    from facerelief.apps.video.reading import CAMERA
    from facerelief.apps.video.running import BESIDE, Options, process
    from facerelief.inputs import expand_inputs

    named = [name for name in inputs if not name.startswith(CAMERA)]
    sources = [*map(str, expand_inputs(named)), *(n for n in inputs if n.startswith(CAMERA))]
    paths = [Path(source.replace(CAMERA, "camera_").replace("/", "_"))
             if source.startswith(CAMERA) else Path(source) for source in sources]  # fmt: skip
    options = Options(search, not raw, threads, seconds)
    faces = failed = done = 0
    stems = output_stems(paths)
    for source, stem in zip(sources, stems, strict=True):
        with _progress(source) as progress:
            outcome = process(source, stem, out, make(), options, progress)
        faces += len(outcome.faces)
        failed += outcome.error is not None
        done += bool(outcome.files)
        for line in filter(None, (outcome.error, outcome.note)):
            typer.echo(line, err=True)
        if json:
            jobs.say_outcome(outcome)
        else:
            _say(outcome)
    if not json:
        typer.echo(f"{count(faces, 'face')} in {count(done, 'film')}, written to {out}")
        stem = stems[0] if len(stems) == 1 else "*"
        meant = {**endings, **dict(BESIDE.values())}
        jobs.say_files(stem, meant if done else {})
    raise typer.Exit(1 if failed else 0)


def _say(outcome: Outcome) -> None:
    """How steady a film's faces are."""
    import json as json_module

    units = (("crop", "px"), ("normals", "deg"), ("pose", "deg"), ("expression", "of 1"))

    for path in outcome.files:
        if path.endswith("_video.json"):
            said = json_module.loads(Path(path).read_bytes())["steadiness"]
            for name, unit in units:
                if told := said.get(name):
                    lag = "" if told["lag"] is None else f", {told['lag']:g} pictures behind"
                    change = f"{told['jitter_raw']:g} to {told['jitter']:g} {unit}"
                    typer.echo(f"{outcome.path}: jitter of the {name} from {change}{lag}")


@contextmanager
def _progress(source: str) -> Iterator[Callable[[int, int | None], None]]:
    """What is told how many pictures are done; a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, expected: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(Path(source).name, total=None)
        yield lambda done, expected: bar.update(task, completed=done, total=expected)
