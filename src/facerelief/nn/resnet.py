"""The trunk of ResNet-18 (He et al. 2016), keyed like torchvision's so that its files load."""

from pathlib import Path

import torch
from torch import Tensor, nn

from facerelief.nn.frozen_norms import FrozenNorms

CHANNELS = (64, 64, 128, 256, 512)  # of the features at strides 2, 4, 8, 16, 32
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ResNet18(FrozenNorms):
    """Image encoder: five feature maps at strides 2 to 32.

    Args:
        checkpoint: a torchvision-format ``state_dict`` file, or None for random weights.
        frozen_norms: keep the batch norms at the file's statistics.

    Raises:
        ValueError: the file is not a ResNet-18 checkpoint.
    """

    channels = CHANNELS

    def __init__(self, checkpoint: Path | str | None = None, frozen_norms: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(_BasicBlock(64, 64), _BasicBlock(64, 64))
        self.layer2 = nn.Sequential(_BasicBlock(64, 128, 2), _BasicBlock(128, 128))
        self.layer3 = nn.Sequential(_BasicBlock(128, 256, 2), _BasicBlock(256, 256))
        self.layer4 = nn.Sequential(_BasicBlock(256, 512, 2), _BasicBlock(512, 512))
        self.mean: Tensor
        self.std: Tensor
        # Kept out of the state dict so that torchvision's checkpoints load strictly.
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        if checkpoint is not None:
            self._load(Path(checkpoint))
        self.frozen_norms = frozen_norms
        self.train()

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [0, 1] to features at strides 2, 4, 8, 16, 32."""
        stride2 = self.relu(self.bn1(self.conv1((image - self.mean) / self.std)))
        stride4 = self.layer1(self.maxpool(stride2))
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8)
        return [stride2, stride4, stride8, stride16, self.layer4(stride16)]

    def _load(self, path: Path) -> None:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        trunk = {key: value for key, value in stored.items() if not key.startswith("fc.")}
        try:
            self.load_state_dict(trunk)
        except RuntimeError as error:
            raise ValueError(f"{path} is not a torchvision ResNet-18 checkpoint") from error


class _BasicBlock(nn.Module):
    def __init__(self, width: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or width != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + identity)
