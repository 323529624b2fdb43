"""FNR2R: coarse to fine face normals, guided by an exemplar.

Wang et al., "Face Normal Estimation from Rags to Riches", with its predecessor HFN ("Towards
High-Fidelity Face Normal Estimation", 2022). CP-Net estimates coarse normals from the grey picture
and is trained on pairs, against a discriminator. NR-Net makes fine ones from the picture: the
coarse map, the exemplar, is encoded to a vector that modulates its decoder's convolutions. It is
trained on photographs without truth, with the frozen CP-Net's maps as exemplars and as targets; as
the vector is short, it cannot copy the exemplar and has to find the detail in the picture.

The networks are in `fnr2r_networks`. Added to the paper: the concentration of an angular
distribution (Bae et al. 2021) and a face mask, from CP-Net's head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn import losses
from facerelief.nn.discriminator import DISCRIMINATORS
from facerelief.nn.vgg import VGG
from facerelief.train.systems.base import Turn, check
from facerelief.train.systems.fnr2r_networks import (
    FUSIONS,
    NORMAL_ENCODERS,
    HFNRefinement,
    LightCoarse,
    LightRefinement,
    PaperCoarse,
    PaperRefinement,
)
from facerelief.train.systems.normal_system import NormalOptions, NormalSystem
from facerelief.train.systems.outputs import Outputs, Prediction
from facerelief.train.systems.supervision import LossWeights, supervised_turns

NETWORKS = ("fnr2r", "hfn", "light")
STAGES = ("coarse", "refined")
DISTANCES = ("cosine", "smooth_l1")
_RELU1_2 = 4  # layers of VGG-19 up to it


@dataclass(frozen=True)
class FNR2RWeights(LossWeights):
    """The supervised terms are CP-Net's; the rest is NR-Net's."""

    exemplar: float = 1.0  # equation 6, against CP-Net's map
    measured: float = 0.0  # ours: the measured normals, where a sample has them
    perceptual: float = 0.0  # HFN: first features of VGG-19, of the photo and of the map


class FNR2R(NormalSystem):
    """Both networks; ``stage`` says which one is trained and answers.

    Args:
        networks: ``fnr2r``, ``hfn`` or ``light``, the compact preset's.
        stage: ``coarse`` trains CP-Net; ``refined`` trains NR-Net and leaves CP-Net as it is, which
            is why such a training starts from the checkpoint of a coarse one.
        discriminator: ``patch`` or ``self-attention``, where ``weights`` ask for one;
            discriminator_width: of its first layer.
        normal_encoder: of the exemplar: ``vgg``, ``dc`` or ``fpn`` (section V).
        fusion: how the exemplar's vector steers the decoder: ``modulated`` (equations 3 to 5),
            ``adain`` or ``cat``.
        distance: of NR-Net's map from its exemplar: ``cosine`` or HFN's ``smooth_l1``.
        warm: NR-Net begins as the CP-Net with which the training starts, and not from ImageNet
            (``light`` only, the paper's are of different kinds).
        vgg: torchvision-format VGG-19 file for the encoder ``vgg``, which is frozen with it, and
            for the perceptual loss, which needs it.
        common: see `NormalOptions`, of both networks; ``frozen_norms`` is for ``light`` ones too.

    Raises:
        ValueError: an unknown name, a perceptual loss without a file, or a warm start of networks
            of different kinds.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "networks": "fnr2r", "discriminator": "self-attention", "normal_encoder": "fpn",
            "uncertainty": False, "mask": False, "weights": {"adversarial": 1e-3},
        },
        "hfn": {
            "networks": "hfn", "discriminator": "patch", "normal_encoder": "vgg",
            "distance": "smooth_l1", "uncertainty": False, "mask": False,
            "weights": {"adversarial": 1e-3},
        },
        "compact": {
            "networks": "light", "discriminator": "self-attention", "normal_encoder": "fpn",
            "discriminator_width": 16,
            "weights": {"angular": 0.2, "mask": 0.1, "weak": 0.2},
        },
    }  # fmt: skip

    def __init__(
        self,
        networks: str,
        stage: str = "refined",
        discriminator: str = "self-attention",
        discriminator_width: int = 64,
        normal_encoder: str = "fpn",
        fusion: str = "modulated",
        distance: str = "cosine",
        warm: bool = False,
        vgg: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__()
        for what, value, valid in (
            ("networks", networks, NETWORKS),
            ("stage", stage, STAGES),
            ("discriminator", discriminator, DISCRIMINATORS),
            ("normal_encoder", normal_encoder, NORMAL_ENCODERS),
            ("fusion", fusion, FUSIONS),
            ("distance", distance, DISTANCES),
        ):
            check(what, value, valid)
        options = NormalOptions(**common)
        if (warm or options.detail) and networks != "light":
            raise ValueError("a warm start and detail need the networks 'light'")
        self.stage, self.distance, self.warm = stage, distance, warm
        self.weights = FNR2RWeights(**(options.weights or {}))
        self.exposure = options.exposure
        self.outputs = Outputs(options.uncertainty, options.mask, 2 if networks == "light" else 1)
        count = self.outputs.count
        if networks == "light":
            light = (options.detail, options.pretrained, options.frozen_norms)
            self.coarse: nn.Module = LightCoarse(count, *light)
            self.refinement: nn.Module = LightRefinement(normal_encoder, fusion, vgg, *light)
        else:
            self.coarse = PaperCoarse(count)
            refinement = PaperRefinement if networks == "fnr2r" else HFNRefinement
            self.refinement = refinement(normal_encoder, fusion, vgg)
        if stage == "coarse" and self.weights.adversarial > 0:
            self.discriminator = DISCRIMINATORS[discriminator](3, discriminator_width)
        # In a tuple, so that it is neither trained nor stored.
        self._perceptual: tuple[VGG, ...] = ()
        if stage == "refined" and self.weights.perceptual > 0:
            if vgg is None:
                raise ValueError("the perceptual loss needs a VGG-19 file: option vgg")
            self._perceptual = (VGG("vgg19", checkpoint=vgg).eval().requires_grad_(False),)
        self.train()

    def forward(self, image: Tensor) -> Prediction:
        image = self.exposed(image)
        coarse = self.outputs.interpret(self.coarse(image.mean(1, keepdim=True)))
        if self.stage == "coarse":
            return coarse
        raw = self.refinement(image, coarse.normals)
        fine = Outputs(packing=self.outputs.packing).interpret(raw)
        return Prediction(fine.normals, coarse.concentration, coarse.mask_logits, (coarse,))

    def begin(self) -> None:
        if self.warm and self.stage == "refined":
            cast(LightRefinement, self.refinement).begin_as(cast(LightCoarse, self.coarse))

    def train(self, mode: bool = True) -> FNR2R:
        super().train(mode)
        if self.stage == "refined":
            self.coarse.eval()
        return self

    def parameters_of(self, player: str) -> Iterator[nn.Parameter]:
        if player == "discriminator":
            return super().parameters_of(player)
        learning = self.coarse if self.stage == "coarse" else self.refinement
        return (parameter for parameter in learning.parameters() if parameter.requires_grad)

    def turns(self, sample: Sample) -> Iterator[Turn]:
        prediction = self(sample.image)
        if self.stage == "coarse":
            yield from supervised_turns(sample, prediction, self.weights, self.discriminator)
        else:
            yield Turn("estimator", self._refinement_terms(sample, prediction), prediction)

    def _refinement_terms(self, sample: Sample, prediction: Prediction) -> dict[str, Tensor]:
        """Photographs teach by their exemplar alone, on the face where its outline is known."""
        exemplar = prediction.earlier[0].normals.detach()
        where = sample.face_mask * sample.face_known
        if self.distance == "cosine":
            off = 1 - (prediction.normals * exemplar).sum(1, keepdim=True)
        else:
            off = F.smooth_l1_loss(prediction.normals, exemplar, reduction="none")
        terms = {"exemplar": self.weights.exemplar * losses.masked_mean(off, where)}
        if self.weights.measured:
            found = losses.cosine(prediction.normals, sample.normals, sample.measured_mask)
            terms["measured"] = self.weights.measured * found
        if self._perceptual:
            (vgg,) = self._perceptual
            vgg.to(sample.image.device)
            seen, made = (
                vgg.until(x, _RELU1_2) for x in (sample.image, prediction.normals / 2 + 0.5)
            )
            terms["perceptual"] = self.weights.perceptual * (seen - made).abs().mean()
        return terms
