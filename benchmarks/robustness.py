"""Spoiled photographs: `facerelief evaluate robustness` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/robustness.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
column in the table. Systems are those of the command, everything that ships unless said. OUT keeps
its files; docs/pictures/spoiled.jpg is drawn anew.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from networks import exported, parser, shipped
from specimens import draw_spoiled
from tables import write

from facerelief.evaluate import EvaluationError, run_robustness
from facerelief.evaluate.report import robustness_markdown


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--peer-python", type=Path, metavar="PYTHON")
    options = arguments.parse_args()
    try:
        with exported(options.networks) as files, TemporaryDirectory() as scratch:
            result = run_robustness(
                [*(options.systems or ["all"]), *map(str, files.values())],
                options.out or Path(scratch),
                peer_python=options.peer_python,
                progress=True,
            )
            draw_spoiled("spoiled", shipped() | files)
    except (EvaluationError, OSError, ValueError) as error:
        arguments.error(str(error))
    write("robustness", result)
    print(robustness_markdown(result))


if __name__ == "__main__":
    main()
