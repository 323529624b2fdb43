"""The published systems, one file a paper, behind one interface (`base`)."""

from facerelief.train.systems.base import System, build, find, names

__all__ = ["System", "build", "find", "names"]
