"""How accurate every system of the catalogue is, on people that no training has seen.

    FACERELIEF_DATA=... python benchmarks/accuracy.py [--only PARTS] [--peer-python PYTHON]

All that the results page and the model card say of accuracy: photographs of Extended Yale B,
renderings of real scans, and photographs by age, sex and ancestry. PYTHON is an interpreter that
has MediaPipe (`pip install mediapipe==0.10.21`), which is then scored beside ours. Without it the
peer's last figures are kept, as long as the floors score the same as then: truth and protocol are
unchanged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tables import TABLES, read, write

from facerelief import catalogue
from facerelief.evaluate import EvaluationError, run_basel, run_groups, run_yaleb
from facerelief.evaluate.predictors import MEDIAPIPE


def with_old_peer(results: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    """`results`, with the peer's entry of `old` if it is still comparable."""
    systems = results["systems"]
    if old is None or MEDIAPIPE in systems or MEDIAPIPE not in old["systems"]:
        return results
    for floor in floors(results):
        before, now = old["systems"].get(floor, {}), systems[floor]
        # Figures that were not made then cannot differ.
        if not before or any(now.get(key) != value for key, value in before.items()):
            return results
    return {**results, "systems": {**systems, MEDIAPIPE: old["systems"][MEDIAPIPE]}}


def floors(results: dict[str, Any]) -> list[str]:
    """Labels of the systems that every protocol adds by itself."""
    return list(results.get("floors", [])) or [results["floor"]]


def yaleb(folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of accuracy_yaleb.json."""
    return run_yaleb(catalogue.systems(), folder, "test", peer_python=peer, progress=True)


def basel(folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of accuracy_basel.json."""
    return run_basel(catalogue.systems(), folder, peer_python=peer, progress=True)


def groups(folder: Path, peer: Path | None) -> dict[str, Any]:
    """Figures of groups.json; FaceMesh's points come with the photographs."""
    return run_groups(catalogue.systems(), folder, progress=True)


PARTS: dict[str, tuple[str, Callable[[Path, Path | None], dict[str, Any]]]] = {
    "yaleb": ("accuracy_yaleb", yaleb),
    "basel": ("accuracy_basel", basel),
    "groups": ("groups", groups),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="has MediaPipe")
    parser.add_argument("--only", default=",".join(PARTS), help="parts (default: %(default)s)")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    for part in chosen:
        name, measure = PARTS[part]
        try:
            with TemporaryDirectory() as folder:
                results = measure(Path(folder), options.peer_python)
        except (EvaluationError, FileNotFoundError) as error:
            parser.error(str(error))
        if part != "groups":
            results = with_old_peer(results, read(name))
        write(name, results)
        print(TABLES[name](results))


if __name__ == "__main__":
    main()
