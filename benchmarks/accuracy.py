"""How accurate every system of the catalogue is, on people that no training has seen.

    FACERELIEF_DATA=... python benchmarks/accuracy.py [--peer-python PYTHON]

PYTHON is an interpreter that has MediaPipe (`pip install mediapipe==0.10.21`), which is then
scored beside ours. Without it the peer's last figures are kept, as long as the floor scores the
same as then: truth and protocol are unchanged.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tables import read, write

from facerelief import catalogue
from facerelief.evaluate import EvaluationError, run_yaleb
from facerelief.evaluate.predictors import MEDIAPIPE
from facerelief.evaluate.report import yaleb_markdown


def with_old_peer(results: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    """`results`, with the peer's entry of `old` if it is still comparable."""
    systems, floor = results["systems"], results["floor"]
    if old is None or MEDIAPIPE in systems or MEDIAPIPE not in old["systems"]:
        return results
    if old["systems"].get(floor) != systems[floor]:
        return results
    return {**results, "systems": {**systems, MEDIAPIPE: old["systems"][MEDIAPIPE]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="has MediaPipe")
    peer = parser.parse_args().peer_python
    try:
        with TemporaryDirectory() as folder:
            results = run_yaleb(
                catalogue.systems(), Path(folder), "test", peer_python=peer, progress=True
            )
    except (EvaluationError, FileNotFoundError) as error:
        parser.error(str(error))
    results = with_old_peer(results, read("accuracy_yaleb"))
    write("accuracy_yaleb", results)
    print(yaleb_markdown(results))


if __name__ == "__main__":
    main()
