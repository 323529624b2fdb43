"""The published systems, one file a paper, behind one interface (:mod:`.base`)."""

from facerelief.systems.base import Prediction, System, build, names

__all__ = ["Prediction", "System", "build", "names"]
