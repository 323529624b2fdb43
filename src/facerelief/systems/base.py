"""What every system offers to training, evaluation and export."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn import losses

# One module a system; imported only when asked for.
_MODULES = {
    "casfne": "facerelief.systems.casfne:CasFNE",
    "cross_modal": "facerelief.systems.cross_modal:CrossModal",
    "fnr2r": "facerelief.systems.fnr2r:FNR2R",
    "unet": "facerelief.systems.unet:UNet",
}


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


@dataclass(frozen=True)
class Turn:
    """One optimisation step: whose it is, and the weighted terms that it lowers the sum of."""

    player: str
    terms: dict[str, Tensor]
    prediction: Prediction | None = None  # of the batch's pictures, where the turn made one


class System(nn.Module, ABC):
    """A network with its losses and metrics. The training loop knows nothing else of it."""

    presets: ClassVar[dict[str, dict[str, Any]]]

    def __init__(self) -> None:
        super().__init__()
        self.discriminator: nn.Module | None = None

    @classmethod
    def from_preset(cls, preset: str, **options: Any) -> System:
        """A preset, with options that override its own; ``weights`` do so one by one.

        Raises:
            ValueError: unknown preset; the message lists the valid ones.
        """
        if preset not in cls.presets:
            raise ValueError(f"unknown preset {preset!r}; one of {', '.join(cls.presets)}")
        own = cls.presets[preset]
        weights = {**own.get("weights", {}), **(options.get("weights") or {})}
        return cls(**{**own, **options, "weights": weights})

    @abstractmethod
    def forward(self, image: Tensor) -> Prediction:
        """(B, 3, H, W) RGB in [0, 1] to a :class:`Prediction`; H and W are multiples of 32."""

    @property
    def players(self) -> tuple[str, ...]:
        """Who is optimised: the estimator, and its adversary if there is one."""
        return ("estimator",) if self.discriminator is None else ("estimator", "discriminator")

    def parameters_of(self, player: str) -> Iterator[nn.Parameter]:
        """The parameters that a player's turns move."""
        return (
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith("discriminator.") == (player == "discriminator")
        )

    def begin(self) -> None:
        """What is to be done to weights that another training left, before the first step."""
        return

    @abstractmethod
    def turns(self, sample: Sample) -> Iterator[Turn]:
        """What a batch teaches, in order: each turn is stepped before the next one is asked for.

        ``sample.image`` is in the memory format that the networks want.
        """

    @torch.no_grad()
    def metrics(self, sample: Sample, prediction: Prediction) -> dict[str, Tensor]:
        """Per-sample (B,) figures for validation; NaN where a sample has no truth for one."""
        figures = {
            f"error_stage{index}": _mean_error(stage.normals, sample)
            for index, stage in enumerate(prediction.earlier)
        }
        figures["error"] = _mean_error(prediction.normals, sample)
        if prediction.concentration is not None:
            expected = torch.rad2deg(losses.expected_angle(prediction.concentration))
            figures["expected_error"] = _per_sample_mean(expected, sample.normals_mask)
        if prediction.mask_logits is not None:
            figures["mask_iou"] = _mask_iou(prediction.mask_logits > 0, sample)
        return figures


def names() -> list[str]:
    """The systems that :func:`build` knows."""
    return sorted(_MODULES)


def build(name: str, preset: str, **options: Any) -> System:
    """A system by name and preset.

    Raises:
        ValueError: unknown name, preset or option; the message lists the valid names.
    """
    if name not in _MODULES:
        raise ValueError(f"unknown system {name!r}; one of {', '.join(names())}")
    module, _, attribute = _MODULES[name].partition(":")
    system: type[System] = getattr(importlib.import_module(module), attribute)
    return system.from_preset(preset, **options)


def _mean_error(normals: Tensor, sample: Sample) -> Tensor:
    error = torch.rad2deg(losses.angle(normals.float(), sample.normals))
    return _per_sample_mean(error, sample.normals_mask)


def _per_sample_mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum((1, 2, 3))
    return (values * weight).sum((1, 2, 3)) / torch.where(total > 0, total, torch.nan)


def _mask_iou(found: Tensor, sample: Sample) -> Tensor:
    truth, known = sample.face_mask > 0.5, sample.face_known > 0.5
    both = (found & truth & known).sum((1, 2, 3))
    either = ((found | truth) & known).sum((1, 2, 3))
    return both / torch.where(either > 0, either, torch.nan)
