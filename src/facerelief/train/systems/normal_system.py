"""Systems that estimate normals: their prediction, and how it is judged, shown and exported."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from facerelief.data.sample import Sample
from facerelief.nn import losses
from facerelief.nn.exposure import exposed
from facerelief.train.systems.base import CROP, Deployed, System, check
from facerelief.train.systems.outputs import Outputs, Prediction

BACKBONES = ("resnet18", "efficientnet-lite0")
_WHITE = 40  # degrees of error that a sheet shows as white


@dataclass(frozen=True)
class NormalOptions:
    """What every system of normals can be asked for; its own options are beside these.

    Args:
        detail: look at the picture at half its size, and add detail from the full one at the end
            (light networks only).
        uncertainty, mask: whether the head carries the two outputs that the papers have not.
        weights: of the losses.
        pretrained: start from the ImageNet weights in the wheel (light networks only).
        frozen_norms: keep the picture encoder's batch norms at their pretrained statistics.
        exposure: log-average luma that every picture is brought to before it is looked at
            (`nn.exposure`); 0 leaves pictures as they are.
    """

    detail: bool = False
    uncertainty: bool = True
    mask: bool = True
    weights: Mapping[str, float] | None = None
    pretrained: bool = True
    frozen_norms: bool = False
    exposure: float = 0.0


class NormalSystem(System):
    """A system whose answer is a `Prediction`, as ``outputs`` reads it off a layer."""

    outputs: Outputs
    exposure: float = 0.0
    blank: ClassVar[dict[str, Any]] = {"pretrained": False}
    optional: ClassVar[str] = System.optional + r"|(.*\.)?detail\."  # which comes later

    def exposed(self, image: Tensor) -> Tensor:
        """Pictures as the network looks at them."""
        return exposed(image, self.exposure) if self.exposure else image

    @abstractmethod
    def forward(self, image: Tensor) -> Prediction:
        """(B, 3, H, W) RGB in [0, 1] to a `Prediction`; H and W are multiples of 32."""

    @torch.no_grad()
    def metrics(self, sample: Sample, prediction: Prediction) -> dict[str, Tensor]:
        """Per-sample (B,) figures for validation; NaN where a sample has no truth for one."""
        figures = {
            f"error_stage{index}": _mean_error(stage.normals, sample)
            for index, stage in enumerate(prediction.earlier)
        }
        figures["error"] = _mean_error(prediction.normals, sample)
        if prediction.concentration is not None:
            expected = torch.rad2deg(losses.expected_angle(prediction.concentration))
            figures["expected_error"] = _per_sample_mean(expected, sample.normals_mask)
        if prediction.mask_logits is not None:
            figures["mask_iou"] = _mask_iou(prediction.mask_logits > 0, sample)
        return figures

    def sheet(self, sample: Sample) -> list[Tensor]:
        """Photo, estimate, truth, error (black 0, white 40 degrees), expected error, mask."""
        prediction = self(sample.image)
        truth, known = sample.normals, sample.normals_mask
        error = torch.rad2deg(losses.angle(prediction.normals, truth)) / _WHITE * known
        rows = [sample.image, (prediction.normals + 1) / 2, (truth + 1) / 2 * known, error]
        if prediction.concentration is not None:
            rows.append(torch.rad2deg(losses.expected_angle(prediction.concentration)) / _WHITE)
        if prediction.mask_logits is not None:
            rows.append(prediction.mask_logits.sigmoid())
        return rows

    def deployed(self, size: int = CROP) -> DeployedNormals:
        return DeployedNormals(self, size)


class DeployedNormals(Deployed):
    """Normals, mask and, if there is one, expected error; enlarged to the crops' size."""

    kind = "normals"

    def __init__(self, system: NormalSystem, size: int = CROP) -> None:
        super().__init__(system, size)
        self.outputs = ("normals", "mask")
        if system.outputs.uncertainty:
            self.outputs += ("expected_error",)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        prediction = self.system(self.pictures(crops))
        normals = losses.normalize(self._enlarged(prediction.normals)).permute(0, 2, 3, 1)
        if prediction.mask_logits is None:
            mask = torch.ones_like(normals[..., 0])
        else:
            mask = self._enlarged(prediction.mask_logits)[:, 0].sigmoid()
        if prediction.concentration is None:
            return normals, mask
        concentration = self._enlarged(prediction.concentration)[:, 0]
        return normals, mask, torch.rad2deg(losses.expected_angle(concentration))

    def _enlarged(self, maps: Tensor) -> Tensor:
        if self.factor == 1:
            return maps
        return F.interpolate(maps, scale_factor=float(self.factor), mode="bilinear")


def outputs_on(backbone: str, options: NormalOptions) -> Outputs:
    """Of a network on ``resnet18`` or ``efficientnet-lite0``.

    Raises ValueError for another backbone, and for detail on the first.
    """
    check("backbone", backbone, BACKBONES)
    if options.detail and backbone == "resnet18":
        raise ValueError("detail is for the backbone efficientnet-lite0")
    return Outputs(options.uncertainty, options.mask, 1 if backbone == "resnet18" else 2)


def _mean_error(normals: Tensor, sample: Sample) -> Tensor:
    error = torch.rad2deg(losses.angle(normals.float(), sample.normals))
    return _per_sample_mean(error, sample.normals_mask)


def _per_sample_mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum((1, 2, 3))
    return (values * weight).sum((1, 2, 3)) / torch.where(total > 0, total, torch.nan)


def _mask_iou(mask: Tensor, sample: Sample) -> Tensor:
    truth, known = sample.face_mask > 0.5, sample.face_known > 0.5
    both = (mask & truth & known).sum((1, 2, 3))
    either = ((mask | truth) & known).sum((1, 2, 3))
    return both / torch.where(either > 0, either, torch.nan)
