"""Photographs without truth: `facerelief evaluate wild` with networks that do not ship.

    FACERELIEF_DATA=... python benchmarks/wild.py [--systems NAME ...] [-o OUT] [NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. Systems are those of the command, everything that ships unless said. OUT keeps
its files.
"""

from __future__ import annotations

from networks import measure

from facerelief.evaluate import run_wild
from facerelief.evaluate.report import wild_markdown

if __name__ == "__main__":
    measure(__doc__, "wild", run_wild, wild_markdown)
