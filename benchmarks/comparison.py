"""All systems side by side: `facerelief evaluate table` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/comparison.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. Systems are those of the command: what ships and shape from shading unless said,
and, with PYTHON, MediaPipe. OUT keeps predictions and pictures; docs/pictures/systems.jpg is drawn
anew.
"""

from __future__ import annotations

from functools import partial

from networks import measure
from specimens import draw

from facerelief.evaluate import run_table
from facerelief.evaluate.report import comparison_markdown

if __name__ == "__main__":
    picture = partial(draw, "systems")
    measure(__doc__, "comparison", run_table, comparison_markdown, picture, peer=True)
