"""Print how far the loss of every training below a folder fell; exit with 1 if one did not.

Usage: python tools/check_losses.py runs
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def trainings(folder: Path) -> dict[str, dict[str, float]]:
    """First and last loss by the folder of each training, of each phase if it has several."""
    summaries = {path.parent: path for path in sorted(folder.rglob("summary.json"))}
    phased = {path.parent for path in summaries if path.name.startswith("phase")}
    return {
        str(path.relative_to(folder)): json.loads(summary.read_text())["loss"]
        for path, summary in summaries.items()
        if path not in phased
    }


def main(folder: Path) -> int:
    found = trainings(folder)
    stuck = [name for name, loss in found.items() if not loss or not loss["last"] < loss["first"]]
    for name, loss in found.items():
        figures = " ".join(f"{key} {value:.4f}" for key, value in loss.items())
        print(f"{name:<32} {figures}{'  did not fall' if name in stuck else ''}")
    return int(not found or bool(stuck))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
