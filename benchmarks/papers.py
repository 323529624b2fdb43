"""The ablations of the papers, on the compact presets: trained where they are not yet, then scored.

    FACERELIEF_DATA=... python benchmarks/papers.py {casfne,cross_modal,fnr2r} [--samples N]
        [--seed S] [--runs FOLDER] [--only NAME ...]

Every variant is trained alike, by the half-resolution phases of configs/SYSTEM_mixed.yaml with N
samples (4,000 in all), and kept in FOLDER/SYSTEM/VARIANT_sS, so that a call that was stopped goes
on. Variants of FNR2R's second stage share one first stage. Lines of variants that are not trained
again stay in the table. A call for all of them also draws docs/pictures/papers_SYSTEM.jpg.
"""

from __future__ import annotations

import argparse
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from ablation import lines, merged
from specimens import draw
from tables import ROOT, papers_markdown, read, write

from facerelief.evaluate import EvaluationError
from facerelief.train.config import ConfigError, load_phases, with_base
from facerelief.train.phases import run
from facerelief.train.start import read_checkpoint
from facerelief.train.systems import build

_NO_WEIGHTS = {"angular": 0.0, "mask": 0.0, "weak": 0.0}


def _share(part: float) -> list[str]:
    """Of the pairs: of Yale's 21 people and of 1,200 heads."""
    return [
        f"phases.0.data.sources.1.options.limit={round(21 * part)}",
        f"phases.0.data.sources.2.options.limit={round(1200 * part)}",
    ]


#: What the line is called, and what it changes. The first one is the paper's own network.
VARIANTS: dict[str, dict[str, list[str]]] = {
    "casfne": {
        "t = 2": [],
        **{f"t = {t}": [f"system.options.stages={t}"] for t in (0, 1, 3, 4)},
        "AdaIN": ["system.options.fusion=adain"],
        "Modulation (FMM)": ["system.options.fusion=modulated"],
        "With total variation": ["system.options.weights.total_variation=2.0e-3"],
        "With a discriminator": ["system.options.weights.adversarial=1.0e-4"],
        "Cosine loss alone": [
            f"system.options.weights.{name}={value}" for name, value in _NO_WEIGHTS.items()
        ],
    },
    "cross_modal": {
        "Deactivable skips, E_N, D_I": [],
        "Without skips": ["system.options.architecture=without_skips"],
        "Without E_N": ["system.options.architecture=without_normal_encoder"],
        "Without E_N and D_I": ["system.options.architecture=plain"],
    },
    "fnr2r": {
        "Self-attention, FPN, modulation": [],
        "PatchGAN": ["system.options.discriminator=patch"],
        "No discriminator": ["phases.0.system.options.weights.adversarial=0.0"],
        **{f"{round(100 * part)} % of the pairs": _share(part) for part in (0.25, 0.5, 0.75, 1)},
    },
}

#: What changes FNR2R's second stage alone: trained on the exemplars of the paper's own CP-Net.
SECOND_STAGES: dict[str, list[str]] = {
    "Encoder DC": ["system.options.normal_encoder=dc"],
    "Encoder VGG": ["system.options.normal_encoder=vgg"],
    "AdaIN": ["system.options.fusion=adain"],
    "Concatenation": ["system.options.fusion=cat"],
    "Second stage from ImageNet's weights": ["phases.1.system.options.warm=false"],
    "Second stage on photographs alone": [
        f"phases.1.data.sources.{index}.share={share}" for index, share in enumerate((1, 0, 0))
    ],
    "Measured normals in the second stage too": ["phases.1.system.options.weights.measured=1"],
}
VARIANTS["fnr2r"] |= SECOND_STAGES

for _variants in VARIANTS.values():
    # How much of a difference is chance.
    _variants[f"{next(iter(_variants))}, another seed"] = ["seed=1"]


def half_resolution(config: Path, samples: int) -> dict[str, Any]:
    """The configuration at half size and with another budget.

    Phases that go on with a stage at full size are left out; a stage that is trained at full size
    alone is trained at half size.
    """
    tree = with_base(config)
    phases: dict[str | None, dict[str, Any]] = {}
    for phase in tree["phases"]:
        options = phase.get("system", {}).get("options", {})
        phases.setdefault(options.get("stage"), phase)
    for phase in phases.values():
        phase.get("data", {}).pop("size", None)
        phase.get("data", {}).pop("batch", None)
        phase.get("system", {}).get("options", {}).pop("detail", None)
        phase.pop("optimizer", None)
        phase.pop("validate_every", None)
    total = sum(phase.get("samples", tree["samples"]) for phase in phases.values())
    for phase in phases.values():
        phase["samples"] = round(phase.get("samples", tree["samples"]) * samples / total)
    return {**tree, "phases": list(phases.values()), "validate_every": 10**9}


def train(system: str, name: str, samples: int, seed: int, runs: Path) -> Path:
    """The checkpoint of a variant, trained if it is not there. Raises ConfigError, OSError."""
    slug = re.sub(r"\W+", "_", name).strip("_").lower()
    folder = runs / system / f"{slug}_s{seed}"
    checkpoint = folder / "last.ckpt"
    if not (folder / "summary.json").exists():
        tree = half_resolution(ROOT / "configs" / f"{system}_mixed.yaml", samples)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "experiment.yaml"
        config.write_text(yaml.safe_dump(tree, sort_keys=False))
        overrides = [f"seed={seed}", *VARIANTS[system][name]]
        if system == "fnr2r" and name in SECOND_STAGES:
            own = train(system, next(iter(VARIANTS[system])), samples, seed, runs)
            take_first_stage(own.parent / "phase1", config, overrides, folder / "phase1")
        run(config, folder, overrides, resume=True)
    return checkpoint


def take_first_stage(trained: Path, config: Path, overrides: list[str], folder: Path) -> None:
    """A first stage as if trained here: CP-Net is another run's, NR-Net this variant's, unlearned.

    Raises ConfigError, StartError, OSError.
    """
    if (folder / "summary.json").exists():
        return
    first = load_phases(config, overrides)[0]
    torch.manual_seed(first.seed)
    system = build(first.system.name, first.system.preset, **first.system.options)
    weights = read_checkpoint(trained / "last.ckpt")
    ours = {f"system.{name}": value for name, value in system.state_dict().items()}
    for name, value in weights["state_dict"].items():
        if name.startswith("system.coarse."):
            ours[name] = value
    folder.mkdir(exist_ok=True)
    torch.save({"state_dict": ours}, folder / "last.ckpt")
    (folder / "config.yaml").write_text(yaml.safe_dump(asdict(first), sort_keys=False))
    shutil.copyfile(trained / "summary.json", folder / "summary.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("system", choices=VARIANTS)
    parser.add_argument("--samples", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "papers")
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--train-only", action="store_true", help="score nothing")
    options = parser.parse_args()
    names = options.only or list(VARIANTS[options.system])
    unknown = set(names) - set(VARIANTS[options.system])
    if unknown:
        parser.error(f"{sorted(unknown)[0]!r} is none of {', '.join(VARIANTS[options.system])}")
    try:
        trained = {
            name: train(options.system, name, options.samples, options.seed, options.runs)
            for name in names
        }
        if options.train_only:
            return
        if options.system == "fnr2r" and names[0] == next(iter(VARIANTS["fnr2r"])):
            # What NR-Net began with: the exemplars of the paper's own CP-Net.
            trained["CP-Net alone"] = trained[names[0]].parent / "phase1" / "last.ckpt"
        with TemporaryDirectory() as folder:
            new = lines(trained, Path(folder))
            if not options.only:
                files = (Path(folder) / f"{index}.onnx" for index in range(len(trained)))
                draw(f"papers_{options.system}", dict(zip(trained, files, strict=True)))
    except (ConfigError, EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    measured = read("papers") or {}
    old = measured.get(options.system, {}).get("lines", [])
    order = {name: index for index, name in enumerate(VARIANTS[options.system])}
    every = sorted(
        merged(old, new),
        key=lambda line: (line["floor"], order.get(line["what"], len(order))),
    )
    measured[options.system] = {"samples": options.samples, "lines": every}
    write("papers", measured)
    print(papers_markdown(measured))


if __name__ == "__main__":
    main()
