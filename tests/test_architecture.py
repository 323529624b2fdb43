"""The map of the house is true: every name in it is one of the package's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import facerelief

ROOT = Path(__file__).parents[1]
PACKAGE = Path(facerelief.__file__).parent


def names(page: str) -> set[str]:
    """What a page has in code quotes: files, folders, modules, and names in modules."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    return set(re.findall(r"`([\w./]*\w[./][\w./]*)`", text))


def exists(name: str) -> bool:
    """Whether there is such a file, module, class, function, method or table."""
    if any((folder / name).exists() for folder in (ROOT, PACKAGE)):
        return True
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                body = ast.parse(file.read_text("utf-8")).body
                return _within(body, parts[count:])
    return False


def _within(body: list[ast.stmt], names: list[str]) -> bool:
    if not names:
        return True
    for node in body:
        if getattr(node, "name", None) == names[0]:
            return _within(getattr(node, "body", []), names[1:])
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(one, ast.Name) and one.id == names[0] for one in targets):
            return len(names) == 1
    return False


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_name_is_there(page: str) -> None:
    made = {"results.json", "results.md"}  # by a run
    written = names(page) - made
    assert len(written) > 15
    assert not {name for name in written if not exists(name.rstrip("/"))}


def test_a_name_that_is_not_there_is_seen() -> None:
    assert exists("train/systems") and exists("evaluate.protocol.Protocol.run")
    assert exists("decoders.DECODERS") and exists("tests/test_layers.py")
    assert not exists("runtime.lode") and not exists("evaluate.protocol.Protocol.walk")


def test_docstrings_are_markdown() -> None:
    for path in PACKAGE.rglob("*.py"):
        roles = re.findall(r":(?:func|class|mod|meth|attr|data|exc):`", path.read_text("utf-8"))
        assert not roles, path
