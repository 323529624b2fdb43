"""The one batch type that every data set gives and every system trains on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


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

    def __len__(self) -> int:
        return len(self.image)

    @property
    def measured_mask(self) -> Tensor:
        """(B, 1, H, W): ``normals_mask`` of the samples whose normals are measured."""
        return self.normals_mask * ~self.weak.view(-1, 1, 1, 1)

    def chosen(self, flags: Tensor) -> Sample:
        """The samples that a (B,) bool tensor marks."""
        if flags.all():
            return self
        return replace(self, **{f.name: getattr(self, f.name)[flags] for f in fields(self)})

    def to(self, device: torch.device | str) -> Sample:
        """The batch on another device."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return replace(self, **moved)

    def pin_memory(self) -> Sample:
        """The batch in page-locked memory (called by the data loader for GPUs)."""
        return replace(self, **{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


def concatenate(batches: list[Sample]) -> Sample:
    """One batch out of several."""
    return Sample(
        **{f.name: torch.cat([getattr(b, f.name) for b in batches]) for f in fields(Sample)}
    )
