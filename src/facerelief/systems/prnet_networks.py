"""PRNet's network (Feng et al. 2018, section 3.2), and a light one with the same answer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.light_decoder import LightDecoder, pointwise

#: Maps of the published network reach that far beyond the picture: a tenth of its side.
_REACH = 1.1


class PaperNetwork(nn.Module):
    """A convolution, ten residual blocks to 8 x 8 x 512, 17 transposed convolutions; all kernels 4.

    Widths and the inside of a block are those of the authors' public code
    (github.com/YadiraF/PRNet), which has no bias where a norm follows.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        d = width
        layers: list[nn.Module] = [_normed(_convolution(3, d))]
        now = d
        for out in (2 * d, 4 * d, 8 * d, 16 * d, 32 * d):
            layers += [ResidualBlock(now, out, 2), ResidualBlock(out, out, 1)]
            now = out
        self.encoder = nn.Sequential(*layers)
        ups = [
            (32 * d, 1), (16 * d, 2), (16 * d, 1), (16 * d, 1), (8 * d, 2), (8 * d, 1), (8 * d, 1),
            (4 * d, 2), (4 * d, 1), (4 * d, 1), (2 * d, 2), (2 * d, 1), (d, 2), (d, 1),
            (3, 1), (3, 1),
        ]  # fmt: skip
        steps: list[nn.Module] = []
        for out, stride in ups:
            steps.append(_normed(Transposed(now, out, stride, bias=False), out))
            now = out
        self.decoder = nn.Sequential(*steps, Transposed(now, 3, 1))

    def forward(self, image: Tensor, size: int) -> Tensor:
        """(B, 3, H, H) in [0, 1] to the map (B, 3, size, size), half sides from the middle."""
        raw = self.decoder(self.encoder(image))
        # Depth has its origin in the head, and a face is nearer than that or not much behind.
        return positions.resized(_REACH * (2 * torch.sigmoid(raw.float()) - 1), size)


class ResidualBlock(nn.Module):
    """1x1 to half the width, 4x4, 1x1, and a shortcut; norm and ReLU after the sum."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        half = out // 2
        self.layers = nn.Sequential(
            _normed(_convolution(width, half, 1)),
            _normed(_convolution(half, half, 4, stride)),
            _convolution(half, out, 1),
        )
        same = stride == 1 and width == out
        self.shortcut = nn.Identity() if same else _convolution(width, out, 1, stride)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.layers(x) + self.shortcut(x)))


class Transposed(nn.Module):
    """A transposed convolution with kernel 4 whose output is ``stride`` times as large."""

    def __init__(self, width: int, out: int, stride: int, bias: bool = True) -> None:
        super().__init__()
        # At stride 1 one row and column too many come out, of which none is in the middle.
        self.layer = nn.ConvTranspose2d(width, out, 4, stride, 1, bias=bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y if self.stride == 2 else y[..., :-1, :-1]


class LightNetwork(nn.Module):
    """For CPUs: where the mean head goes, and what a face adds to it.

    A position map is a head's shape, moved and turned. The shape is smooth, small, and looks the
    same in every pose; the motion is twelve numbers. So these are estimated apart: an affine map
    from what the picture is like as a whole, and an offset from the mean head, in the head's own
    axes, which a decoder makes from the encoder's features after every place has seen every other.
    The decoder has no skips: texels are not where their pixels are.
    """

    grid = 4  # places a side of the features that are mixed
    mixed = 64  # channels of each

    def __init__(self, pretrained: bool = True, frozen_norms: bool = False) -> None:
        super().__init__()
        self.encoder = EfficientNetLite0(pretrained, frozen_norms)
        deepest = self.encoder.channels[-1]
        self.motion = nn.Linear(deepest, 12)
        nn.init.zeros_(self.motion.weight)
        nn.init.zeros_(self.motion.bias)
        self.squeeze = pointwise(deepest, self.mixed)
        places = self.mixed * self.grid**2
        self.mix = nn.Sequential(nn.Linear(places, places), nn.ReLU(inplace=True))
        widths = (64, 64, 32, 32)
        self.decoder = LightDecoder(self.encoder.channels, self.mixed, 3, widths, skips="none")
        nn.init.zeros_(self.decoder.head.weight)
        if self.decoder.head.bias is not None:
            nn.init.zeros_(self.decoder.head.bias)

    def forward(self, image: Tensor, size: int) -> Tensor:
        """(B, 3, H, H) in [0, 1] to the map (B, 3, size, size), half sides from the middle.

        An untrained network answers with the mean head.
        """
        deepest = self.encoder(image)[-1]
        code = F.adaptive_avg_pool2d(self.squeeze(deepest), self.grid).flatten(1)
        mixed = self.mix(code).view(-1, self.mixed, self.grid, self.grid)
        offset = positions.resized(F.pixel_shuffle(self.decoder(mixed), 2).float(), size)
        shape = positions.mean_head(size).to(offset) + offset
        linear, moved = self.motion(deepest.mean((2, 3))).float().split((9, 3), 1)
        turned = torch.einsum("bij,bjhw->bihw", linear.view(-1, 3, 3), shape)
        return shape + turned + moved[..., None, None]


def _convolution(width: int, out: int, kernel: int = 4, stride: int = 1) -> nn.Module:
    """With as many pixels left and right as make the output as large as the input, or half."""
    convolution = nn.Conv2d(width, out, kernel, stride, bias=False)
    if kernel == 1:
        return convolution
    after = 2 if stride == 1 else 1
    return nn.Sequential(nn.ZeroPad2d((1, after, 1, after)), convolution)


def _normed(layer: nn.Module, out: int | None = None) -> nn.Sequential:
    if out is None:
        convolution = next(m for m in layer.modules() if isinstance(m, nn.Conv2d))
        out = convolution.out_channels
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU(inplace=True))
