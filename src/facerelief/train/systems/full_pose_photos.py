"""What photographs teach of coefficients: equations 14 to 18."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.data.sample import Sample
from facerelief.nn.efficientnet_lite import EfficientNetLite0
from facerelief.train.systems.full_pose_drawing import Pictures
from facerelief.train.systems.full_pose_losses import PointLosses
from facerelief.train.systems.full_pose_model import Coefficients


@dataclass(frozen=True)
class PhotoWeights:
    """Of what photographs teach. Landmarks are measured in tenths of half a picture."""

    photo: float = 1.0  # w1
    landmarks: float = 0.5  # w2
    identity: float = 0.8  # w3
    shape: float = 3e-3  # w4 times that of the shape
    expression: float = 1e-2  # and that of the expression
    albedo: float = 1e-3  # Chen et al. hold the texture back, too


class PhotoLosses(nn.Module):
    """How far a drawn face is from a photograph.

    The features of the perceptual term are those of EfficientNet-Lite0, trained on ImageNet, as the
    paper's are VGG-16's: what can be had offline and without a licence that binds. They know
    textures and parts rather than persons.
    """

    def __init__(self, weights: PhotoWeights) -> None:
        super().__init__()
        self.weights = weights
        self.pictures = Pictures()
        # Not a part of what is trained or stored.
        self._features = [EfficientNetLite0(pretrained=True, frozen_norms=True).eval()]

    def forward(
        self,
        told: Coefficients,
        identity: Tensor,
        weights: Tensor,
        sample: Sample,
        compared: PointLosses,
    ) -> dict[str, Tensor]:
        """Weighted terms of faces of `identity` and `weights` with what `told` says of all else."""
        size = sample.image.shape[-1]
        picture, drawing = self.pictures(told, identity, weights, size)
        shown = drawing.shows(self.pictures.skin)[:, None] & (sample.face_mask > 0.5)
        marks = told.camera(compared.points(identity, weights)[:, :68])
        own = self.weights
        return {
            "photo": own.photo * photo_loss(picture, sample.image, shown),
            "marks": own.landmarks * landmark_loss(marks, sample),
            "features": own.identity * self.apart(picture, sample.image, shown),
            "prior": own.shape * identity.square().sum(1).mean()
            + own.expression * weights.square().sum(1).mean()
            + own.albedo * told.albedo.square().sum(1).mean(),
        }

    def apart(self, picture: Tensor, image: Tensor, shown: Tensor) -> Tensor:
        """Equation 17: squared distance of unit features of what both show of the face."""
        (network,) = self._features
        for parameter in network.to(picture.device).parameters():
            parameter.requires_grad_(False)

        def features(pixels: Tensor) -> Tensor:
            return F.normalize(network(pixels * shown)[-1].mean((2, 3)), dim=1)

        with torch.no_grad():
            wanted = features(image)
        return (features(picture) - wanted).square().sum(1).mean()


def photo_loss(picture: Tensor, image: Tensor, shown: Tensor) -> Tensor:
    """Equation 15: mean distance of colours over the pixels (B, 1, H, W) that are shown."""
    off = torch.sqrt((picture - image).square().sum(1, keepdim=True) + 1e-6)
    each = (off * shown).sum((1, 2, 3)) / shown.sum((1, 2, 3)).clamp_min(1)
    return each.mean()


def landmark_loss(marks: Tensor, sample: Sample) -> Tensor:
    """Equation 16, in tenths of half a picture, over landmarks (B, 68, 3) that are known."""
    shapes = sample.need_shapes()
    true, known = shapes.points[:, :68], shapes.points_known[:, :68, 0]
    mapped = shapes.known[:, None].expand_as(known)
    read = positions.landmarks(shapes.position)
    # Of photos that heads were fitted to, maps; of others points.
    true = torch.where(mapped[..., None] > 0, read, true)
    trust = torch.where(mapped > 0, mapped, known)
    off = 100 * (marks - true)[..., :2].square().sum(-1)
    return ((off * trust).sum(1) / trust.sum(1).clamp_min(1e-6)).mean()
