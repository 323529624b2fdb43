"""PRNet's network (Feng et al. 2018, section 3.2), and a light one with the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.light_decoder import LightDecoder, convolution, pointwise

#: Maps of the published network reach that far beyond the picture: a tenth of its side.
_REACH = 1.1


@dataclass(frozen=True)
class Answer:
    """What a network makes of a batch of pictures."""

    maps: list[Tensor]  # (B, 3, S, S), half sides from the middle: the first guess to the last
    seen: Tensor | None = None  # (B, 1, S, S) logits: the picture shows the texel's skin


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

    def forward(self, image: Tensor, size: int) -> Answer:
        """(B, 3, H, H) in [0, 1] to one map of ``size`` texels a side; nothing of what is seen."""
        raw = self.decoder(self.encoder(image))
        # Depth has its origin in the head, and a face is nearer than that or not much behind.
        return Answer([positions.resized(_REACH * (2 * torch.sigmoid(raw.float()) - 1), size)])


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
    The decoder has no skips: texels are not where their pixels are. They are once there is a map:
    each `look` reads the encoder's features where the map says that its texels are, and moves them.

    Args:
        looks: how often; they share their weights, as the steps of Cas-FNE do.
    """

    grid = 4  # places a side of the features that are mixed
    mixed = 64  # channels of each

    def __init__(self, pretrained: bool = True, frozen_norms: bool = False, looks: int = 1) -> None:
        super().__init__()
        self.looks = looks
        self.encoder = EfficientNetLite0(pretrained, frozen_norms)
        deepest = self.encoder.channels[-1]
        self.motion = Motion(deepest)
        self.squeeze = pointwise(deepest, self.mixed)
        self.places = self.mixed * self.grid**2
        self.mix = nn.Sequential(nn.Linear(self.places, self.places), nn.ReLU(inplace=True))
        widths = (64, 64, 32, 32)
        self.decoder = LightDecoder(self.encoder.channels, self.mixed, 3, widths, skips="none")
        nn.init.zeros_(self.decoder.head.weight)
        if self.decoder.head.bias is not None:
            nn.init.zeros_(self.decoder.head.bias)
        self.look = Look(self.encoder.channels[1:3]) if looks else nn.Identity()

    def forward(self, image: Tensor, size: int) -> Answer:
        """(B, 3, H, H) in [0, 1] to maps of ``size`` texels a side, and what the last look saw.

        An untrained network answers with the mean head.
        """
        return self.seen(image, size)[1]

    def seen(self, image: Tensor, size: int) -> tuple[list[Tensor], Answer]:
        """The encoder's features too, which other things can be read of."""
        features = self.encoder(image)
        maps, seen = [self.first(features[-1], size)], None
        for _ in range(self.looks):
            moved, seen = self.look(features[1:3], maps[-1])
            maps.append(moved)
        return features, Answer(maps, None if seen is None else positions.resized(seen, size))

    def code(self, deepest: Tensor) -> Tensor:
        """(B, places): the encoder's deepest features, after every place has seen every other."""
        return self.mix(F.adaptive_avg_pool2d(self.squeeze(deepest), self.grid).flatten(1))

    def first(self, deepest: Tensor, size: int) -> Tensor:
        """The map (B, 3, size, size) that the encoder's deepest features make."""
        mixed = self.code(deepest).view(-1, self.mixed, self.grid, self.grid)
        offset = positions.resized(F.pixel_shuffle(self.decoder(mixed), 2).float(), size)
        shape = positions.mean_head(size).to(offset) + offset
        return self.motion(deepest, shape)


class Motion(nn.Module):
    """An affine motion of points, from what features are like as a whole; at first none."""

    #: Adam moves weights by its rate whatever they do, and these move the whole face: of hundreds
    #: of features at once, by half a picture a step. A tenth of the answer is a tenth of the step.
    strength = 0.1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(channels, 12)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        """Points (B, 3, S, S) turned, stretched and moved, about their mean."""
        numbers = self.strength * self.layer(features.mean((2, 3))).float()
        linear, moved = numbers.split((9, 3), 1)
        about = points - points.mean((2, 3), keepdim=True)
        turned = torch.einsum("bij,bjhw->bihw", linear.view(-1, 3, 3), about)
        return points + turned + moved[..., None, None]


class Look(nn.Module):
    """Where a map's texels should move, from what the picture shows at the places it gives them.

    Features of a face's point differ from those of points beside it: from its own and its
    neighbours' on the skin a small U in the layout tells how far it is off. Hidden texels read what
    hides them, and so it tells too whether skin or a hand, hair or glasses are there.

    Args:
        channels: of the features that are read.
        size: texels a side that are looked at. width: channels of a texel.
    """

    def __init__(self, channels: Sequence[int], size: int = 32, width: int = 48) -> None:
        super().__init__()
        self.size = size
        self.joined = pointwise(sum(channels) + 6, width)
        self.fine = convolution(width, width)
        self.middle = convolution(width, 64)
        self.coarse = nn.Sequential(convolution(64, 96), convolution(96, 64))
        self.up_middle = convolution(64, width)
        self.up_fine = convolution(width, width)
        self.head = nn.Conv2d(width, 3, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.motion = Motion(64)
        self.seen = nn.Conv2d(width, 1, 1)

    def forward(self, features: Sequence[Tensor], given: Tensor) -> tuple[Tensor, Tensor]:
        """The map (B, 3, S, S) `given`, moved, and (B, 1, size, size) logits that skin is seen.

        An untrained one moves nothing.
        """
        # What a look corrects is no reason to change where it looked from.
        given = given.detach()
        small = positions.resized(given, self.size)
        places = small[:, :2].permute(0, 2, 3, 1)
        read = [F.grid_sample(f.float(), places, align_corners=False) for f in features]
        mean = positions.mean_head(self.size).to(small).expand_as(small)
        fine = self.fine(self.joined(torch.cat([*read, small, mean], 1)))
        middle = self.middle(F.avg_pool2d(fine, 2))
        coarse = self.coarse(F.avg_pool2d(middle, 2))
        middle = self.up_middle(middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        fine = self.up_fine(fine + F.interpolate(middle, scale_factor=2.0, mode="nearest"))
        offset = positions.resized(self.head(fine).float(), given.shape[-1])
        return self.motion(coarse, given) + offset, self.seen(fine).float()


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
