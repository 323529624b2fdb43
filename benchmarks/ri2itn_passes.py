"""What more passes bring RI2ITN, the paper's t: 1, 2 and 3 trained alike, then scored.

    FACERELIEF_DATA=... python benchmarks/ri2itn_passes.py [--seconds N] [--size S]
        [--runs FOLDER] [--only T ...] [--train-only] [--also NAME=FILE ...]

Every row is trained by the first phase of configs/ri2itn_open.yaml, by renderings alone, of S
texels a side, for equally long: the same batches from the same weights (drawn once, for t = 3, of
which t = 1 has no feedback). It is kept in FOLDER/tT, so that a call that was stopped goes on.
Scored are faces that no training has seen: the renderings of `val`, whose relief is known, and open
photographs that are held out, on the meshes of `full_pose`. Other networks of the kind (files) can
be scored beside them.

Displacements of renderings are what their true slopes integrate to where they are seen, and are
compared without their means. Writes results/ri2itn_passes.json.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from relief_photos import chosen
from shape_tables import ri2itn_passes_markdown
from tables import ROOT, write

import facerelief as fr
from facerelief.data.folders import data_root
from facerelief.data.laid_faces import LaidRenderings
from facerelief.data.sample import Layouts, Sample
from facerelief.data.sources import build_source
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry.integrate import normals_to_depth
from facerelief.geometry.laid_out import lay_out
from facerelief.geometry.shading_detail import NoLightError
from facerelief.train import start
from facerelief.train.phases import run
from facerelief.train.systems import build
from facerelief.train.systems.ri2itn import ReliefSystem
from facerelief.train.systems.ri2itn_losses import gradients

PASSES = (1, 2, 3)
CONFIG = ROOT / "configs" / "ri2itn_open.yaml"
COARSE = "coarse"
#: What is measured of each face, of those where it is known.
FIGURES = {"renderings": ("error", "displacement", "photo"), "photographs": ("photo",)}
_TRAINED, _KNOWN, _BATCH = "runs/renderings/train", "runs/renderings/val", 4

Rows = dict[str, NDArray[np.float64]]


def train(passes: int, options: argparse.Namespace) -> Path:
    """The checkpoint of a row, trained if it is not there."""
    runs, heads = options.runs, options.heads
    folder = runs / f"t{passes}"
    if not (folder / "summary.json").exists():
        begin = runs / "start.ckpt"
        if not begin.exists():
            torch.manual_seed(0)
            values = build("ri2itn", "compact", passes=max(PASSES)).state_dict()
            runs.mkdir(parents=True, exist_ok=True)
            torch.save({"state_dict": {f"system.{k}": v for k, v in values.items()}}, begin)
        parts = ["encoder", "decoder", "last", *(["feedback"] if passes > 1 else [])]
        alike = ", ".join(f"network.{part}: network.{part}" for part in parts)
        source = f"{{name: laid_renderings, options: {{folder: {_TRAINED}, limit: {heads}}}}}"
        overrides = [
            "phases=[{}]", f"samples={options.samples}", f"data.size={options.size}",
            f"data.sources=[{source}]",
            # Of so few steps the mean of the weights must not reach back far.
            "ema=0.98", "data.validation=null", "optimizer.learning_rate=2e-3",
            f"system.options.passes={passes}", f"start_from={begin}",
            f"start_parts={{{alike}}}",
        ]  # fmt: skip
        run(CONFIG, folder, overrides, timedelta(seconds=options.seconds), resume=True)
    return folder / "last.ckpt"


def system_of(weights: str) -> ReliefSystem:
    """The network of a checkpoint, a file or a name, however many passes it makes."""
    read = start.read(weights)
    packed, joined = read.values["network.joined.weight"].shape[:2]
    system = build("ri2itn", "compact", passes=joined // packed)
    assert isinstance(system, ReliefSystem)
    start.begin(system, read, None, system.optional)
    return system.eval()


@torch.no_grad()
def score(
    system: ReliefSystem | None, batches: list[Sample], true: list[NDArray[np.float64]]
) -> Rows:
    """By figure, of each face; of the coarse one for None. `true` are its displacements in mm."""
    found: list[Rows] = []
    for index, batch in enumerate(batches):
        shape = batch.face_mask.shape
        told = torch.zeros(shape) if system is None else system.told(batch.image)
        own = system or ReliefSystem.from_preset("compact")
        figures = {k: v.double().numpy() for k, v in own.metrics(batch, told).items()}
        if true:
            known = np.isfinite(true[index])
            apart = np.where(known, told[:, 0].numpy() - true[index], np.nan)
            figures["displacement"] = np.nanstd(apart, axis=(1, 2))
        found.append(figures)
    return {k: np.concatenate([rows[k] for rows in found]) for k in found[0]}


def true_displacements(batch: Sample) -> NDArray[np.float64]:
    """(B, S, S) mm along the coarse normals; NaN where a rendering does not show its skin."""
    layouts = batch.need_layouts()
    down, right = gradients(layouts.position)
    # What a relief adds to a normal of length one across the surface, along the map's two axes.
    across = (batch.normals * layouts.normals).sum(1, keepdim=True).clamp_min(0.1)
    added = batch.normals / across - layouts.normals
    along_x, along_y = (-(added * axis).sum(1) for axis in (right, down))
    slopes = torch.stack([-along_x, along_y, torch.ones_like(along_x)], -1).numpy()
    known = batch.normals_mask[:, 0].numpy() > 0
    return np.stack([normals_to_depth(n, m) for n, m in zip(slopes, known, strict=True)])


def summary(rows: dict[str, Rows], against: str) -> dict[str, Any]:
    """Means of each row with standard errors, and of what it changes of another row, by faces."""
    base = rows[against]

    def row(name: str) -> dict[str, Any]:
        return {
            figure: {
                "mean": _told(values),
                "change": None if name == against else _told(values - base[figure]),
            }
            for figure, values in rows[name].items()
        }

    return {name: row(name) for name in rows}


def _told(values: NDArray[np.float64]) -> dict[str, float] | None:
    return mean_and_error(values[np.isfinite(values)].tolist())


def seconds(system: ReliefSystem, batch: Sample, steps: int = 6) -> float:
    """Processor time of a training sample: its losses and their slopes."""
    spent = []
    for _ in range(steps):
        began = time.process_time()
        (turn,) = system.turns(batch)
        torch.stack(list(turn.terms.values())).sum().backward()
        spent.append((time.process_time() - began) / len(batch))
    return float(np.median(spent))


def renderings(count: int, size: int) -> list[Sample]:
    """Each head once, as it is."""
    source = build_source("laid_renderings", {"folder": _KNOWN, "limit": count})
    assert isinstance(source, LaidRenderings)
    parts = torch.from_numpy(source.maps.chosen.numpy()).split(_BATCH)
    return [source.maps.samples(i.numpy(), size, torch.zeros(len(i)) > 0) for i in parts]


def photographs(count: int, size: int) -> list[Sample]:
    """Faces on the meshes of `full_pose`; those in whose photo light can be fitted."""
    estimator, root = fr.load("full_pose", threads=1), data_root()
    made = []
    for path, held in chosen(root, count):
        photo = fr.load_photo(root / "photos" / path)
        faces = estimator(photo, max_faces=1)
        if not held or not faces or faces[0].sound is None:
            continue
        picture = faces[0].crop.extract(photo) / np.float32(255)
        try:
            laid = lay_out(picture, faces[0].need_shape("relief").skin, size)
        except NoLightError:
            continue
        maps, position, normals, visible = (
            torch.from_numpy(np.float32(m)).permute(2, 0, 1)[None]
            for m in (laid.maps, laid.position, laid.normals, laid.visible[..., None])
        )
        nothing, layouts = torch.zeros_like(normals), Layouts(
            position, normals, torch.from_numpy(laid.light)[None]
        )  # fmt: skip
        true = torch.ones(1, dtype=torch.bool)
        made.append(
            Sample(maps, nothing, torch.zeros_like(visible), visible, torch.ones_like(visible),
                   true, true, ~true, layouts=layouts)
        )  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=8000, help="to learn from, at most")
    parser.add_argument("--seconds", type=float, default=900, help="of a row's training, at most")
    parser.add_argument("--heads", type=int, default=1400, help="rendered, to learn from")
    parser.add_argument("--size", type=int, default=128, help="texels, a multiple of 128")
    parser.add_argument("--count", type=int, default=200, help="faces of each kind to score")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ri2itn_passes")
    parser.add_argument("--only", action="append", type=int, choices=PASSES, metavar="T")
    parser.add_argument("--train-only", action="store_true", help="score nothing")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    networks = {f"t = {t}": str(train(t, options)) for t in options.only or PASSES}
    if options.train_only:
        return
    networks |= dict(given.split("=", 1) for given in options.also)
    systems = {name: system_of(weights) for name, weights in networks.items()}
    sets = {
        "renderings": renderings(options.count, options.size),
        "photographs": photographs(options.count, options.size),
    }
    true = [true_displacements(batch) for batch in sets["renderings"]]
    against = next(iter(systems))
    lines: dict[str, Any] = {}
    for kind, batches in sets.items():
        known = true if kind == "renderings" else []
        rows = {
            name: {figure: found[figure] for figure in FIGURES[kind]}
            for name, system in ({COARSE: None} | systems).items()
            for found in [score(system, batches, known)]
        }
        lines[kind] = summary(rows, against)
    drawn = sets["renderings"][0]
    costs = {name: round(seconds(system, drawn), 4) for name, system in systems.items()}
    seen = {
        name: json.loads((Path(path).parent / "summary.json").read_text())["samples"]
        for name, path in networks.items()
        if path.endswith(".ckpt")
    }
    told = {name: getattr(options, name) for name in ("seconds", "heads", "size")}
    result = {**told, "against": against, "lines": lines, "samples": seen, "costs": costs}
    if not options.only:
        write("ri2itn_passes", result)
    print(ri2itn_passes_markdown(result))


if __name__ == "__main__":
    main()
