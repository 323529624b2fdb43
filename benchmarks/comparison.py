"""All systems side by side: `facerelief evaluate table` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/comparison.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table; of NAME_s0, NAME_s1 and so on, seeds of one training, the mean is shown too.
Systems are those of the command: what ships and shape from shading unless said,
and, with PYTHON, MediaPipe. OUT keeps predictions and pictures; docs/pictures/systems.jpg is drawn
anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from networks import measure
from specimens import draw
from tables import systems_markdown

from facerelief.evaluate import run_table


def picture(networks: dict[str, Path]) -> None:
    """Of several seeds, the first."""
    draw("systems", {n: file for n, file in networks.items() if not re.search(r"_s[1-9]\d*$", n)})


if __name__ == "__main__":
    measure(__doc__, "comparison", run_table, systems_markdown, picture, peer=True, timed=True)
