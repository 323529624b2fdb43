"""Scores by protocol: predictions go to files, and the scores come from the files alone."""

from facerelief.evaluate.basel import run_basel
from facerelief.evaluate.comparison import run_table
from facerelief.evaluate.groups import run_groups
from facerelief.evaluate.landmarks import run_landmarks
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.reconstruction import run_reconstruction
from facerelief.evaluate.robustness import run_robustness
from facerelief.evaluate.wild import run_wild
from facerelief.evaluate.yaleb import run_yaleb

__all__ = [
    "EvaluationError",
    "run_basel",
    "run_groups",
    "run_landmarks",
    "run_reconstruction",
    "run_robustness",
    "run_table",
    "run_wild",
    "run_yaleb",
]
