"""Photographs without truth: `facerelief evaluate wild` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/wild.py [--systems NAME ...] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. Systems are those of the command, everything that ships unless said.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from networks import as_onnx, named
from tables import write

from facerelief.evaluate import EvaluationError, run_wild
from facerelief.evaluate.report import wild_markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--systems", action="append", metavar="NAME")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    try:
        networks = named(options.networks)
        with TemporaryDirectory() as scratch:
            files = [Path(scratch) / f"{name}.onnx" for name in networks]
            for file, target in zip(networks.values(), files, strict=True):
                as_onnx(file, target)
            systems = [*(options.systems or ["all"]), *map(str, files)]
            result = run_wild(systems, options.out or Path(scratch) / "out", progress=True)
    except (EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    write("wild", result)
    print(wild_markdown(result))


if __name__ == "__main__":
    main()
