"""How accurate every system of the catalogue is, on people that no training has seen.

    FACERELIEF_DATA=... python benchmarks/accuracy.py [--only PARTS] [--peer-python PYTHON]

All that the results page and the model card say of accuracy: photographs of Extended Yale B,
renderings of real scans, and photographs by age, sex and ancestry. PYTHON is an interpreter that
has MediaPipe (`pip install mediapipe==0.10.21`), which is then scored beside ours. Without it the
peer's last figures are kept, and with --keep those of weights that have not changed, as long as the
floors score the same as then: truth and protocol are unchanged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from networks import unchanged, with_unchanged
from tables import TABLES, read, write

from facerelief import catalogue
from facerelief.evaluate import EvaluationError, run_basel, run_groups, run_yaleb
from facerelief.evaluate.predictors import MEDIAPIPE


def yaleb(systems: list[str], folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of accuracy_yaleb.json."""
    return run_yaleb(systems, folder, "test", peer_python=peer, progress=True)


def basel(systems: list[str], folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of accuracy_basel.json."""
    return run_basel(systems, folder, peer_python=peer, progress=True)


def groups(systems: list[str], folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of groups.json; FaceMesh's points come with the photographs."""
    return run_groups(systems, folder, progress=True)


PARTS: dict[str, tuple[str, Callable[[list[str], Path, Path | None], dict[str, Any]]]] = {
    "yaleb": ("accuracy_yaleb", yaleb),
    "basel": ("accuracy_basel", basel),
    "groups": ("groups", groups),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="has MediaPipe")
    parser.add_argument("--only", default=",".join(PARTS), help="parts (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="measure what has changed alone")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    for part in chosen:
        name, measure = PARTS[part]
        old = read(name)
        stay = unchanged(old) if old else {}
        if not options.keep:
            stay = {label: one for label, one in stay.items() if label == MEDIAPIPE}
        if options.peer_python:
            stay.pop(MEDIAPIPE, None)
        systems = [label for label in catalogue.systems() if label not in stay]
        try:
            with TemporaryDirectory() as folder:
                results = measure(systems, Path(folder), options.peer_python)
        except (EvaluationError, FileNotFoundError) as error:
            parser.error(str(error))
        try:
            results = with_unchanged(results, old, stay)
        except ValueError as error:
            if options.keep:
                parser.error(str(error))
        write(name, results)
        print(TABLES[name](results))


if __name__ == "__main__":
    main()
