"""Networks that benchmarks are given, checkpoints of runs or exported files, each with a name."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tables import write

from facerelief import __version__, catalogue
from facerelief.evaluate import EvaluationError


def measure(
    doc: str,
    name: str,
    run: Callable[..., dict[str, Any]],
    markdown: Callable[[dict[str, Any]], str],
    draw: Callable[[dict[str, Path]], None] | None = None,
    peer: bool = False,
    default: Sequence[str] = ("all",),
) -> None:
    """The whole of a protocol's benchmark, from its arguments to ``results/NAME.json``.

    Args:
        doc: of the benchmark; its first line describes the command.
        run: of `facerelief.evaluate`; markdown: of its results.
        draw: makes the documentation's picture of the networks, .onnx files by name.
        peer: whether `run` takes an interpreter that has MediaPipe.
        default: the systems, if none are said.
    """
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--systems", action="append", metavar="NAME")
    if peer:
        parser.add_argument("--peer-python", type=Path, metavar="PYTHON")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    more = {"peer_python": options.peer_python} if peer else {}
    try:
        with exported(options.networks) as files, TemporaryDirectory() as scratch:
            systems = [*(options.systems or default), *map(str, files.values())]
            result = run(systems, options.out or Path(scratch), progress=True, **more)
            if draw is not None:
                draw(shipped() | files)
    except (EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    write(name, result)
    print(markdown(result))


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
