"""Cross-modal face normals with deactivable skip connections.

Abrevaya et al., "Cross-modal Deep Face Normals with Deactivable Skip Connections" (CVPR 2020).
Two encoders (E_I of pictures, E_N of normals) and two decoders (D_N, D_I) share one latent space,
so that pictures without normals and normals without pictures teach too. Skips lead from E_I to D_N
and are switched off while normals are auto-encoded. Added to the paper: the concentration of an
angular distribution (Bae et al. 2021) and a face mask, from the same head.

Where the paper's text leaves a choice, the authors' public network (github.com/boukhayma/
face_normals) tells it: skips are a 1x1 convolution, and come from two convolutions at full
resolution and from strides 2 to 16 ("five ... at the output of the initial layer and of each
residual block"; the deepest block's output is the latent code itself); D_N keeps 512, 512, 256,
256, 128 channels and adds 256, 128, 64, 64, 64 for the skips; bilinear upsampling before each 3x3
convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn import losses
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.frozen_norms import unrecorded
from facerelief.nn.light_decoder import LightDecoder, strided
from facerelief.nn.resnet import ResNet18
from facerelief.nn.skips import deactivable_skip
from facerelief.train.systems.base import Turn, check
from facerelief.train.systems.normal_system import NormalOptions, NormalSystem, outputs_on
from facerelief.train.systems.outputs import Prediction
from facerelief.train.systems.supervision import LossWeights, supervised


@dataclass(frozen=True)
class Architecture:
    """Which parts there are (figure 6)."""

    skips: str  # of the normal decoder: deactivable, concatenated or none
    normal_encoder: bool
    image_decoder: bool


ARCHITECTURES = {
    "full": Architecture("deactivable", True, True),
    "without_skips": Architecture("none", True, True),
    "without_normal_encoder": Architecture("concatenated", False, True),
    "plain": Architecture("concatenated", False, False),
}


@dataclass(frozen=True)
class CrossModalWeights(LossWeights):
    """The paper sums its losses with equal weights (section 3.3)."""

    image: float = 1.0  # image to image, equation 2
    normals: float = 1.0  # normal to normal, equation 1


class CrossModal(NormalSystem):
    """The network of either preset, its ablations as options.

    Args:
        backbone: ``resnet18`` with the published decoders or ``efficientnet-lite0`` with light
            ones.
        architecture: ``full``, or an ablation of figure 6: ``without_skips``,
            ``without_normal_encoder`` (standard skips), ``plain`` (neither E_N nor D_I).
        checkpoint: torchvision-format ResNet-18 file for both encoders (``resnet18`` only).
        common: see `NormalOptions`; ``efficientnet-lite0`` is light, its detail a skip like others.

    Raises:
        ValueError: an unknown name.
    """

    #: Networks that see no picture, or make one again, are not exported.
    optional: ClassVar[str] = NormalSystem.optional + r"|(image_decoder|normal_encoder)\."
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"backbone": "resnet18", "uncertainty": False, "mask": False},
        "compact": {
            "backbone": "efficientnet-lite0",
            "weights": {"angular": 0.2, "mask": 0.1, "weak": 0.2},
        },
    }

    def __init__(
        self,
        backbone: str,
        architecture: str = "full",
        checkpoint: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__()
        check("architecture", architecture, ARCHITECTURES)
        parts = ARCHITECTURES[architecture]
        options = NormalOptions(**common)
        self.weights = CrossModalWeights(**(options.weights or {}))
        self.exposure = options.exposure
        self.outputs = outputs_on(backbone, options)
        count = self.outputs.count
        self.normal_encoder: nn.Module | None = None
        self.image_decoder: nn.Module | None = None
        if backbone == "resnet18":
            self.encoder: nn.Module = PaperEncoder(checkpoint, options.frozen_norms)
            self.normal_decoder: PaperDecoder | LightDecoder = PaperDecoder(count, parts.skips)
            if parts.normal_encoder:
                self.normal_encoder = PaperEncoder(checkpoint)
            if parts.image_decoder:
                self.image_decoder = PaperDecoder(3, "none")
        else:
            self.encoder = EfficientNetLite0(options.pretrained, options.frozen_norms)
            channels = EfficientNetLite0.channels
            self.normal_decoder = LightDecoder(
                channels, channels[-1], count, skips=parts.skips, detail=options.detail
            )
            if parts.normal_encoder:
                self.normal_encoder = LightNormalEncoder(channels[-1])
            if parts.image_decoder:
                widths = (96, 64, 48, 32)
                self.image_decoder = LightDecoder(channels, channels[-1], 3, widths, "none")

    def forward(self, image: Tensor) -> Prediction:
        image = self.exposed(image)
        return self.decode_normals(image, self.encoder(self.seen(image)))

    def seen(self, maps: Tensor) -> Tensor:
        """What the encoders look at of (B, C, H, W)."""
        return self.normal_decoder.seen(maps)

    def decode_normals(self, image: Tensor, features: list[Tensor]) -> Prediction:
        """D_N with E_I's features, the last of which is the code: skips are active."""
        laterals = None
        if self.normal_decoder.skips != "none":
            laterals = self.normal_decoder.laterals(image, features)
        return self.outputs.interpret(self.normal_decoder(features[-1], laterals, image=image))

    def autoencode_normals(self, normals: Tensor) -> Prediction:
        """Normal to normal: E_N, then D_N with its skips deactivated.

        Args:
            normals: (B, 3, H, W) unit, zero where unknown.

        Raises:
            ValueError: this architecture has no normal encoder.
        """
        if self.normal_encoder is None:
            raise ValueError("this architecture has no normal encoder")
        code = self.normal_encoder(self.seen(normals) / 2 + 0.5)[-1]
        with unrecorded(self.normal_decoder):  # photographs are what it is for
            return self.outputs.interpret(self.normal_decoder(code))

    def turns(self, sample: Sample) -> Iterator[Turn]:
        """Section 3.3: normal to normal first, then image to normal and image to image together.

        Samples with measured normals take the first turn, those with pictures the second; a batch
        of one kind (pairs, pictures only, normals only) therefore goes as the paper's do.
        """
        measured = sample.chosen(sample.measured_mask.flatten(1).any(1))
        if self.normal_encoder is not None and len(measured) and self.weights.normals:
            found = self.autoencode_normals(measured.normals)
            loss = losses.cosine(found.normals, measured.normals, measured.normals_mask)
            yield Turn("estimator", {"normals": self.weights.normals * loss})
        pictured = sample.chosen(sample.pictured)
        if not len(pictured):
            return
        pictured = replace(pictured, image=self.exposed(pictured.image))
        features = self.encoder(self.seen(pictured.image))
        prediction = self.decode_normals(pictured.image, features)
        terms = supervised(pictured, [prediction], self.weights)
        if self.image_decoder is not None and self.weights.image:
            raw = self.image_decoder(features[-1])
            picture = F.pixel_shuffle(raw, self.outputs.packing)
            off = (picture - self.seen(pictured.image)).square().sum(1, keepdim=True)
            mean = losses.masked_mean(off, self.seen(pictured.face_mask * pictured.face_known))
            terms["image"] = self.weights.image * mean
        whole = len(pictured) == len(sample)
        yield Turn("estimator", terms, prediction if whole else None)


class PaperEncoder(nn.Module):
    """E_I and E_N: two convolutions at full resolution beside a ResNet-18 trunk."""

    def __init__(self, checkpoint: str | None = None, frozen_norms: bool = False) -> None:
        super().__init__()
        self.original = nn.Sequential(_convolution(3, 64), _convolution(64, 64))
        self.trunk = ResNet18(checkpoint, frozen_norms)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] to features at strides 1, 2, 4, 8, 16, 32."""
        return [self.original(picture), *self.trunk(picture)]


class PaperDecoder(nn.Module):
    """D_N with any kind of skips; with none, D_I."""

    kept: ClassVar[tuple[int, ...]] = (512, 512, 256, 256, 128)  # at strides 16, 8, 4, 2, 1
    skipped: ClassVar[tuple[int, ...]] = (256, 128, 64, 64, 64)

    def __init__(self, outputs: int, skips: str) -> None:
        super().__init__()
        self.skips = skips
        none = (0,) * len(self.kept)
        extra = self.skipped if skips == "deactivable" else none  # made by the decoder itself
        joined = none if skips == "none" else self.skipped  # there when a block begins
        self.latent: nn.Module = nn.Identity()
        if skips != "none":
            self.latent = _convolution(512, self.kept[0] + extra[0], kernel=1)
            self.lateral = nn.ModuleList(_convolution(m, m, kernel=1) for m in self.skipped)
        inputs = [width + m for width, m in zip(self.kept, joined, strict=True)]
        outs = [*(width + m for width, m in zip(self.kept[1:], extra[1:], strict=True)), 64]
        self.blocks = nn.ModuleList(_convolution(i, o) for i, o in zip(inputs, outs, strict=True))
        self.last = nn.Conv2d(64, outputs, 1)

    def seen(self, maps: Tensor) -> Tensor:
        """What the encoders look at: all of it."""
        return maps

    def laterals(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What E_I contributes at strides 16, 8, 4, 2, 1."""
        return [conv(skip) for conv, skip in zip(self.lateral, features[-2::-1], strict=True)]

    def forward(
        self, code: Tensor, laterals: list[Tensor] | None = None, image: Tensor | None = None
    ) -> Tensor:
        """(B, 512, h, w) to (B, outputs, 32 h, 32 w); without laterals the skips are off.

        ``image`` is a light decoder's; here the skips see all of it.
        """
        x = self.latent(code)
        for index, block in enumerate(self.blocks):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
            if laterals is not None:
                skip = laterals[index]
                deactivable = self.skips == "deactivable"
                x = deactivable_skip(x, skip) if deactivable else torch.cat([x, skip], 1)
            x = block(x)
        return self.last(x)


class LightNormalEncoder(nn.Module):
    """E_N of the compact preset; it is not there when photographs are estimated."""

    def __init__(self, code: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 128)
        self.layers = nn.ModuleList(strided(a, b) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], code, 4, 2, 1)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] to the code (B, C, H / 32, W / 32), in a list as E_I's."""
        x = picture
        for layer in self.layers:
            x = layer(x)
        return [self.last(x)]


def _convolution(width: int, out: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, kernel, padding=kernel // 2), nn.ReLU(inplace=True))
