"""Spoiled photographs: `facerelief evaluate robustness` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/robustness.py
        [--systems NAME ...] [--peer-python PYTHON] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
column in the table. Systems are those of the command, everything that ships unless said. OUT keeps
its files; docs/pictures/spoiled.jpg is drawn anew.
"""

from __future__ import annotations

from functools import partial

from networks import measure
from specimens import draw_spoiled

from facerelief.evaluate import run_robustness
from facerelief.evaluate.report import robustness_markdown

if __name__ == "__main__":
    picture = partial(draw_spoiled, "spoiled")
    measure(__doc__, "robustness", run_robustness, robustness_markdown, picture, peer=True)
