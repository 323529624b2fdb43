"""Scores by protocol: predictions go to files, and the scores come from the files alone."""

from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.yaleb import run_yaleb

__all__ = ["EvaluationError", "run_yaleb"]
