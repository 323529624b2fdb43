"""Train full pose's close-ups alone, on close-ups that are cut once.

What they see is small: cut out of rendered heads once, it is learnt from some hundred times a
second, a dozen times as fast as the whole network learns. The outcome is a checkpoint that
configs/full_pose_128.yaml begins with (``start_from=closeups.ckpt``).

Photographs show open mouths more often than rendered heads do, whose share the network has learnt
to expect. ``--open-mouths`` adds to what it says of the names that open them, as logits: the
logarithm of by how much their odds differ. benchmarks/openings.py measures it on photographs.

    python tools/train_closeups.py full_pose runs/renderings/train runs/renderings/wide \\
        --validation runs/renderings/val --minutes 10 -o runs/closeups.ckpt
    python tools/train_closeups.py full_pose runs/renderings/train --keep --minutes 0 \\
        --validation runs/renderings/val --open-mouths 0.7 -o runs/opened.ckpt
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.augment import NO_PHOTOMETRIC, WarpRange
from facerelief.data.renderings import Renderings
from facerelief.evaluate.coefficients import MOVEMENTS, correlation
from facerelief.geometry.face_model import face_model
from facerelief.train import start
from facerelief.train.systems import build
from facerelief.train.systems.full_pose import FullPose
from facerelief.train.systems.full_pose_closeups import CloseUps

_SIZE, _BATCH, _STEP = 128, 48, 64
_RATE, _DECAY = 2e-3, 0.02
_GAIN, _TINT, _SHIFT = 0.2, 0.15, 1  # what is varied of close-ups that were cut
_OPENING = ("jawOpen", "mouthUpperUp", "mouthLowerDown")
_SAY = 30.0  # seconds


class Cuts(NamedTuple):
    """Close-ups, what the network says of the expressions beside them, and what they are."""

    pictures: Tensor  # (N, 3, 3, 32, 32) half precision
    given: Tensor  # (N, E) logits
    true: Tensor  # (N, E) weights


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and say how it goes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network", help="full pose by name, .onnx or .ckpt")
    parser.add_argument("folders", nargs="+", type=Path, help="rendered heads, --margin 1.2")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12000, help="close-ups cut of each folder")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=_RATE)
    parser.add_argument(
        "--keep", action="store_true", help="go on with the network's own close-ups"
    )
    parser.add_argument("--open-mouths", type=float, default=0.0, metavar="LOGITS")
    parser.add_argument(
        "--cuts", type=Path, help="keep what was cut in this file, or take it from there"
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    system = build("full_pose", "compact", pretrained=False, frozen=True, frozen_norms=True)
    assert isinstance(system, FullPose)
    norms = start.begin(system, start.read(options.network), None, system.optional)
    if norms:
        first = Renderings(options.folders[0], margin=1.2)
        start.settle(system, norms, first.batch(64, _SIZE, torch.Generator().manual_seed(0)).image)
    system.eval()
    closeups = system.network.closeups if options.keep else CloseUps()
    assert isinstance(closeups, CloseUps)
    if options.minutes:
        learnt, known = _stored(system, options)
        _train(closeups.train(), learnt, known, 60 * options.minutes, options.rate)
    system.network.closeups = closeups.eval()
    _open(closeups, options.open_mouths)
    state = {f"system.{name}": value for name, value in system.state_dict().items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state}, options.out)


def _stored(system: FullPose, options: argparse.Namespace) -> tuple[Cuts, Cuts]:
    """What is learnt from, and what validates it; kept in a file if one is named."""
    if options.cuts is not None and options.cuts.exists():
        stored = torch.load(options.cuts, weights_only=True)
        return Cuts(*stored[0]), Cuts(*stored[1])
    parts = [_cut(system, folder, options.count, 6 + i) for i, folder in enumerate(options.folders)]
    learnt = Cuts(*(torch.cat(rows) for rows in zip(*parts, strict=True)))
    known = _cut(system, options.validation, 960, 5, varied=False)
    if options.cuts is not None:
        torch.save([tuple(learnt), tuple(known)], options.cuts)
    return learnt, known


@torch.no_grad()
def _open(closeups: CloseUps, more: float) -> None:
    """Add to the logits of what opens mouths. The right side's layers tell the left one's too."""
    names = face_model().expression_names
    told = closeups.told[-1]
    assert isinstance(told, nn.Linear)
    told.bias[[i for i, name in enumerate(names) if name.startswith(_OPENING)]] += more


@torch.no_grad()
def _cut(system: FullPose, folder: Path, count: int, seed: int, varied: bool = True) -> Cuts:
    if varied:
        warp = WarpRange(rotation=18, log_scale=0.1, shift=0.05, stretch=0)
        source = Renderings(folder, 1.2, warp, positions=True, heads=True, occluded=0.3)
    else:
        warp = WarpRange(rotation=5, log_scale=0.05, shift=0.02, stretch=0)
        source = Renderings(
            folder, 1.2, warp, NO_PHOTOMETRIC, positions=True, heads=True, occluded=0.0, framed=0.0
        )
    g = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(0, count, _BATCH):
        sample = source.batch(_BATCH, _SIZE, g)
        given = system(sample.image).earlier[-1]
        cuts = system.network.closeups.cut(sample.image, given)
        rows.append((cuts.half(), given.expression, sample.need_heads().expression))
    return Cuts(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def _train(closeups: CloseUps, learnt: Cuts, known: Cuts, seconds: float, highest: float) -> None:
    optimizer = torch.optim.AdamW(closeups.parameters(), highest, weight_decay=_DECAY)
    began, said, steps = time.monotonic(), -_SAY, 0
    while (spent := time.monotonic() - began) < seconds:
        rate = min(1, steps / 50) * 0.5 * (1 + np.cos(np.pi * spent / seconds))
        for group in optimizer.param_groups:
            group["lr"] = highest * rate
        index = torch.randint(len(learnt.true), (_STEP,))
        told = learnt.given[index] + closeups.change(_spoilt(learnt.pictures[index].float()))
        loss = F.binary_cross_entropy_with_logits(told, learnt.true[index], reduction="none")
        optimizer.zero_grad()
        loss.sum(1).mean().backward()
        optimizer.step()
        steps += 1
        if spent - said > _SAY:
            said = spent
            print(
                f"{spent:4.0f} s, {steps * _STEP:7} samples: {_figures(closeups, known)}",
                flush=True,
            )
    print(f"end, {steps * _STEP} samples: {_figures(closeups, known)}")


def _spoilt(cuts: Tensor) -> Tensor:
    """Brightness, tint, and a place that is a sample off."""
    count = len(cuts)
    cuts = cuts * (1 + _GAIN * torch.randn(count, 1, 1, 1, 1))
    cuts = cuts + _TINT * torch.randn(count, 1, 3, 1, 1)
    moved = torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist()
    return torch.roll(cuts, moved, (-2, -1))


@torch.no_grad()
def _figures(closeups: CloseUps, known: Cuts) -> str:
    closeups.eval()
    changes = [closeups.change(part.float()) for part in known.pictures.split(96)]
    closeups.train()
    found, true = torch.sigmoid(known.given + torch.cat(changes)).numpy(), known.true.numpy()
    places = {name: i for i, name in enumerate(face_model().expression_names)}
    figures = {}
    for movement, names in MOVEMENTS.items():
        columns = [places[name] for name in names]
        figures[movement] = correlation(found[:, columns].ravel(), true[:, columns].ravel()) or 0.0
    said = ", ".join(f"{movement} {value:.2f}" for movement, value in figures.items())
    return f"{said}; difference {100 * np.abs(found - true).mean():.2f} %"


if __name__ == "__main__":
    main()
