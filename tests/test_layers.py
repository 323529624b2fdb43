"""Who may import whom: every import in the package is read, also lazy and type-checking ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import facerelief

#: A room, and the rooms that it stands on: it may import from those and from all below them. A
#: module's room is the longest of these names that begins its own, or what `TOP` says. Nothing
#: stands on `cli`.
STANDS_ON = {
    "ground": (),
    "geometry": ("ground",),
    "values": ("geometry",),
    "runtime": ("values",),
    "apps": ("runtime",),
    "web": ("apps",),
    "samples": ("geometry",),
    "nn": ("geometry",),
    "data": ("samples", "nn", "runtime"),
    "train.systems": ("data", "render"),
    "train": ("train.systems",),
    "render": ("samples",),
    "synth.ties": ("render",),
    "synth.setting": ("render", "values"),
    "synth.skin": ("render", "data"),
    "synth.features": ("synth.ties",),
    "synth.hair": ("synth.ties",),
    "synth.worn": ("synth.hair",),
    "synth": ("synth.setting", "synth.skin", "synth.features", "synth.worn"),
    "evaluate": ("runtime", "synth"),
    "cli": ("web", "train", "evaluate"),
}
#: The rooms of the modules that lie side by side with the packages.
TOP = {
    "ground": "arrays cache calibration catalogue colour depth_files doubts easing encode"
    " environments exr exr_reading files images inference inputs memory once orientation"
    " giving_up glb photo_files retouch sampling signals",
    "values": "crops depth_cameras fine mesh_reading mesh_writing normal_png photo_frame pictures"
    " relighting types",
    "runtime": "coefficients correspondence decoders depth_refinement detail detailed detect"
    " detections enhancement facerelief finding foreign learned placement reconstruction retinaface"
    " runtime sessions tracking",
    "train": "combine export",
    "cli": "__main__",
}
#: What runs without PyTorch: all that a photo needs, and what reads and writes samples.
NO_TORCH = ("ground", "geometry", "values", "runtime", "apps", "web", "samples", "cli")
TORCH = {"torch", "lightning"}

SOURCE = Path(facerelief.__file__).parent
PATHS = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


@cache
def imports(module: str) -> frozenset[str]:
    """Everything that a module imports anywhere in its file."""
    tree = ast.parse(PATHS[module].read_text("utf-8"))
    return frozenset(name for node in ast.walk(tree) for name in _imported(node))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level and node.module, "imports are absolute"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            if name != "facerelief.__version__":  # a constant, which no module stands behind
                yield name if name in PATHS else node.module


def own(module: str) -> frozenset[str]:
    """The modules of ours that a module imports."""
    return imports(module) & PATHS.keys()


def room(module: str) -> str:
    """The room of one of our modules."""
    name = module.removeprefix("facerelief.")
    for place, modules in TOP.items():
        if name in modules.split():
            return place
    rooms = [room for room in STANDS_ON if f"{name}.".startswith(f"{room}.")]
    assert rooms, f"{module} is in no room: say in TOP where it stands"
    return max(rooms, key=len)


@cache
def below(room: str) -> frozenset[str]:
    """The rooms that it may import from, itself among them."""
    return frozenset({room}).union(*(below(one) for one in STANDS_ON[room]))


@pytest.mark.parametrize("module", sorted(PATHS))
def test_imports_point_downwards(module: str) -> None:
    wrong = sorted(other for other in own(module) if room(other) not in below(room(module)))
    assert not wrong, f"{module} ({room(module)}) must not import {', '.join(wrong)}"


def test_a_photo_needs_no_torch() -> None:
    for module in PATHS:
        torch = {name.partition(".")[0] for name in imports(module)} & TORCH
        assert not torch or room(module) not in NO_TORCH, module


def test_no_two_modules_need_each_other() -> None:
    graph = {module: own(module) - {module} for module in PATHS}
    assert set(TopologicalSorter(graph).static_order()) == PATHS.keys()


def test_a_wrong_import_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = "def f():\n    from facerelief.cli import app\n"
    typing = "if TYPE_CHECKING:\n    from facerelief.train import phases\n    import torch.nn\n"
    (tmp_path / "m.py").write_text(lazy + typing + "from facerelief import __version__, load\n")
    monkeypatch.setitem(PATHS, "facerelief.geometry.wrong", tmp_path / "m.py")
    with pytest.raises(AssertionError, match=r"must not import facerelief, facerelief\.cli, facer"):
        test_imports_point_downwards("facerelief.geometry.wrong")
    with pytest.raises(AssertionError, match=r"geometry\.wrong"):
        test_a_photo_needs_no_torch()
