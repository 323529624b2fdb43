"""VGG trunks (Simonyan and Zisserman 2015), keyed like torchvision's so that its files load."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

# Convolutions of a block and their width, as multiples of the first.
_BLOCKS = {
    "vgg13_bn": ((2, 1), (2, 2), (2, 4), (2, 8), (2, 8)),
    "vgg19": ((2, 1), (2, 2), (4, 4), (4, 8), (4, 8)),
}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG(nn.Module):
    """The convolutions of VGG-13 with batch norm or of VGG-19.

    Args:
        kind: ``vgg13_bn`` or ``vgg19``.
        width: of the first block; 64 is the published network.
        checkpoint: a torchvision-format ``state_dict`` file, or None for random weights.

    Raises:
        ValueError: an unknown kind, or the file is not a checkpoint of it.
    """

    def __init__(self, kind: str, width: int = 64, checkpoint: Path | str | None = None) -> None:
        super().__init__()
        if kind not in _BLOCKS:
            raise ValueError(f"unknown VGG {kind!r}; one of {', '.join(_BLOCKS)}")
        layers: list[nn.Module] = []
        self.ends: list[int] = []  # of each block, before its pooling
        last = 3
        for count, multiple in _BLOCKS[kind]:
            for _ in range(count):
                layers.append(nn.Conv2d(last, multiple * width, 3, padding=1))
                last = multiple * width
                if kind.endswith("_bn"):
                    layers.append(nn.BatchNorm2d(last))
                layers.append(nn.ReLU(inplace=True))
            self.ends.append(len(layers))
            layers.append(nn.MaxPool2d(2))
        self.channels = tuple(multiple * width for _, multiple in _BLOCKS[kind])
        self.features = nn.Sequential(*layers)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        if checkpoint is not None:
            self._load(kind, Path(checkpoint))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] to each block's features, strides 1 to 16, and the last pooled."""
        x = (picture - self.mean) / self.std
        found = []
        for begin, end in pairwise((0, *self.ends)):
            x = self.features[begin:end](x)
            found.append(x)
        return [*found, self.features[-1](x)]

    def until(self, picture: Tensor, layers: int) -> Tensor:
        """(B, 3, H, W) in [0, 1] through the first layers alone."""
        return self.features[:layers]((picture - self.mean) / self.std)

    def _load(self, kind: str, path: Path) -> None:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        trunk = {key: value for key, value in stored.items() if key.startswith("features.")}
        try:
            self.load_state_dict(trunk)
        except RuntimeError as error:
            raise ValueError(f"{path} is not a torchvision checkpoint of {kind}") from error
