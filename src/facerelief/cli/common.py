"""What all commands share: the application, common options, and how a command fails."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import typer.core

from facerelief import __version__

if TYPE_CHECKING:
    from facerelief.runtime import Estimator


class _Group(typer.core.TyperGroup):
    """Commands that end in one line, whatever stops them from outside."""

    def make_context(self, *args: Any, **named: Any) -> Any:
        with _ending():
            return super().make_context(*args, **named)

    def invoke(self, ctx: Any) -> Any:
        with _ending():
            return super().invoke(ctx)


@contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted; what is finished stays", code=130)
    except BrokenPipeError:
        raise typer.Exit(141) from None  # nobody reads on: as other programs end then


app = typer.Typer(
    cls=_Group,
    help="Surface normals of faces, measured, from one photo.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

System = Annotated[
    str, typer.Option(help="A name that `facerelief systems` lists, or an .onnx file.")
]


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_most_cores(number: int | None) -> int | None:
    """More threads or processes than cores only wait for each other."""
    return None if number is None else min(number, cores())


Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads to use in all; at most one a core.",
        show_default="all cores",
        callback=at_most_cores,
    ),
]
Provider = Annotated[
    str | None, typer.Option(help="ONNX Runtime provider, such as cuda.", show_default="cpu")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facerelief {__version__}")
        raise typer.Exit()


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def load_system(system: str, threads: int | None, provider: str | None) -> Estimator:
    """The system; says once on what terms research weights may be used."""
    from facerelief.catalogue import UnknownSystemError, WeightsError
    from facerelief.runtime import find_providers, load

    try:
        providers = None if provider is None else find_providers(provider)
        estimator = load(system, threads=threads, providers=providers)
    except (UnknownSystemError, ValueError) as error:
        fail(str(error), code=2)
    except WeightsError as error:
        fail(str(error), code=1)
    if estimator.entry.tier == "research":
        typer.echo(f"{estimator.name}: {estimator.entry.licence}", err=True)
    return estimator


def begin_loading(
    inputs: Sequence[str | Path], systems: Sequence[str], threads: int | None, provider: str | None
) -> None:
    """Let the networks of one photo be read while what works on them is imported.

    Names that are in no catalogue, and files, are left to `load_system`; so are many photos, which
    share the threads, and films.
    """
    from facerelief import catalogue
    from facerelief.inputs import SUFFIXES
    from facerelief.memory import share_freed_memory
    from facerelief.sessions import begin

    if provider is not None or len(inputs) != 1:
        return
    if Path(inputs[0]).suffix.lower() in SUFFIXES and os.path.isfile(inputs[0]):
        share_freed_memory()
        # NumPy's products of a photo are small; threads that wait for more spin, on others' cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        known = {"default", *catalogue.systems()}
        entries = [catalogue.find(name) for name in systems if name in known]
        begin(entries, threads or cores())


def load_shapes(system: str, threads: int | None, provider: str | None) -> Estimator:
    """The system, if it makes meshes; fails for one that does not."""
    estimator = load_system(system, threads, provider)
    if not estimator.makes_shapes:
        fail(f"{estimator.name} estimates normals, not shapes", code=2)
    return estimator


def cannot_write(out: Path, error: Exception | str) -> str:
    """Why `out` cannot be written, in one line."""
    from facerelief.inputs import in_line

    reason = error.strerror if isinstance(error, OSError) else None
    return in_line(f"{out}: cannot write: {reason or error}")


def to_line(value: Any) -> str:
    """`value` as JSON that standard output can take: names may have bytes that are no text."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return line


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def fail(message: str, code: int) -> NoReturn:
    typer.echo(f"facerelief: {message}", err=True)
    raise typer.Exit(code)
