"""Discriminators of normal maps."""

from torch import Tensor, nn


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
