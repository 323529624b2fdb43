"""Batch norms that keep their statistics while the rest learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

T = TypeVar("T", bound="FrozenNorms")


class FrozenNorms(nn.Module):
    """An encoder that may freeze its batch norms.

    Small batches of alike faces, or of renderings beside photographs, would spoil the statistics.
    A trainer does not say `train()` to what begins in training mode: constructors end with it.
    """

    frozen_norms: bool = False

    def train(self: T, mode: bool = True) -> T:
        super().train(mode)
        if self.frozen_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


@contextmanager
def unrecorded(module: nn.Module) -> Iterator[None]:
    """Batch norms go by the batch but do not remember it.

    For a pass whose features are distributed otherwise than those that the network is used with.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@contextmanager
def remembered(module: nn.Module) -> Iterator[None]:
    """Batch norms go by what they remember, as in use, and not by the batch."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
