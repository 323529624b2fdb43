"""Losses that every system shares: what truths say of a prediction, and an adversary of its maps.

A system's own losses are in its file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn import losses
from facerelief.train.systems.base import Turn
from facerelief.train.systems.outputs import Prediction


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; zero turns it off."""

    cosine: float = 1.0  # every paper's reconstruction loss
    angular: float = 0.0  # angular von Mises-Fisher, of the concentration and the normals
    mask: float = 0.0
    weak: float = 0.0  # low frequencies of a weak teacher's normals
    adversarial: float = 0.0
    total_variation: float = 0.0  # Cas-FNE, equation 6


def supervised(
    sample: Sample, predictions: Sequence[Prediction], weights: LossWeights
) -> dict[str, Tensor]:
    """Weighted terms, each summed over `predictions` (the stages of a cascade, or one alone)."""
    measured = sample.measured_mask
    taught = sample.normals_mask - measured
    estimated = sample.estimated.view(-1, 1, 1, 1)
    terms: dict[str, Tensor] = {}

    def add(name: str, weight: float, value: Tensor) -> None:
        terms[name] = terms.get(name, value.new_zeros(())) + weight * value

    for prediction in predictions:
        normals = prediction.normals
        add("cosine", weights.cosine, losses.cosine(normals, sample.normals, measured))
        if weights.total_variation:
            add("total_variation", weights.total_variation, losses.total_variation(normals))
        if weights.angular and prediction.concentration is not None:
            # A teacher agrees with itself more than with the truth: it has no say in errors.
            spread = prediction.concentration
            spread = torch.where(estimated, spread.detach(), spread)
            nll = losses.angular_vmf(normals, spread, sample.normals, measured)
            add("angular", weights.angular, nll)
        if weights.weak:
            add("weak", weights.weak, losses.low_frequency(normals, sample.normals, taught))
        if weights.mask and prediction.mask_logits is not None:
            value = losses.binary(prediction.mask_logits, sample.face_mask, sample.face_known)
            add("mask", weights.mask, value)
    return terms


def supervised_turns(
    sample: Sample, prediction: Prediction, weights: LossWeights, discriminator: nn.Module | None
) -> Iterator[Turn]:
    """The estimator's turn, summed over a prediction's stages, then its adversary's if any."""
    stages = prediction.stages
    terms = supervised(sample, stages, weights)
    if discriminator is not None:
        terms["adversarial"] = weights.adversarial * fooled(discriminator, stages)
    yield Turn("estimator", terms, prediction)
    if discriminator is not None:
        loss = discriminated(discriminator, sample, stages)
        yield Turn("discriminator", {"discriminator": loss})


def fooled(discriminator: nn.Module, predictions: Sequence[Prediction]) -> Tensor:
    """How far the maps are from passing as measured ones, summed over `predictions`."""
    total = predictions[0].normals.new_zeros(())
    for prediction in predictions:
        verdict = discriminator(prediction.normals)
        total = total + F.binary_cross_entropy_with_logits(verdict, torch.ones_like(verdict))
    return total


def discriminated(
    discriminator: nn.Module, sample: Sample, predictions: Sequence[Prediction]
) -> Tensor:
    """Measured maps are real, predictions are not. Only measured pixels are shown."""
    measured = ~sample.weak
    if not measured.any():
        return sample.normals.new_zeros(()) + 0 * sum(p.sum() for p in discriminator.parameters())
    mask = sample.normals_mask[measured]
    real = discriminator(sample.normals[measured] * mask)
    loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    for prediction in predictions:
        fake = discriminator(prediction.normals.detach()[measured] * mask)
        zeros = torch.zeros_like(fake)
        loss = loss + F.binary_cross_entropy_with_logits(fake, zeros) / len(predictions)
    return loss
