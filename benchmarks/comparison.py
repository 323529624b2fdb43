"""All systems side by side: `facerelief evaluate table` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/comparison.py
        [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. What ships, shape from shading and, with PYTHON, MediaPipe are always there. OUT
keeps predictions and pictures; docs/pictures/systems.jpg is drawn anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from networks import as_onnx, named
from specimens import draw
from tables import write

from facerelief import catalogue
from facerelief.evaluate import EvaluationError, run_table
from facerelief.evaluate.report import comparison_markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    try:
        networks = named(options.networks)
        with TemporaryDirectory() as scratch:
            files = []
            for name, file in networks.items():
                files.append(str(Path(scratch) / f"{name}.onnx"))
                as_onnx(file, Path(files[-1]))
            out = options.out or Path(scratch) / "out"
            result = run_table(["all", *files], out, peer_python=options.peer_python, progress=True)
            shipped = {name: catalogue.find(name).path for name in catalogue.systems()}
            draw("systems", shipped | dict(zip(networks, map(Path, files), strict=True)))
    except (EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    write("comparison", result)
    print(comparison_markdown(result))


if __name__ == "__main__":
    main()
