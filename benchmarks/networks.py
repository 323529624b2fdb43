"""Networks that benchmarks are given, checkpoints of runs or exported files, each with a name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from facerelief import __version__, catalogue

_ALIKE = 0.01  # degrees, percent or shares that two processors' figures may be apart


def unchanged(old: dict[str, Any], timed: bool = False) -> dict[str, Any]:
    """Systems of a last measurement that need no new one, floors apart, by name.

    Networks of the catalogue whose weights and calibration are still the same, unless `timed`, and
    what is no network: peers and classical methods.
    """
    weights = {entry.name: (entry.sha256, entry.calibration) for entry in catalogue.entries()}
    return {
        name: system
        for name, system in old["systems"].items()
        if name not in floors(old)
        and (
            "sha256" not in system
            or (not timed and weights.get(name) == (system["sha256"], system.get("calibration")))
        )
    }


def with_unchanged(
    result: dict[str, Any], old: dict[str, Any] | None, stay: dict[str, Any]
) -> dict[str, Any]:
    """`result` with the systems of `stay` before its own, which were measured with `old`.

    Raises ValueError where a floor scores differently now: truth or protocol have changed.
    """
    if not stay or old is None:
        return result
    systems = result["systems"]
    for floor in floors(result):
        if not alike(old["systems"].get(floor), systems[floor]):
            raise ValueError(f"{floor} has other figures than before: measure all, without --keep")
    first = {floor: systems[floor] for floor in floors(result)}
    return {**result, "systems": {**first, **stay, **systems}}


def alike(before: Any, now: Any) -> bool:
    """Whether two measurements say the same, but for what another processor's arithmetic does.

    Figures that were not made before cannot differ.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        return bool(before) and all(alike(value, now.get(key)) for key, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(alike, before, now))
    if isinstance(before, float) and isinstance(now, float):
        return abs(before - now) <= _ALIKE
    return bool(before == now)


def floors(result: dict[str, Any]) -> list[str]:
    """Labels of the systems that a protocol adds by itself."""
    return list(result.get("floors", [result["floor"]] if "floor" in result else []))


@contextmanager
def exported(texts: Sequence[str]) -> Iterator[dict[str, Path]]:
    """The .onnx files of NAME=FILE arguments by name, until the block is left.

    Raises ValueError as `named`, OSError and ConfigError as `as_onnx`.
    """
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.onnx" for name in named(texts)}
        for name, file in named(texts).items():
            as_onnx(file, files[name])
        yield files


def shipped() -> dict[str, Path]:
    """The files of the catalogue by name."""
    return {name: catalogue.find(name).path for name in catalogue.systems()}


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
