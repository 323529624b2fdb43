"""What the commands share that make files of photos: inputs, choices, threads, progress, report.

A command is its own options, its `produce` and a call of `run`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from facerelief.cli.common import cores, count, fail, to_line

if TYPE_CHECKING:
    from facerelief.apps.photos import Outcome
    from facerelief.apps.products import Produce

Inputs = Annotated[
    list[str], typer.Argument(metavar="IMAGE|FOLDER|GLOB", help="Photos, or where they are.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Folders in folders too; OUT gets the same tree.")
]
MaxFaces = Annotated[
    int | None, typer.Option(min=1, help="Largest faces of a photo to keep.", show_default="all")
]
Smallest = Annotated[
    int | None,
    typer.Option(
        min=12,
        metavar="PX",
        help="Pixels of the smallest face to look for; smaller ones are left out.",
        show_default="24; up to 48 in large photos",
    ),
]
Whole = Annotated[
    bool, typer.Option("--whole", help="Take a photo without a face, as a whole, for one.")
]
Order = Annotated[
    str, typer.Option(help="Number faces by size, the largest first, or from left to right: left.")
]
Crops = Annotated[
    bool, typer.Option("--crops", help="The pictures are square crops of faces: search for none.")
]


def check_choice(option: str, value: object, choices: Collection[object]) -> None:
    """Fail, in one line, for a `value` that `option` does not know."""
    if value not in choices:
        *others, last = map(str, choices)
        fail(f"{option} is {', '.join(others)} or {last}, not {value}", code=2)


def split_choices(option: str, text: str, choices: Collection[str]) -> tuple[str, ...]:
    """The words of a comma-separated `text`; fails, in one line, for one that is no choice."""
    words = tuple(text.split(","))
    if unknown := sorted(set(words) - set(choices)):
        fail(f"{option} knows {', '.join(choices)}; not {', '.join(unknown)}", code=2)
    return words


def run(
    inputs: list[str],
    out: Path,
    prepare: Callable[[int], Produce],
    endings: Mapping[str, str],
    threads: int | None,
    json: bool,
    recursive: bool = False,
) -> NoReturn:
    """Give the folder `out` what a job makes of the photos, and end: with 1 if some failed.

    `prepare` loads what the job needs, for a number of threads a photo. `endings` are those of the
    files of a face, and what they hold.
    """
    from facerelief.apps.photos import output_stems, stream
    from facerelief.apps.products import Folder
    from facerelief.files import identities
    from facerelief.inputs import expand_inputs, expand_trees

    begin(inputs)
    places = expand_trees(inputs) if recursive else {Path(): expand_inputs(inputs)}
    places = _without_ours(places)
    make_folders(out, [out / place for place in places])
    paths = [path for group in places.values() for path in group]
    threads = threads or cores()
    # Several photos: one a thread. A single one: all threads together.
    workers = min(threads, len(paths))
    produce, kept = prepare(threads // workers), identities(paths)

    def all_outcomes() -> Generator[Outcome, None, None]:
        for place, group in places.items():
            yield from stream(group, produce, Folder(out / place, kept), workers)

    faces, failed, done = 0, 0, 0
    with closing(all_outcomes()) as outcomes:
        for outcome in _progress(outcomes, len(paths)):
            faces += len(outcome.faces)
            failed += outcome.error is not None
            done += bool(outcome.files)
            for line in filter(None, (outcome.error, outcome.note)):
                typer.echo(line, err=True)
            if json:
                say_outcome(outcome)
    if not json:
        typer.echo(f"{count(faces, 'face')} in {count(done, 'photo')}, written to {out}")
        stem = output_stems(paths)[0] if len(paths) == faces == 1 else "*"
        say_files(stem, endings if faces else {})
    raise typer.Exit(1 if failed else 0)


def begin(inputs: list[str]) -> None:
    """Fail for an input without a name, and keep Pillow silent in all threads."""
    if "" in inputs:
        fail("an input is an empty name: that of no file", code=2)
    # What Pillow warns of is ignored where it reads, but that is not made for several threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _without_ours(places: dict[Path, list[Path]]) -> dict[Path, list[Path]]:
    """The photos among files: an overlay or texture that an earlier run wrote is none."""
    from facerelief.encode import is_marked

    ours = [path for group in places.values() for path in group if is_marked(path)]
    if not ours:
        return places
    known = set(ours)
    photos = {place: [p for p in group if p not in known] for place, group in places.items()}
    if not any(photos.values()):
        fail(f"no photo to work on: facerelief itself made {ours[0]}", code=2)
    made = count(len(ours), "picture")
    typer.echo(f"left out: {made} that facerelief itself made, as {ours[0]}", err=True)
    return {place: group for place, group in photos.items() if group}


def make_folders(out: Path, folders: Iterable[Path]) -> None:
    """The folders below `out`, and itself; fails, in one line, where they cannot be."""
    from facerelief.files import make_folder

    try:
        for folder in folders:
            make_folder(folder)
    except OSError as error:
        fail(f"{out}: cannot write there: {error.strerror}", code=2)


def say_outcome(outcome: Outcome) -> None:
    """What became of one input, as a line of JSON."""
    told = {
        "input": str(outcome.path),
        "error": outcome.error,
        "files": outcome.files,
        "faces": outcome.faces,
    }
    typer.echo(to_line(told))


def say_files(stem: str, endings: Mapping[str, str]) -> None:
    """The files that were written, by what they hold."""
    for ending, meaning in endings.items():
        typer.echo(f"  {stem + ending:<30} {meaning}")


def _progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    """Pass `outcomes` through; on a terminal, several of them move a bar."""
    if total == 1 or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, "Photos", total, console=Console(stderr=True))
