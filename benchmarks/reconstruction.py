"""Shapes of systems that make position maps: `facerelief evaluate reconstruction` on what ships.

    FACERELIEF_DATA=... python benchmarks/reconstruction.py [--systems NAME ...] [-o OUT] \
[NAME=FILE ...]

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, NAME its
line in the table. The systems of the catalogue that make shapes are measured unless some are said.
"""

from __future__ import annotations

from networks import measure
from tables import TABLES

from facerelief import catalogue
from facerelief.evaluate import run_reconstruction

if __name__ == "__main__":
    shaped = [entry.name for entry in catalogue.entries() if entry.system == "prnet"]
    measure(__doc__, "reconstruction", run_reconstruction, TABLES["reconstruction"], default=shaped)
