"""Ways for a feature vector to steer a feature map."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-8


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
        return weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + _EPS)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, I, H, W) steered by (B, S) to (B, O, H, W).

        A factor on a kernel's inputs is one on the features, and the norm one on what comes out:
        the same sum as with `kernels`, and one convolution serves the whole batch.
        """
        steer = self.style(style)
        power = self.weight.square().sum((2, 3))  # (O, I)
        norm = torch.rsqrt(steer.square() @ power.T + _EPS)
        x = F.conv2d(x * steer[..., None, None], self.weight, padding=self.padding)
        return x * norm[..., None, None]


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
