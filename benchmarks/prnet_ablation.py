"""What PRNet's parts bring: trained alike where they are not yet, then scored by landmarks.

    FACERELIEF_DATA=... python benchmarks/prnet_ablation.py [--samples N] [--runs FOLDER]
        [--only NAME ...]

Every variant is trained by configs/prnet_open_128.yaml, without its last phase, with N samples
(6,000), and kept in FOLDER/VARIANT, so that a call that was stopped goes on.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from networks import exported
from shape_tables import prnet_ablation_markdown
from tables import ROOT, write

from facerelief.evaluate import run_landmarks
from facerelief.train.phases import run

#: What the line is called, and what it changes. The first is the shipped network.
VARIANTS: dict[str, list[str]] = {
    "One look": [],
    "No look": ["system.options.looks=0"],
    "Two looks": ["system.options.looks=2"],
    "Without the weight mask": ['system.options.weights={"focus": false}'],
    "Distances, not squares": ['system.options.weights={"position": 0.0, "distance": 0.3}'],
    "Without occluders": [f"data.sources.{index}.options.occluded=0" for index in range(4)],
    "Rendered heads alone": ["data.sources.3.share=0"],
    "One look, another seed": ["seed=1"],
}


def train(name: str, samples: int, runs: Path) -> Path:
    """The checkpoint of a variant, trained if it is not there."""
    folder = runs / re.sub(r"\W+", "_", name).strip("_").lower()
    if not (folder / "summary.json").exists():
        # Of so few steps the mean of the weights must not reach back far.
        budget = ["phases=[{}]", f"samples={samples}", "ema=0.98", "validate_every=1000000"]
        overrides = [*budget, *VARIANTS[name]]
        run(ROOT / "configs" / "prnet_open_128.yaml", folder, overrides, resume=True)
    return folder / "last.ckpt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=6_000)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "prnet_ablation")
    parser.add_argument("--only", action="append", choices=VARIANTS, metavar="NAME")
    parser.add_argument("--train-only", action="store_true", help="score nothing")
    options = parser.parse_args()
    names = options.only or list(VARIANTS)
    trained = {name: train(name, options.samples, options.runs) for name in names}
    if options.train_only:
        return
    lines: dict[str, Any] = {}
    given = [f"v{index}={path}" for index, path in enumerate(trained.values())]
    with exported(given) as files, TemporaryDirectory() as scratch:
        found = run_landmarks([str(f) for f in files.values()], Path(scratch), progress=True)
    for index, name in enumerate(trained):
        system = found["systems"][f"v{index}"]
        lines[name] = {key: system[key] for key in ("yaws", "balanced", "photographs", "sha256")}
    result = {"samples": options.samples, "lines": lines}
    if not options.only:
        write("prnet_ablation", result)
    print(prnet_ablation_markdown(result))


if __name__ == "__main__":
    main()
