"""Ways for a feature vector to steer a feature map."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ModulatedConv2d(nn.Module):
    """Convolution whose kernel is scaled per input channel by a style and then demodulated.

    StyleGAN2 (Karras et al. 2020), equations 1 and 3; FNR2R, equations 3 to 5. After demodulation
    every output channel's kernel has unit norm.
    """

    def __init__(self, width: int, out: int, style: int, kernel: int = 3) -> None:
        super().__init__()
        scale = 1 / math.sqrt(width * kernel * kernel)
        self.weight = nn.Parameter(torch.randn(out, width, kernel, kernel) * scale)
        self.style = nn.Linear(style, width)
        nn.init.ones_(self.style.bias)  # an untrained style leaves the kernel as it is
        self.padding = kernel // 2

    def kernels(self, style: Tensor) -> Tensor:
        """(B, S) to the (B, O, I, k, k) kernels, unit norm per output channel."""
        weight = self.weight[None] * self.style(style)[:, None, :, None, None]
        return weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, I, H, W) steered by (B, S) to (B, O, H, W)."""
        batch, width, height, breadth = x.shape
        kernels = self.kernels(style).flatten(0, 1)
        # One grouped convolution runs every sample's own kernel.
        x = x.reshape(1, batch * width, height, breadth)
        x = F.conv2d(x, kernels, padding=self.padding, groups=batch)
        return x.view(batch, -1, height, breadth)


class AdaIN(nn.Module):
    """Adaptive instance normalisation (Huang and Belongie 2017): style sets scale and shift."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(width)
        self.style = nn.Linear(style, 2 * width)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, H, W) restyled by (B, S)."""
        scale, shift = self.style(style)[..., None, None].chunk(2, 1)
        return self.norm(x) * (1 + scale) + shift
