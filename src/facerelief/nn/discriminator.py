"""Discriminators of normal maps."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchGAN(nn.Module):
    """Strided-convolution discriminator with instance norm, one logit a patch (Isola et al. 2017).

    Args:
        channels: of the picture it judges; width: of its first layer; layers: strided ones.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for index in range(1, layers + 1):
            out = width * 2 if index < 4 else width
            stride = 2 if index < layers else 1
            blocks += [
                nn.Conv2d(width, out, 4, stride, 1),
                nn.InstanceNorm2d(out),
                nn.LeakyReLU(0.2),
            ]
            width = out
        blocks.append(nn.Conv2d(width, 1, 4, 1, 1))
        self.layers = nn.Sequential(*blocks)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 1, h, w) logits."""
        return self.layers(picture)


class SelfAttention(nn.Module):
    """Every place sees every other: ``gamma attention(x) + x``, gamma learned from zero.

    SAGAN (Zhang et al. 2019), equations 1 to 3; FNR2R, figure 5.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, width // 8, 1)
        self.key = nn.Conv2d(width, width // 8, 1)
        self.value = nn.Conv2d(width, width, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        query, key, value = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        attention = (query.transpose(1, 2) @ key).softmax(-1)  # (B, from, to)
        return self.gamma * (value @ attention.transpose(1, 2)).view_as(x) + x


class SelfAttentionGAN(nn.Module):
    """SAGAN's discriminator on a picture's patches: spectral norms, attention at two scales.

    Attention stands where SAGAN puts it, before the last two layers, at strides 8 and 16.

    Args:
        channels: of the picture it judges; width: of its first layer.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width, 8 * width)
        blocks: list[nn.Module] = []
        for index in range(4):
            if index == 3:
                blocks.append(SelfAttention(widths[index]))
            conv = nn.Conv2d(widths[index], widths[index + 1], 4, 2, 1)
            blocks += [spectral_norm(conv), nn.LeakyReLU(0.1)]
        blocks += [SelfAttention(widths[-1]), nn.Conv2d(widths[-1], 1, 4, 1, 1)]
        self.layers = nn.Sequential(*blocks)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 1, h, w) logits."""
        return self.layers(picture)


DISCRIMINATORS = {"patch": PatchGAN, "self-attention": SelfAttentionGAN}
