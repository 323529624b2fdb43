"""The networks of FNR2R and of its predecessor HFN: CP-Net, NR-Net and what they are made of.

Where the papers' text leaves a choice, the authors' public networks (github.com/AutoHDR/FNR2R and
AutoHDR/HFFNE) tell it; the compact ones are ours.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.light_decoder import WIDTHS, LightDecoder
from facerelief.nn.modulation import AdaIN, ModulatedConv2d
from facerelief.nn.vgg import VGG

NORMAL_ENCODERS = ("vgg", "dc", "fpn")
FUSIONS = ("modulated", "adain", "cat")


class PaperCoarse(nn.Module):
    """CP-Net: pix2pix's U-Net generator (Isola et al. 2017) on the grey picture.

    Eight levels of 64 to 512 channels, dropout in the decoder's first three. Sides are multiples of
    256 pixels.
    """

    def __init__(self, outputs: int, width: int = 64) -> None:
        super().__init__()
        d = width
        widths = (1, d, 2 * d, 4 * d, 8 * d, 8 * d, 8 * d, 8 * d, 8 * d)
        last = len(widths) - 2
        # Neither the first nor the deepest level is normalised: one has no statistics to speak of.
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Identity() if level == 0 else nn.LeakyReLU(0.2),
                nn.Conv2d(a, b, 4, 2, 1),
                nn.Identity() if level in (0, last) else nn.BatchNorm2d(b),
            )
            for level, (a, b) in enumerate(pairwise(widths))
        )
        ups = (*widths[-2:0:-1], outputs)
        inputs = (widths[-1], *(2 * up for up in ups[:-1]))
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.ConvTranspose2d(i, o, 4, 2, 1),
                nn.Identity() if level == last else nn.BatchNorm2d(o),
                nn.Dropout(0.5) if level < 3 else nn.Identity(),
            )
            for level, (i, o) in enumerate(zip(inputs, ups, strict=True))
        )

    def forward(self, grey: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] to the raw map (B, outputs, H, W)."""
        x = grey
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for level in self.up[1:]:
            x = level(torch.cat([x, skips.pop()], 1))
        return x


class NormalEncoder(nn.Module):
    """F_n: an exemplar to the vector that steers NR-Net's decoder (section III.D, figure 6).

    Args:
        kind: ``fpn``: three levels that halve the map, then the mean; ``dc``: one double
            convolution and the mean; ``vgg``: HFN's, VGG-19 up to relu5_2 and convolutions.
        vector: its length; width: of ``fpn`` and ``dc``; vgg: of VGG-19's first block.
        checkpoint: torchvision-format VGG-19 file; with one that part is frozen.
    """

    def __init__(
        self,
        kind: str,
        vector: int = 256,
        width: int = 64,
        vgg: int = 64,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        self.vgg: VGG | None = None
        if kind == "vgg":
            trunk = VGG("vgg19", vgg, checkpoint)
            run = list(trunk.features.children())[:_RELU5_2]
            trunk.features = nn.Sequential(*run)
            if checkpoint is not None:
                trunk.requires_grad_(False)
            self.vgg = trunk
            c, act = trunk.channels[-1], nn.LeakyReLU(0.2)
            self.layers = nn.Sequential(
                nn.Conv2d(c, c, 4, 2, 2), act, nn.Conv2d(c, c, 3, 1, 1), act,
                nn.Conv2d(c, c, 4, 2, 2), act, nn.Conv2d(c, c, 3, 1, 1), act,
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(c, c // 2, 1), act, nn.Conv2d(c // 2, c // 2, 1), act,
                nn.Conv2d(c // 2, vector, 1),
            )  # fmt: skip
            return
        if kind == "dc":
            layers: list[nn.Module] = [_double(3, width)]
        else:
            layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(inplace=True),
                      nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)]  # fmt: skip
            for _ in range(3):
                layers += [nn.Conv2d(width, width, 5, 2, 2), nn.ReLU(inplace=True)]
                layers.append(_double(width, width))
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, vector, 1))

    def forward(self, exemplar: Tensor) -> Tensor:
        """(B, 3, H, W) unit normals to (B, vector)."""
        x = exemplar if self.vgg is None else self.vgg.until(exemplar / 2 + 0.5, _RELU5_2)
        return self.layers(x)[..., 0, 0]


_RELU5_2 = 32  # layers of VGG-19 up to it


class Steering(nn.Module):
    """How a vector steers features: modulation (equations 3 to 5), AdaIN or concatenation."""

    def __init__(self, kind: str, width: int, vector: int, kernel: int = 3) -> None:
        super().__init__()
        self.kind = kind
        if kind == "modulated":
            self.layer: nn.Module = ModulatedConv2d(width, width, vector, kernel)
        elif kind == "adain":
            self.layer = AdaIN(width, vector)
        else:
            self.layer = nn.Conv2d(width + vector, width, 1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, C, H, W) steered by (B, V) to the same shape."""
        if self.kind != "cat":
            return self.layer(x, vector)
        everywhere = vector[..., None, None].expand(-1, -1, *x.shape[2:])
        return self.layer(torch.cat([x, everywhere], 1))


class UpBlock(nn.Module):
    """Upsample, join structure channels, convolve, steer; a 1x1 shortcut beside it.

    Of the structure channels every fourth joins.
    """

    def __init__(
        self,
        width: int,
        skip: int,
        out: int,
        vector: int,
        fusion: str,
        kernel: int = 3,
        up: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.up = up or nn.Upsample(scale_factor=2.0, mode="bilinear")
        self.join = nn.Sequential(
            nn.Conv2d(width + skip // 4, out, 1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(out, out, 3, padding=1), nn.LeakyReLU(0.2, inplace=True),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(width, out, 1)
        self.steering = Steering(fusion, out, vector, kernel)

    def forward(self, x: Tensor, structure: Tensor, vector: Tensor) -> Tensor:
        x = self.up(x)
        joined = self.join(torch.cat([x, structure[:, ::4]], 1))
        return self.steering(joined, vector) + self.shortcut(x)


class PaperRefinement(nn.Module):
    """NR-Net: a VGG-13 face structure encoder, the exemplar's encoder, five steered up blocks."""

    def __init__(self, normal_encoder: str, fusion: str, vgg: str | None = None) -> None:
        super().__init__()
        vector = 256
        self.encoder = VGG("vgg13_bn")
        self.bottleneck = _double(512, 512)
        self.normal_encoder = NormalEncoder(normal_encoder, vector, checkpoint=vgg)
        outs = (512, 256, 128, 64, 64)
        self.up = nn.ModuleList(
            UpBlock(width, skip, out, vector, fusion)
            for width, skip, out in zip(
                (512, *outs[:-1]), self.encoder.channels[::-1], outs, strict=True
            )
        )
        self.last = nn.Conv2d(outs[-1], 3, 1)

    def forward(self, image: Tensor, exemplar: Tensor) -> Tensor:
        """(B, 3, H, W) picture in [0, 1] and unit normals to the raw map (B, 3, H, W)."""
        vector = self.normal_encoder(exemplar)
        *structure, deepest = self.encoder(image)
        x = self.bottleneck(deepest)
        for block, features in zip(self.up, reversed(structure), strict=True):
            x = block(x, features, vector)
        return self.last(x)


class HFNRefinement(nn.Module):
    """HFN's refinement: a U-Net of double convolutions on the grey picture, steered alike."""

    def __init__(self, normal_encoder: str, fusion: str, vgg: str | None = None) -> None:
        super().__init__()
        vector = 512
        widths = (64, 128, 256, 512, 1024)
        self.normal_encoder = NormalEncoder(normal_encoder, vector, checkpoint=vgg)
        self.first = _double(1, widths[0], 0.1)
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, a, 4, 2, 1), nn.LeakyReLU(0.1), _double(a, b, 0.1))
            for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            UpBlock(
                skip, skip, skip, vector, fusion, kernel,
                nn.ConvTranspose2d(2 * skip, skip, 2, 2),
            )
            for skip, kernel in zip(widths[-2::-1], (3, 3, 5, 5), strict=True)
        )  # fmt: skip
        self.last = nn.Sequential(
            nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(64, 3, 3, padding=1)
        )

    def forward(self, image: Tensor, exemplar: Tensor) -> Tensor:
        """(B, 3, H, W) picture in [0, 1] and unit normals to the raw map (B, 3, H, W)."""
        vector = self.normal_encoder(exemplar)
        structure = [self.first(image.mean(1, keepdim=True))]
        for down in self.down:
            structure.append(down(structure[-1]))
        x = structure.pop()
        for block in self.up:
            x = block(x, structure.pop(), vector)
        return self.last(x)


class LightCoarse(nn.Module):
    """CP-Net for CPUs: EfficientNet-Lite0 on the grey picture and a light decoder."""

    def __init__(self, outputs: int, detail: bool, pretrained: bool, frozen_norms: bool) -> None:
        super().__init__()
        self.encoder = EfficientNetLite0(pretrained, frozen_norms)
        channels = self.encoder.channels
        self.decoder = LightDecoder(channels, channels[-1], outputs, detail=detail)

    def forward(self, grey: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] to the raw map packed at stride 2."""
        image = grey.expand(-1, 3, -1, -1)
        features = self.encoder(self.decoder.seen(image))
        laterals = self.decoder.laterals(image, features)
        return self.decoder(features[-1], laterals, image=image)


class LightRefinement(nn.Module):
    """NR-Net for CPUs: EfficientNet-Lite0 as structure encoder, a light decoder that is steered.

    Its decoder is CP-Net's, so that it can begin as that (`begin_as`).
    """

    def __init__(
        self,
        normal_encoder: str,
        fusion: str,
        vgg: str | None,
        detail: bool,
        pretrained: bool,
        frozen_norms: bool,
    ) -> None:
        super().__init__()
        vector = 128
        self.encoder = EfficientNetLite0(pretrained, frozen_norms)
        first = 16 if vgg is None else 64
        self.normal_encoder = NormalEncoder(normal_encoder, vector, 16, first, vgg)
        channels = self.encoder.channels
        self.decoder = LightDecoder(channels, channels[-1], 3, detail=detail)
        self.steering = nn.ModuleList(Steering(fusion, width, vector) for width in WIDTHS)
        # Steering sets in gradually, as attention does in the discriminator.
        self.gains = nn.Parameter(torch.zeros(len(WIDTHS)))

    def forward(self, image: Tensor, exemplar: Tensor) -> Tensor:
        """(B, 3, H, W) picture in [0, 1] and unit normals to the raw map packed at stride 2."""
        vector = self.normal_encoder(F.avg_pool2d(self.decoder.seen(exemplar), 4))
        features = self.encoder(self.decoder.seen(image))
        return self.decoder(
            features[-1],
            self.decoder.laterals(image, features),
            lambda i, x: self.gains[i] * self.steering[i](x, vector),
            image,
        )

    def begin_as(self, coarse: LightCoarse) -> None:
        """Take over CP-Net's encoder, and its decoder but for what its head says beside normals."""
        self.encoder.load_state_dict(coarse.encoder.state_dict())
        taught = coarse.decoder.state_dict()
        for name in self.decoder.state_dict():
            if name.endswith(("head.weight", "head.bias")):
                taught[name] = taught[name][: self.decoder.head.out_channels]
        self.decoder.load_state_dict(taught)


def _double(width: int, out: int, slope: float = 0.0) -> nn.Sequential:
    """Twice: 3x3, batch norm, (leaky) ReLU."""
    return nn.Sequential(
        nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.LeakyReLU(slope),
        nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.LeakyReLU(slope),
    )  # fmt: skip
