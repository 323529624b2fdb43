"""Cas-FNE: cascaded face normal estimation with a shared-parameter refinement block.

Wang et al., "Cas-FNE: Cascaded Face Normal Estimation" (IEEE/CAA JAS). An initial block (encoder
E_f, decoder D_n) gives a first normal map; a cascaded block (E_cn, D_cn) encodes the last map,
fuses the code z with the image's features and decodes a better one, as often as asked, always
with the same weights. Added to the paper: the concentration of an angular distribution (Bae et al.
2021) and a face mask, from the same heads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn.dinov2 import Beside
from facerelief.nn.discriminator import PatchGAN
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.nn.light_decoder import WIDTHS, LightDecoder, strided
from facerelief.nn.modulation import AdaIN, ModulatedConv2d
from facerelief.nn.resnet import ResNet18
from facerelief.train.systems.base import Turn, check
from facerelief.train.systems.normal_system import NormalOptions, NormalSystem, outputs_on
from facerelief.train.systems.outputs import Prediction
from facerelief.train.systems.supervision import LossWeights, supervised_turns

FUSIONS = ("cat", "adain", "modulated")
MAX_STAGES = 5


class CasFNE(NormalSystem):
    """The network of either preset, its ablations as options.

    Args:
        backbone: ``resnet18`` with the paper's plain decoders or ``efficientnet-lite0`` with
            light ones.
        stages: how often the cascaded block runs, 0 to 5 (the paper's t).
        fusion: how the code z meets the image's deepest features: ``cat | adain | modulated``.
        width: d, the width that the paper's layers are multiples of (``resnet18`` only);
            widths: of the initial decoder's four blocks (``efficientnet-lite0`` only).
        transformer: add what DINOv2 sees to the encoder's features (``efficientnet-lite0`` only).
        checkpoint: torchvision-format ResNet-18 file for the encoder (``resnet18`` only).
        common: see `NormalOptions`; ``efficientnet-lite0`` is light.

    Raises:
        ValueError: an option out of range.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "backbone": "resnet18", "stages": 2, "uncertainty": False, "mask": False,
            "weights": {"adversarial": 1e-4, "total_variation": 2e-3},  # section IV.C
        },
        "compact": {
            "backbone": "efficientnet-lite0",
            "stages": 2,
            "weights": {"angular": 0.2, "mask": 0.1, "weak": 0.2},
        },
    }  # fmt: skip

    # A transformer may come later.
    optional: ClassVar[str] = NormalSystem.optional + r"|beside\."
    in_8_bits: ClassVar[str] = r"beside\.transformer\."

    def __init__(
        self,
        backbone: str,
        stages: int = 2,
        fusion: str = "cat",
        width: int = 32,
        widths: Sequence[int] = WIDTHS,
        checkpoint: str | None = None,
        transformer: bool = False,
        **common: Any,
    ) -> None:
        super().__init__()
        if transformer and backbone == "resnet18":
            raise ValueError("a transformer is for the backbone efficientnet-lite0")
        if not 0 <= stages <= MAX_STAGES:
            raise ValueError(f"stages must be 0 to {MAX_STAGES}, not {stages}")
        check("fusion", fusion, FUSIONS)
        self.stages = stages
        options = NormalOptions(**common)
        self.weights = LossWeights(**(options.weights or {}))
        self.exposure = options.exposure
        self.outputs = outputs_on(backbone, options)
        outputs = self.outputs.count
        if backbone == "resnet18":
            channels = ResNet18.channels
            self.encoder: nn.Module = ResNet18(checkpoint, options.frozen_norms)
            self.initial: PaperInitialDecoder | LightDecoder = PaperInitialDecoder(
                ResNet18.channels, width, outputs
            )
            self.cascade: PaperCascade | CompactCascade = PaperCascade(
                ResNet18.channels, width, outputs, fusion
            )
        else:
            self.encoder = EfficientNetLite0(options.pretrained, options.frozen_norms)
            channels = EfficientNetLite0.channels
            self.initial = LightDecoder(
                channels, channels[-1], outputs, widths, detail=options.detail
            )
            self.cascade = CompactCascade(channels, outputs, fusion)
        self.beside = Beside(channels, options.pretrained) if transformer else None
        if self.weights.adversarial > 0:
            self.discriminator = PatchGAN(3)

    def forward(self, image: Tensor) -> Prediction:
        image = self.exposed(image)
        seen = self.initial.seen(image)
        features = self.encoder(seen)
        if self.beside is not None:
            features = self.beside(seen, features)
        decoded = self.initial.features(features[-1], self.initial.laterals(image, features))
        raw = self.initial.head(decoded)
        prepared = self.cascade.prepare(seen, features)
        maps = [raw]
        for _ in range(self.stages):
            found = self.cascade(prepared, self.outputs.packed_normals(raw))
            raw = raw + found if self.cascade.corrects else found
            maps.append(raw)
        *guesses, final = maps
        finished = [
            *(self.initial.finished(guess, decoded) for guess in guesses),
            self.initial.finished(final, decoded, image),
        ]
        *earlier, last = (self.outputs.interpret(raw) for raw in finished)
        return Prediction(last.normals, last.concentration, last.mask_logits, tuple(earlier))

    def turns(self, sample: Sample) -> Iterator[Turn]:
        # Every loss is summed over the stages (equations 5 to 7).
        prediction = self(sample.image)
        yield from supervised_turns(sample, prediction, self.weights, self.discriminator)


class PaperInitialDecoder(nn.Module):
    """D_n (equation 4): five transposed convolutions of width d with skips, then a 3x3 head."""

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__()
        skips = channels[::-1]  # deepest first
        inputs = [skips[0], *(width + skip for skip in skips[1:])]
        self.up = nn.ModuleList(_transposed(i, width) for i in inputs)
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def seen(self, maps: Tensor) -> Tensor:
        """What the encoder looks at: all of it."""
        return maps

    def laterals(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What the image contributes: the encoder's features at strides 16, 8, 4, 2."""
        return features[-2::-1]

    def features(self, deepest: Tensor, laterals: list[Tensor]) -> Tensor:
        """(B, width, H, W), of which `head` makes the map."""
        x = self.up[0](deepest)
        for up, skip in zip(self.up[1:], laterals, strict=True):
            x = up(torch.cat([x, skip], 1))
        return x

    def finished(self, raw: Tensor, features: Tensor, image: Tensor | None = None) -> Tensor:
        """The map, which has the picture's size already."""
        return raw


class PaperCascade(nn.Module):
    """E_cn and D_cn (equation 3): the normal map's code z joins the image's features."""

    corrects: ClassVar[bool] = False  # it decodes the next map afresh

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int, fusion: str) -> None:
        super().__init__()
        d = width
        widths = (3, d, 2 * d, 4 * d, 8 * d, 8 * d)
        self.encoder = nn.Sequential(*(strided(a, b) for a, b in itertools.pairwise(widths)))
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
            *(strided(a, b) for a, b in zip(self.code[:-1], self.code[1:], strict=True))
        )
        self.fusion = Fusion(fusion, channels[-1], self.code[-1])
        self.decoder = LightDecoder(channels, self.fusion.out, outputs, (64, 48, 32, 16))
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
