"""Self-supervision on photographs without truth: moved and spoiled, a face keeps its shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from facerelief.data import augment
from facerelief.data.sample import Sample, mapped
from facerelief.train.systems.base import System


@dataclass(frozen=True)
class ConsistencyConfig:
    """Weight of the term; zero turns it off. The rest says how far a picture is perturbed."""

    weight: float = 0.0
    warp: augment.WarpRange = field(
        default_factory=lambda: augment.WarpRange(rotation=15, log_scale=0.12, stretch=0.0)
    )
    photometric: augment.PhotometricRange = field(
        default_factory=lambda: augment.PhotometricRange(gain=0.5, gamma=0.4, tint=0.2, noise=0.05)
    )


class Movable(Protocol):
    """What a system answers for pictures, where it can be compared with that for moved ones."""

    def departure(self, before: Any, warp: augment.Warp, mask: Tensor) -> Tensor:
        """How far this is from what `before` says of the pictures that `warp` moved: a loss.

        `mask` (B, 1, H, W): the faces in the pictures of `before`.
        """


def consistency(
    system: System,
    sample: Sample,
    prediction: Movable,
    settings: ConsistencyConfig,
    g: torch.Generator,
) -> Tensor:
    """How far the answers for perturbed pictures are from the perturbed answers.

    Only of the samples that are `weak`: the others have a truth, which says more. The estimate of
    the picture as it is teaches (no gradient), the one of the perturbed picture learns.
    """
    chosen = sample.weak
    if not chosen.any():
        return sample.image.sum() * 0
    image = sample.image[chosen]
    count, size = len(image), image.shape[-1]
    warp = augment.random_warp(count, 1.0, size, settings.warp, g)
    warp = mapped(warp, lambda tensor: tensor.to(image.device))
    moved = augment.photometric(warp.apply(image, size), settings.photometric, g)
    found: Movable = system(moved.contiguous(memory_format=torch.channels_last))
    teacher = mapped(prediction, lambda tensor: tensor[chosen].detach())
    return found.departure(teacher, warp, sample.face_mask[chosen])
