"""Training: one YAML an experiment, one loop for every system."""

from facerelief.train.phases import run

__all__ = ["run"]
