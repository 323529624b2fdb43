"""Self-supervision on photographs without truth: moved and spoiled, a face keeps its shape."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from facerelief.data import augment
from facerelief.data.sample import Sample
from facerelief.nn.losses import masked_mean
from facerelief.systems.base import System
from facerelief.systems.outputs import Prediction


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


def consistency(
    system: System,
    sample: Sample,
    prediction: Prediction,
    settings: ConsistencyConfig,
    g: torch.Generator,
) -> Tensor:
    """One minus the cosine between the normals of perturbed pictures and the perturbed normals.

    Only of the samples that are `weak`: the others have a truth, which says more. The estimate of
    the picture as it is teaches (no gradient), the one of the perturbed picture learns.
    """
    chosen = sample.weak
    if not chosen.any():
        return prediction.normals.sum() * 0
    image = sample.image[chosen]
    count, size = len(image), image.shape[-1]
    warp = augment.random_warp(count, 1.0, size, settings.warp, g)
    warp = augment.Warp(*(x.to(image.device) for x in (warp.matrix, warp.offset, warp.relief)))
    moved = augment.photometric(warp.apply(image, size), settings.photometric, g)
    mask = sample.face_mask[chosen]
    teacher = torch.cat([prediction.normals[chosen].detach() * mask, mask], 1)
    surface = warp.apply(teacher, size)
    weight = (surface[:, 3:] > 0.5).float()
    found = system(moved.contiguous(memory_format=torch.channels_last)).normals
    off = 1 - (found * warp.normals(surface[:, :3])).sum(1, keepdim=True)
    return masked_mean(off, weight)
