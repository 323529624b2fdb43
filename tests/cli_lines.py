"""Commands as tests call them, and what they say of what they cannot use."""

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from facerelief.apps.normals import OUTPUTS
from facerelief.cli import app


def normals(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["normals", *(str(argument) for argument in arguments)])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def outputs_of(stem: str) -> set[str]:
    return {f"{stem}{ending}" for ending, _ in OUTPUTS.values()}


def one_line(result: Result, *parts: str) -> None:
    """stderr is a single line that holds `parts` (regular expressions)."""
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert re.search(part, result.stderr), result.stderr
    assert "Traceback" not in result.output
