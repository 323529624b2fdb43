"""The one batch type that every data set gives and every system trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shapes:
    """Where the skin is in the pictures of a batch: UV position maps (PRNet), or some points of it.

    Maps are in the built-in head's layout, which `facerelief.data.positions` knows, as it knows
    which points these are. Positions are x right, y down, z nearer, in half picture sides from the
    middle.
    """

    position: Tensor  # (B, 3, S, S)
    known: Tensor  # (B,) float in [0, 1]: how far a map is believed, 0 for none
    points: Tensor  # (B, N, 3); z is right but for a shift
    points_known: Tensor  # (B, N, 2) float in [0, 1]: how far x with y, and z, are believed

    def map(self, change: Callable[[Tensor], Tensor]) -> Shapes:
        """Every tensor changed."""
        return Shapes(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True)
class Sample:
    """A batch of crops with what is known about them. Every truth has its own mask.

    Normals are unit vectors in camera space (x right, y up, z towards the viewer), channels first.
    """

    image: Tensor  # (B, 3, H, W) float, RGB in [0, 1]
    normals: Tensor  # (B, 3, H, W) float; zero where unknown
    normals_mask: Tensor  # (B, 1, H, W) float in [0, 1]: where the normals are known
    face_mask: Tensor  # (B, 1, H, W) float in [0, 1]: visible face
    face_known: Tensor  # (B, 1, H, W) float in [0, 1]: where face_mask is known
    weak: Tensor  # (B,) bool: the normals are a smooth teacher's, not measured
    pictured: Tensor  # (B,) bool: there is a picture; where there is none, image is zero
    shapes: Shapes | None = None  # of sources that were asked for them

    def __len__(self) -> int:
        return len(self.image)

    @property
    def measured_mask(self) -> Tensor:
        """(B, 1, H, W): ``normals_mask`` of the samples whose normals are measured."""
        return self.normals_mask * ~self.weak.view(-1, 1, 1, 1)

    def map(self, change: Callable[[Tensor], Tensor]) -> Sample:
        """Every tensor changed."""
        tensors: dict[str, Any] = {f.name: change(getattr(self, f.name)) for f in _TENSORS}
        return Sample(**tensors, shapes=self.shapes and self.shapes.map(change))

    def chosen(self, flags: Tensor) -> Sample:
        """The samples that a (B,) bool tensor marks."""
        return self if flags.all() else self.map(lambda tensor: tensor[flags])

    def first(self, count: int) -> Sample:
        """The first samples, ``count`` at most."""
        return self.map(lambda tensor: tensor[:count])

    def to(self, device: torch.device | str) -> Sample:
        """The batch on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Sample:
        """The batch in page-locked memory (called by the data loader for GPUs)."""
        return self.map(Tensor.pin_memory)


_TENSORS = [f for f in fields(Sample) if f.name != "shapes"]


def concatenate(batches: list[Sample]) -> Sample:
    """One batch out of several.

    Raises:
        ValueError: some have shapes and others not.
    """
    tensors: dict[str, Any] = {
        f.name: torch.cat([getattr(b, f.name) for b in batches]) for f in _TENSORS
    }
    shapes = [batch.shapes for batch in batches if batch.shapes is not None]
    if not shapes:
        return Sample(**tensors)
    if len(shapes) < len(batches):
        raise ValueError("some sources give position maps and others do not: option positions")
    joined = {f.name: torch.cat([getattr(one, f.name) for one in shapes]) for f in fields(Shapes)}
    return Sample(**tensors, shapes=Shapes(**joined))
