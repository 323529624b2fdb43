"""What every system offers to training, evaluation and export."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample

CROP = 256  # side of a crop, pixels

# One module a system; imported only when asked for.
MODULES = {
    "casfne": "facerelief.train.systems.casfne:CasFNE",
    "cross_modal": "facerelief.train.systems.cross_modal:CrossModal",
    "full_pose": "facerelief.train.systems.full_pose:FullPose",
    "fnr2r": "facerelief.train.systems.fnr2r:FNR2R",
    "prnet": "facerelief.train.systems.prnet:PRNet",
    "ri2itn": "facerelief.train.systems.ri2itn:ReliefSystem",
    "unet": "facerelief.train.systems.unet:UNet",
}


@dataclass(frozen=True)
class Turn:
    """One optimisation step: whose it is, and the weighted terms that it lowers the sum of."""

    player: str
    terms: dict[str, Tensor]
    #: Of the batch's pictures, where the turn made one that `train.consistency` can compare.
    prediction: Any = None


class System(nn.Module, ABC):
    """A network with its losses and metrics. The training loop knows nothing else of it."""

    presets: ClassVar[dict[str, dict[str, Any]]]
    #: Options under which no weights are read that a training begins with: others are to follow.
    blank: ClassVar[dict[str, Any]] = {}
    #: A regular expression: names of weights that a file may be without, or have beyond these.
    optional: ClassVar[str] = r"discriminator\."
    #: The same of kernels that exported files keep in 8 bits, others in 16.
    in_8_bits: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.discriminator: nn.Module | None = None

    @classmethod
    def from_preset(cls, preset: str, **options: Any) -> System:
        """A preset, with options that override its own; ``weights`` do so one by one.

        Raises:
            ValueError: unknown preset; the message lists the valid ones.
        """
        check("preset", preset, cls.presets)
        own = cls.presets[preset]
        weights = {**own.get("weights", {}), **(options.get("weights") or {})}
        return cls(**{**own, **options, "weights": weights})

    @abstractmethod
    def forward(self, image: Tensor) -> Any:
        """(B, 3, H, W) RGB in [0, 1] to the system's prediction; H and W are multiples of 32."""

    @property
    def players(self) -> tuple[str, ...]:
        """Who is optimised: the estimator, and its adversary if there is one."""
        return ("estimator",) if self.discriminator is None else ("estimator", "discriminator")

    def parameters_of(self, player: str) -> Iterator[nn.Parameter]:
        """The parameters that a player's turns move; what is frozen is nobody's."""
        return (
            parameter
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
            and name.startswith("discriminator.") == (player == "discriminator")
        )

    def begin(self) -> None:
        """What is to be done to weights that another training left, before the first step."""
        return

    @abstractmethod
    def turns(self, sample: Sample) -> Iterator[Turn]:
        """What a batch teaches, in order: each turn is stepped before the next one is asked for.

        ``sample.image`` is in the memory format that the networks want.
        """

    @abstractmethod
    def metrics(self, sample: Sample, prediction: Any) -> dict[str, Tensor]:
        """Per-sample (B,) figures for validation; NaN where a sample has no truth for one."""

    @abstractmethod
    def sheet(self, sample: Sample) -> list[Tensor]:
        """Rows of a picture of what it makes of samples: (B, 1 or 3, H, W) in [0, 1] each."""

    @abstractmethod
    def deployed(self, size: int) -> Deployed:
        """What is exported of it, trained with pictures of ``size`` pixels.

        Raises:
            ValueError: 256 is no multiple of ``size``.
        """


class Deployed(nn.Module, ABC):
    """A system with uint8 crops in and finished answers out, channels last, as users hold them.

    Args:
        size: side of the pictures that the system was trained with, pixels. Crops are shrunk to it.

    Attributes:
        kind: of its answers, a key of `decoders.DECODERS`.
        reads: the name of what it reads, crops unless it says otherwise.
        outputs: names of what ``forward`` gives; that decoder knows which it needs.

    Raises:
        ValueError: 256 is no multiple of `size`.
    """

    kind: ClassVar[str]
    reads: ClassVar[str] = "crops"
    outputs: tuple[str, ...]

    def __init__(self, system: System, size: int = CROP) -> None:
        super().__init__()
        if size < 1 or CROP % size:
            raise ValueError(f"{CROP} is no multiple of the training's {size} pixels")
        self.system = system
        self.factor = CROP // size

    @abstractmethod
    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """(N, 256, 256, 3) uint8 RGB to the `outputs`."""

    def example(self) -> Tensor:
        """Two of what it reads."""
        return torch.zeros(2, CROP, CROP, 3, dtype=torch.uint8)

    def pictures(self, crops: Tensor) -> Tensor:
        """What the system sees of the crops: (N, 3, size, size) in [0, 1]."""
        image = crops.permute(0, 3, 1, 2).float() / 255
        return F.avg_pool2d(image, self.factor) if self.factor > 1 else image


def check(what: str, name: str, valid: Collection[str]) -> None:
    """Raise ValueError, which lists the valid names, unless `name` is one of them."""
    if name not in valid:
        raise ValueError(f"unknown {what} {name!r}; one of {', '.join(valid)}")


def names() -> list[str]:
    """The systems that `build` knows."""
    return sorted(MODULES)


def find(name: str) -> type[System]:
    """A system's class by its name.

    Raises:
        ValueError: unknown name; the message lists the valid ones.
    """
    check("system", name, names())
    module, _, attribute = MODULES[name].partition(":")
    system: type[System] = getattr(importlib.import_module(module), attribute)
    return system


def build(name: str, preset: str, **options: Any) -> System:
    """A system by name and preset.

    Raises:
        ValueError: unknown name, preset or option; the message lists the valid names.
    """
    return find(name).from_preset(preset, **options)
