"""What happens beside the steps: pictures, timing, averaging."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from PIL import Image
from torch import Tensor

from facerelief.data.sample import Sample
from facerelief.files import appearing, remove_leftovers
from facerelief.train.systems.base import System


class Averaging(WeightAveraging):
    """Exponential moving average of the weights, used by validation and kept in checkpoints.

    The decay warms up, so that a short run is not stuck at its random start.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
            if not averaged.is_floating_point():  # batch norm's counters
                return current
            now = min(decay, (1 + int(count)) / (10 + int(count)))
            return torch.lerp(averaged, current.to(averaged.dtype), 1 - now)

        super().__init__(avg_fn=average)


class Checkpoint(Callback):
    """Writes the whole state every few minutes, aside and then renamed.

    Lightning's own callback keeps no time with manual optimisation.
    """

    def __init__(self, path: Path, seconds: float = 180.0) -> None:
        self.path, self.seconds = path, seconds
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *rest: Any) -> None:
        if time.monotonic() - self._saved >= self.seconds:
            self.save(trainer)

    def save(self, trainer: lightning.Trainer) -> None:
        """Write now."""
        remove_leftovers(self.path.parent)
        with appearing(self.path) as own:
            trainer.save_checkpoint(own)
        self._saved = time.monotonic()


class NetworkShare(Callback):
    """Measures which share of the time the network works, and which it waits for samples."""

    def __init__(self) -> None:
        self.working = self.waiting = 0.0
        self.samples = 0
        self._ended: float | None = None
        self._began = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Sample, index: int) -> None:
        self._began = time.monotonic()
        if self._ended is not None:
            self.waiting += self._began - self._ended

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Sample, index: int
    ) -> None:
        self._ended = time.monotonic()
        self.working += self._ended - self._began
        self.samples += len(batch)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self._ended = None

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.working / max(self.working + self.waiting, 1e-9)

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / max(self.working + self.waiting, 1e-9)


class Pictures(Callback):
    """Writes a sheet of validation samples, `System.sheet`, after every validation."""

    def __init__(self, folder: Path, columns: int = 8) -> None:
        self.folder, self.columns = folder, columns

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Sample, index: int, *rest: Any
    ) -> None:
        if index == 0 and not trainer.sanity_checking:
            sheet = render_sheet(module.system, batch, self.columns)
            self.folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sheet).save(self.folder / f"{module.samples_seen:08d}.png")


def render_sheet(system: System, sample: Sample, columns: int) -> np.ndarray:
    """(rows * H, columns * W, 3) uint8 picture of what a system makes of some samples."""
    rows = system.sheet(sample.first(columns))
    strips = [torch.cat(list(r.expand(-1, 3, -1, -1).float().cpu()), 2) for r in rows]
    pixels = torch.cat(strips, 1).permute(1, 2, 0).clamp(0, 1)
    return (pixels * 255).round().byte().numpy()
