"""The Lightning module: any system, any number of players, one schedule."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import replace
from statistics import fmean
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.optimizer import Optimizer

from facerelief.data.sample import Sample
from facerelief.train import muon
from facerelief.train.config import OptimizerConfig
from facerelief.train.consistency import ConsistencyConfig, consistency
from facerelief.train.systems.base import System

_SMOOTHED = 20  # steps


class Training(lightning.LightningModule):
    """Steps every player of a system in turn and logs what the system reports.

    Args:
        system: what to train.
        optimizer: its settings.
        samples: the budget; the learning rate falls to its last value when it is spent, or when
            ``max_seconds`` are, whichever comes first.
        consistency: what photographs without truth teach.
    """

    def __init__(
        self,
        system: System,
        optimizer: OptimizerConfig,
        samples: int,
        max_seconds: float | None = None,
        consistency: ConsistencyConfig | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.system = system
        self.settings = optimizer
        self.consistency = consistency or ConsistencyConfig()
        self.budget, self.max_seconds = samples, max_seconds
        self.samples_seen = self.steps = 0
        self.seconds = 0.0  # spent in all runs of this training
        self._tick = time.monotonic()
        self._first: list[float] = []  # losses of the first steps
        self._last: deque[Tensor] = deque(maxlen=_SMOOTHED)  # and of those that were just made

    @property
    def fall(self) -> dict[str, float]:
        """Mean training loss of the ``first`` steps and of the ``last``: twenty each, or half."""
        count = min(len(self._last), max(1, self.steps // 2))
        last = [float(loss) for loss in self._last][-count:]
        return {"first": fmean(self._first[:count]), "last": fmean(last)} if last else {}

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        share = self.samples_seen / self.budget
        if self.max_seconds:
            share = max(share, self.seconds / self.max_seconds)
        return min(share, 1.0)

    def rate(self) -> float:
        """Factor on the learning rate: linear warm-up, then half a cosine or halves."""
        warmup, final = self.settings.warmup, self.settings.final
        if self.progress < warmup:
            return max(self.progress / warmup, 1e-3)
        if self.settings.halve_every:
            return float(0.5 ** (self.samples_seen // self.settings.halve_every))
        after = (self.progress - warmup) / (1 - warmup)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * after))

    def configure_optimizers(self) -> list[Optimizer]:
        return [self._optimizer(player) for player in self.system.players]

    def _optimizer(self, player: str) -> Optimizer:
        settings = self.settings
        chosen = {id(p) for p in self.system.parameters_of(player)}
        groups: dict[tuple[bool, bool, bool], list[Tensor]] = {}
        for name, parameter in self.system.named_parameters():
            if id(parameter) in chosen:
                # Norms and biases are not decayed; they have no scale to shrink towards.
                turned = settings.name == "muon" and muon.is_kernel(parameter)
                key = ("encoder" in name.split("."), parameter.ndim > 1, turned)
                groups.setdefault(key, []).append(parameter)
        kind = muon.Muon if settings.name == "muon" else AdamW
        return kind(
            [
                {
                    "params": parameters,
                    "orthogonal": turned,
                    "weight_decay": settings.weight_decay if decayed else 0.0,
                    "base": settings.learning_rate * (settings.encoder_rate if encoder else 1.0),
                }
                for (encoder, decayed, turned), parameters in groups.items()
            ],
            lr=settings.learning_rate,
            betas=(settings.betas[0], settings.betas[1]),
        )

    def transfer_batch_to_device(
        self, batch: Sample, device: torch.device, dataloader_idx: int
    ) -> Sample:
        return batch.to(device)

    def training_step(self, sample: Sample, index: int) -> None:
        optimizers: Any = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        by_player = dict(zip(self.system.players, optimizers, strict=True))
        rate = self.rate()
        total = None
        for turn in self.system.turns(_channels_last(sample)):
            optimizer = by_player[turn.player]
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate
            terms = dict(turn.terms)
            if self.consistency.weight > 0 and turn.prediction is not None:
                # What is drawn depends on the samples seen alone, so that a resumed run repeats it.
                g = torch.Generator().manual_seed(self.samples_seen)
                found = consistency(self.system, sample, turn.prediction, self.consistency, g)
                terms["consistency"] = self.consistency.weight * found
            loss = torch.stack(list(terms.values())).sum()
            optimizer.zero_grad()
            self.manual_backward(loss, inputs=list(self.system.parameters_of(turn.player)))
            if self.settings.clip:
                self.clip_gradients(optimizer, self.settings.clip, "norm")
            optimizer.step()
            values = {f"train/{name}": value.detach() for name, value in terms.items()}
            if turn.player == self.system.players[0]:
                total = loss.detach() if total is None else total + loss.detach()
            self.log_dict(values, batch_size=len(sample))
        if total is not None:
            self.log("train/loss", total, batch_size=len(sample))
            self._last.append(total)
            if len(self._first) < _SMOOTHED:
                self._first.append(float(total))
            self.steps += 1
        self.samples_seen += len(sample)
        now = time.monotonic()
        self.seconds += now - self._tick
        self._tick = now
        self.log("train/rate", rate, batch_size=len(sample))
        self.log("train/samples", float(self.samples_seen), prog_bar=True, batch_size=1)
        if self.progress >= 1:
            self.trainer.should_stop = True

    def validation_step(self, sample: Sample, index: int) -> None:
        sample = _channels_last(sample)
        for name, values in self.system.metrics(sample, self.system(sample.image)).items():
            known = values[~values.isnan()]
            if len(known):
                self.log(
                    f"val/{name}", known.mean(), batch_size=len(known), on_epoch=True,
                    prog_bar=name == "error",
                )  # fmt: skip

    def on_validation_start(self) -> None:
        self._validation_began = time.monotonic()

    def on_validation_end(self) -> None:
        # Validation does not count against the budget of time that shapes the schedule.
        self._tick += time.monotonic() - self._validation_began

    def on_train_start(self) -> None:
        self._tick = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["progress"] = {
            "samples_seen": self.samples_seen, "seconds": self.seconds, "first_losses": self._first
        }  # fmt: skip

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.samples_seen = checkpoint["progress"]["samples_seen"]
        self.seconds = checkpoint["progress"]["seconds"]
        self._first = list(checkpoint["progress"].get("first_losses", []))


def _channels_last(sample: Sample) -> Sample:
    return replace(sample, image=sample.image.contiguous(memory_format=torch.channels_last))
