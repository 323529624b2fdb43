"""What networks say of normals, and what the channels of their last layer mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facerelief.data.augment import Warp
from facerelief.nn.losses import masked_mean, normalize


@dataclass(frozen=True)
class Prediction:
    """A network's answer for a batch, channels first."""

    normals: Tensor  # (B, 3, H, W) unit
    concentration: Tensor | None = None  # (B, 1, H, W) kappa of the angular distribution
    mask_logits: Tensor | None = None  # (B, 1, H, W) face against everything else
    earlier: tuple[Prediction, ...] = ()  # the stages before this one, first to last

    @property
    def stages(self) -> tuple[Prediction, ...]:
        """Every stage, first to last, this one included."""
        return (*self.earlier, self)

    def departure(self, before: Prediction, warp: Warp, mask: Tensor) -> Tensor:
        """One minus the cosine between these normals and those of `before`, moved.

        These are of pictures that `warp` made of those that `before` is of, whose faces are in
        `mask` (B, 1, H, W).
        """
        surface = warp.apply(torch.cat([before.normals * mask, mask], 1), self.normals.shape[-1])
        weight = (surface[:, 3:] > 0.5).float()
        off = 1 - (self.normals * warp.normals(surface[:, :3])).sum(1, keepdim=True)
        return masked_mean(off, weight)


@dataclass(frozen=True)
class Outputs:
    """Normals, then the concentration and the mask where a network has them.

    Packed maps hold ``packing`` x ``packing`` subpixels in their channels, as pixel shuffling
    orders them.
    """

    uncertainty: bool = False
    mask: bool = False
    packing: int = 1

    @property
    def count(self) -> int:
        """Channels of the unpacked map."""
        return 3 + self.uncertainty + self.mask

    def packed_normals(self, raw: Tensor) -> Tensor:
        """(B, C p p, h, w) to the (B, 3 p p, h, w) unit normals of its p x p subpixels.

        Networks that read their own normals read this layout: only what leaves is unpacked.
        """
        batch, _, height, width = raw.shape
        subpixels = self.packing**2
        normals = torch.tanh(raw[:, : 3 * subpixels].float())
        normals = normals.view(batch, 3, subpixels, height, width)
        return normalize(normals).view(batch, 3 * subpixels, height, width)

    def interpret(self, raw: Tensor) -> Prediction:
        """(B, C p p, h, w) to maps of (p h, p w): normals, concentration, mask."""
        normals = F.pixel_shuffle(self.packed_normals(raw), self.packing)
        rest = F.pixel_shuffle(raw[:, 3 * self.packing**2 :].float(), self.packing)
        concentration = mask_logits = None
        if self.uncertainty:
            # Bae et al. 2021: positive, and never so small that the angle's weight vanishes.
            concentration, rest = F.elu(rest[:, :1]) + 1.01, rest[:, 1:]
        if self.mask:
            mask_logits = rest[:, :1]
        return Prediction(normals, concentration, mask_logits)
