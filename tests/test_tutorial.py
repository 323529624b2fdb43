"""The tutorial is true: its blocks are run in order, and print what it says that they print."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from facerelief.cli import app

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each."""
    return _BLOCK.findall((DOCS / page).read_text("utf-8"))


def run_commands(text: str, folder: Path) -> None:
    """Lines of a shell block; what installs the package and fetches the photo is done already."""
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:2] == ["pip", "install"] or words[0] == "cp":
            continue
        assert words[0] == "facerelief", line
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (line, result.output)
        if "-o" in words:
            made = folder / words[words.index("-o") + 1]
            assert made.is_file() or any(made.iterdir()), line


def test_the_tutorial(tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(astronaut, tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    said: str | None = None
    compared = 0
    for language, text in blocks("tutorial.md"):
        if language == "sh":
            run_commands(text, tmp_path)
        elif language == "python":
            assert said is None, f"what is printed before {text!r} is not told"
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(text, names)
            said = printed.getvalue() or None
        elif language == "text":
            assert text == said
            said, compared = None, compared + 1
    assert said is None and compared >= 5
    for name in re.findall(r"`((?:normals|mesh|relit)/[\w.]+|astronaut_[\w.]+)`",
                           (DOCS / "tutorial.md").read_text("utf-8")):  # fmt: skip
        assert any((tmp_path / place / name).exists() for place in ("", "normals", "mesh")), name


def test_its_pages_are_there() -> None:
    for page in ("tutorial.md", "faq.md", *(f"howto/{one.name}" for one in
                 (DOCS / "howto").glob("*.md"))):  # fmt: skip
        for link in re.findall(r"\]\(([^)#:]+\.md)", (DOCS / page).read_text("utf-8")):
            assert ((DOCS / page).parent / link).exists(), (page, link)


def test_flags_that_the_pages_name_exist() -> None:
    """A command of a how-to that its program does not know would fail in people's hands."""
    known = {}
    for page in ("tutorial.md", "faq.md", *(f"howto/{one.name}" for one in
                 (DOCS / "howto").glob("*.md"))):  # fmt: skip
        text = (DOCS / page).read_text("utf-8")
        for command, rest in re.findall(
            r"facerelief (normals|mesh|relight|view|all|convert)([^`\n]*)", text
        ):
            if command not in known:
                known[command] = (
                    CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
                )
            for flag in re.findall(r"--[a-z-]+", rest):
                assert flag in known[command], (page, command, flag)
