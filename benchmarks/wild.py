"""Photographs without truth: `facerelief evaluate wild` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/wild.py [--systems NAME ...] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. Systems are those of the command, everything that ships unless said. OUT keeps
its files.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from networks import exported, parser
from tables import write

from facerelief.evaluate import EvaluationError, run_wild
from facerelief.evaluate.report import wild_markdown


def main() -> None:
    arguments = parser(__doc__)
    options = arguments.parse_args()
    try:
        with exported(options.networks) as files, TemporaryDirectory() as scratch:
            systems = [*(options.systems or ["all"]), *map(str, files.values())]
            result = run_wild(systems, options.out or Path(scratch), progress=True)
    except (EvaluationError, OSError, ValueError) as error:
        arguments.error(str(error))
    write("wild", result)
    print(wild_markdown(result))


if __name__ == "__main__":
    main()
