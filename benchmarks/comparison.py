"""All systems side by side: `facerelief evaluate table` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/comparison.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. Systems are those of the command: what ships and shape from shading unless said,
and, with PYTHON, MediaPipe. OUT keeps predictions and pictures; docs/pictures/systems.jpg is drawn
anew.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from networks import exported, parser, shipped
from specimens import draw
from tables import write

from facerelief.evaluate import EvaluationError, run_table
from facerelief.evaluate.report import comparison_markdown


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--peer-python", type=Path, metavar="PYTHON")
    options = arguments.parse_args()
    try:
        with exported(options.networks) as files, TemporaryDirectory() as scratch:
            result = run_table(
                [*(options.systems or ["all"]), *map(str, files.values())],
                options.out or Path(scratch),
                peer_python=options.peer_python,
                progress=True,
            )
            draw("systems", shipped() | files)
    except (EvaluationError, OSError, ValueError) as error:
        arguments.error(str(error))
    write("comparison", result)
    print(comparison_markdown(result))


if __name__ == "__main__":
    main()
