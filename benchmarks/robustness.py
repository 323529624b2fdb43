"""Spoiled photographs: `facerelief evaluate robustness` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/robustness.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
column in the table. Systems are those of the command, everything that ships unless said. It also
draws docs/pictures/spoiled.jpg.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from networks import as_onnx, named
from specimens import draw_spoiled
from tables import write

from facerelief import catalogue
from facerelief.evaluate import EvaluationError, run_robustness
from facerelief.evaluate.report import robustness_markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--systems", action="append", metavar="NAME")
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    try:
        networks = named(options.networks)
        with TemporaryDirectory() as scratch:
            files = [Path(scratch) / f"{name}.onnx" for name in networks]
            for file, target in zip(networks.values(), files, strict=True):
                as_onnx(file, target)
            result = run_robustness(
                [*(options.systems or ["all"]), *map(str, files)],
                options.out or Path(scratch) / "out",
                peer_python=options.peer_python,
                progress=True,
            )
            shipped = {name: catalogue.find(name).path for name in catalogue.systems()}
            draw_spoiled("spoiled", shipped | dict(zip(networks, files, strict=True)))
    except (EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    write("robustness", result)
    print(robustness_markdown(result))


if __name__ == "__main__":
    main()
