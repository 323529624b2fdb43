"""How accurate every system of the catalogue is, on people that no training has seen.

    FACERELIEF_DATA=... python benchmarks/accuracy.py [--only PARTS] [--peer-python PYTHON]
        [--keep] [--systems NAME ...] [-o OUT] [NAME=FILE ...]

PARTS are protocols of `facerelief evaluate`; unless said, those that the model card is made from:
photographs of Extended Yale B, renderings of real scans, and photographs by age, sex and ancestry.
The others are `table` (all systems side by side), `robustness`, `wild`, `relight`, and of what
makes shapes `landmarks`, `reconstruction` and `p2p` (meshes with relief beside those without).

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the tables; of NAME_s0, NAME_s1 and so on, seeds of one training, `table` shows the mean
too. PYTHON is an interpreter that has MediaPipe (`pip install mediapipe==0.10.21`), which is then
scored beside ours. Without it the peer's last figures are kept, and with --keep those of weights
that have not changed, as long as the floors score the same as then: truth and protocol are
unchanged. OUT keeps predictions and pictures; `table` and `robustness` draw
docs/pictures/systems.jpg and spoiled.jpg anew.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from networks import exported, shipped, unchanged, with_unchanged
from specimens import draw, draw_spoiled
from tables import TABLES, read, write

from facerelief import catalogue, evaluate
from facerelief.evaluate.predictors import (
    MEDIAPIPE,
    detailed_systems,
    expanded,
    normal_systems,
    shape_systems,
)


def draw_systems(networks: dict[str, Path]) -> None:
    """Of several seeds, the first."""
    draw("systems", {n: file for n, file in networks.items() if not re.search(r"_s[1-9]\d*$", n)})


@dataclass(frozen=True)
class Part:
    """A protocol."""

    result: str  # NAME of results/NAME.json
    systems: Callable[[], list[str]] = catalogue.systems  # if none are said
    draw: Callable[[dict[str, Path]], None] | None = None  # the documentation's picture
    timed: bool = False  # whether it measures times, which only compare within one run


PARTS = {
    "yaleb": Part("accuracy_yaleb"),
    "basel": Part("accuracy_basel"),
    "groups": Part("groups"),
    "table": Part("comparison", normal_systems, draw_systems, timed=True),
    "robustness": Part("robustness", normal_systems, partial(draw_spoiled, "spoiled")),
    "wild": Part("wild", normal_systems),
    "relight": Part("relight", normal_systems),
    "landmarks": Part("landmarks", shape_systems),
    "reconstruction": Part("reconstruction", shape_systems),
    "p2p": Part("p2p", detailed_systems),
}
CARD = ("yaleb", "basel", "groups")


def measured(name: str, options: argparse.Namespace, files: dict[str, Path], out: Path) -> Any:
    """The results of a part, with what stays of before. Raises ValueError, OSError."""
    part, old = PARTS[name], read(PARTS[name].result)
    stay = unchanged(old, part.timed) if old else {}
    if not options.keep:
        stay = {label: one for label, one in stay.items() if label == MEDIAPIPE}
    if options.peer_python:
        stay.pop(MEDIAPIPE, None)
    named = expanded(options.systems or ["all"], part.systems)
    systems = [*(one for one in named if one not in stay), *map(str, files.values())]
    if old and not systems:
        return old
    run = getattr(evaluate, f"run_{name}")
    results = run(systems, out, peer_python=options.peer_python, progress=True)
    try:
        results = with_unchanged(results, old, stay)
    except ValueError:
        if options.keep:
            raise
    if part.draw is not None:
        part.draw(shipped() | files)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--only", default=",".join(CARD), help="parts (default: %(default)s)")
    parser.add_argument("--systems", action="append", metavar="NAME")
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="has MediaPipe")
    parser.add_argument("--keep", action="store_true", help="measure what has changed alone")
    parser.add_argument("-o", "--out", type=Path, help="keeps a folder for each part")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    try:
        with exported(options.networks) as files, TemporaryDirectory() as scratch:
            for name in chosen:
                results = measured(name, options, files, (options.out or Path(scratch)) / name)
                write(PARTS[name].result, results)
                print(TABLES[PARTS[name].result](results))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
