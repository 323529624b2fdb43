"""Scores by protocol: predictions go to files, and the scores come from the files alone."""

from typing import Any

from facerelief.evaluate.basel import Basel
from facerelief.evaluate.coefficients import Coefficients
from facerelief.evaluate.comparison import run_table
from facerelief.evaluate.groups import Groups
from facerelief.evaluate.landmarks import Landmarks
from facerelief.evaluate.p2p import PointToPoint
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.protocol import Protocol, runner
from facerelief.evaluate.reconstruction import Reconstruction
from facerelief.evaluate.relight import Relight
from facerelief.evaluate.renderings import Renderings
from facerelief.evaluate.robustness import Robustness
from facerelief.evaluate.wild import Wild
from facerelief.evaluate.yaleb import Yaleb

#: By name; `run_table` is two of them side by side.
PROTOCOLS: dict[str, type[Protocol[Any, Any, Any]]] = {
    protocol.name: protocol
    for protocol in (
        Yaleb, Basel, Robustness, Wild, Landmarks, Reconstruction, Groups, Renderings,
        Coefficients, Relight, PointToPoint,
    )
}  # fmt: skip

run_basel = runner(Basel)
run_coefficients = runner(Coefficients)
run_groups = runner(Groups)
run_landmarks = runner(Landmarks)
run_p2p = runner(PointToPoint)
run_reconstruction = runner(Reconstruction)
run_relight = runner(Relight)
run_renderings = runner(Renderings)
run_robustness = runner(Robustness)
run_wild = runner(Wild)
run_yaleb = runner(Yaleb)

__all__ = [
    "PROTOCOLS",
    "EvaluationError",
    "run_basel",
    "run_coefficients",
    "run_groups",
    "run_landmarks",
    "run_p2p",
    "run_reconstruction",
    "run_relight",
    "run_renderings",
    "run_robustness",
    "run_table",
    "run_wild",
    "run_yaleb",
]
