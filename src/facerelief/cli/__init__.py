"""The command line: parses, calls `apps`, `runtime` and the research side, prints.

Commands import what they need when they run, so that each starts as fast as it can. Exit codes: 0
all done, 1 some inputs failed (each is named on stderr, the others are finished), 2 usage.
"""

from facerelief.cli import photos, protocols, research, synth  # they register their commands
from facerelief.cli.common import app

__all__ = ["app", "main", "photos", "protocols", "research", "synth"]


def main() -> None:
    """The entry point `facerelief`."""
    app()
