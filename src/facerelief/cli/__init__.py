"""The command line: parses, calls `apps`, `runtime` and the research side, prints.

Commands import what they need when they run, so that each starts as fast as it can. Exit codes: 0
all done, 1 some inputs failed (each is named on stderr, the others are finished), 2 usage.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from copy import copy
from typing import TextIO

import typer
from typer.main import get_command_name

from facerelief.cli import (  # they register their commands
    batch,
    browser,
    photos,
    protocols,
    relight,
    research,
    serve,
    surfaces,
    synth,
    view,
)
from facerelief.cli.common import app

__all__ = [
    "app", "batch", "browser", "main", "photos", "protocols", "relight", "research", "serve",
    "surfaces", "synth", "view",
]  # fmt: skip


def main() -> None:
    """Run the command that the arguments name; what it prints may fail to get anywhere.

    A reader that went away (`| head -1`) ends it as it ends other programs, with 141 and no word; a
    full disk behind `>` is one line.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):  # spells out names that it has no letters for
        out.reconfigure(errors="backslashreplace")
    try:
        try:
            _asked(sys.argv[1:])()
        finally:
            if out is not None:
                out.flush()
    except SystemExit as ended:
        # What interrupts Typer itself, beside a command, it makes an exit without a word.
        if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        from facerelief.catalogue import WeightsError

        if not isinstance(error, WeightsError):  # what the package itself holds is damaged
            raise
        print(f"facerelief: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename is not None:
            raise  # it is about a file
        with suppress(OSError):
            if error.errno != errno.EPIPE:
                print(f"facerelief: cannot print: {error.strerror or error}", file=sys.stderr)
        for stream in filter(None, (out, sys.stderr)):
            _forget(stream)
        sys.exit(141 if error.errno == errno.EPIPE else 1)


def _asked(arguments: list[str]) -> typer.Typer:
    """The application with the command that `arguments` ask for, or with all: to make what parses
    the options of all of them takes a tenth of a second."""
    chosen = [
        command
        for command in app.registered_commands
        if command.callback is not None
        and arguments[:1] == [command.name or get_command_name(command.callback.__name__)]
    ]
    if not chosen:
        return app
    own = copy(app)
    own.registered_commands, own.registered_groups = chosen, []
    return own


def _forget(stream: TextIO) -> None:
    """Let what `stream` still holds go nowhere when Python ends: it cannot fail there again."""
    with suppress(OSError, ValueError):
        stream.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
