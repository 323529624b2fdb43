"""Networks that benchmarks are given: checkpoints of runs or exported files, each with a name."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from facerelief import __version__


def named(texts: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE arguments. Raises ValueError for anything else, and for a name that comes twice."""
    pairs = [text.rpartition("=") for text in texts]
    if not all(name and file for name, _, file in pairs):
        raise ValueError("networks are given as NAME=FILE")
    found = {name: Path(file) for name, _, file in pairs}
    if len(found) < len(pairs):
        raise ValueError("two networks have the same name")
    return found


def as_onnx(file: Path, target: Path) -> None:
    """An exported file as it is, a checkpoint exported. Raises OSError, ConfigError."""
    if file.suffix == ".onnx":
        shutil.copyfile(file, target)
        return
    from facerelief.export import Provenance, export
    from facerelief.train.config import load_config
    from facerelief.train.experiment import load_system

    trained = load_config(file.parent / "config.yaml")
    network = trained.system
    facts = Provenance(network.name, network.preset, "research", "benchmark", __version__)
    export(load_system(file, []), target, facts, size=trained.data.size)
