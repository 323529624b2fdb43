"""What the self-augment mechanism brings (the paper's table 4): trained alike, on several seeds.

    FACERELIEF_DATA=... python benchmarks/self_augment.py [--samples N] [--runs FOLDER]
        [--only NAME ...] [--seeds N] [--start full_pose]

Every row is trained by configs/full_pose_photos.yaml with N samples from the same weights, by the
network alone, as the paper infers, kept in FOLDER/ROW_SEED, so that a call that was stopped goes
on. Scored are the faces of rendered heads that no training has seen: `val`, as photos mostly show
people, and `wideval`, which turn anywhere (made as docs/training.md says).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shape_tables import self_augment_markdown
from tables import ROOT, write

from facerelief.data.sources import build_validation
from facerelief.train import start
from facerelief.train.phases import run
from facerelief.train.systems import build

#: What the line is called, and what it changes.
ROWS: dict[str, list[str]] = {
    "none": ["system.options.augment=none"],
    "set 1, mean": ["system.options.augment=set1", "system.options.combine=mean"],
    "set 2, mean": ["system.options.augment=set2", "system.options.combine=mean"],
    "set 2, sum": ["system.options.augment=set2", "system.options.combine=sum"],
}
FIGURES = ("dense", "error_depth", "shape")
_SIZE = 128


def train(row: str, seed: int, samples: int, begin: str, runs: Path) -> Path:
    """The checkpoint of a row, trained if it is not there."""
    folder = runs / f"{re.sub(r'[^a-z0-9]+', '_', row)}_{seed}"
    if not (folder / "summary.json").exists():
        # Of so few steps the mean of the weights must not reach back far.
        budget = [f"samples={samples}", "ema=0.9", "validate_every=1000000", f"seed={seed}"]
        config = ROOT / "configs" / "full_pose_photos.yaml"
        run(config, folder, [*budget, f"start_from={begin}", *ROWS[row]], resume=True)
    return folder / "last.ckpt"


@torch.no_grad()
def score(weights: str, sets: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Means over the heads of each set."""
    system = build("full_pose", "compact", pretrained=False, frozen=True, frozen_norms=True)
    norms = start.begin(system, start.read(weights), None, system.optional)
    if norms:
        start.settle(system, norms, torch.cat([batch.image for batch in sets["val"]]))
    system.eval()
    scores = {}
    for name, batches in sets.items():
        found = [system.metrics(batch, system(batch.image)) for batch in batches]
        scores[name] = {
            key: float(np.nanmean(torch.cat([one[key] for one in found]))) for key in FIGURES
        }
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=360)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--start", default="full_pose", help="name, .onnx or .ckpt")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "self_augment")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="NAME")
    options = parser.parse_args()
    sets = {
        name: build_validation(
            "renderings", _SIZE, 24,
            {"folder": f"runs/renderings/{name}", "margin": 1.2, "positions": True, "heads": True,
             "count": 192},
        )
        for name in ("val", "wideval")
    }  # fmt: skip
    lines: dict[str, Any] = {"before": [score(options.start, sets)]}
    for row in options.only or ROWS:
        lines[row] = []
        for seed in range(options.seeds):
            path = train(row, seed, options.samples, options.start, options.runs)
            lines[row].append(score(str(path), sets))
            print(row, seed, lines[row][-1], flush=True)
    result = {"samples": options.samples, "seeds": options.seeds, "lines": lines}
    if not options.only:
        write("self_augment", result)
    print(self_augment_markdown(result))


if __name__ == "__main__":
    main()
