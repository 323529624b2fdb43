"""RI2ITN, the detail stage of full pose: a coarse face's relief, from its photo laid out.

"Detailed 3D face reconstruction in full pose range" (anonymous, under review), sections 3.3 and
3.4. A network reads the unwrapped photo beside the unwrapped rendering of the coarse face, and
answers with a displacement map. It learns from the photo alone: in the photo's own light the
raised face is to look as the photo does. For faces that are turned away the farther half is
replaced by the mirrored nearer one, in training of all faces, so that the network learns to tell
the one from the other; what is compared with is what the photo shows.

Beyond the paper: rendered heads teach their true relief, and the light that slopes would reflect
is told beside the two pictures. The networks are in `ri2itn_networks`, the losses in
`ri2itn_losses`; `geometry.laid_out` makes what they read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from facerelief.data.sample import Sample
from facerelief.geometry import laid_out
from facerelief.geometry.laid_out import CHANNELS
from facerelief.render.unwrapping import with_farther_half_mirrored
from facerelief.train.systems import ri2itn_losses as losses
from facerelief.train.systems.base import CROP, Deployed, System, Turn, check
from facerelief.train.systems.ri2itn_losses import Relief
from facerelief.train.systems.ri2itn_networks import (
    COMPACT_WIDTHS,
    PAPER_WIDTHS,
    RI2ITN,
    channels_of,
)

WIDTHS = {"paper": PAPER_WIDTHS, "light": COMPACT_WIDTHS}
TALLEST = 3.0  # mm, of what tanh can say


@dataclass(frozen=True)
class ReliefWeights:
    """Of the losses; zero turns one off. The defaults are Chen et al.'s."""

    photo: float = 1.0  # a_1, of values from 0 to 255 as in their code
    smoothness: float = 1.0  # a_2
    smooth_normals: float = 1.0  # b_1
    smooth_depth: float = 0.01  # b_2
    size: float = 1e-3  # a_3
    relief: float = 0.0  # of the cosine to rendered heads' true normals: not in the paper
    painted: bool = True  # whether brows, lids and lips are compared with the photo too


class ReliefSystem(System):
    """The network of either preset.

    Args:
        networks: ``paper`` or ``light``.
        passes: the paper's t, 1 to 3.
        inputs: what it reads, names of `geometry.laid_out.CHANNELS`.
        mirrored: replace the farther half, as section 3.4 says: the second phase.
        packed: see `RI2ITN`.
        weights: see `ReliefWeights`.

    Raises:
        ValueError: an option out of range.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"networks": "paper", "inputs": ("photo", "rendering"), "packed": 1},
        "compact": {
            "networks": "light",
            "weights": {"photo": 0.1, "smoothness": 5.0, "size": 0.02, "relief": 300.0,
                        "painted": False},
        },
    }  # fmt: skip

    def __init__(
        self,
        networks: str,
        passes: int = 2,
        inputs: tuple[str, ...] = tuple(CHANNELS),
        mirrored: bool = False,
        packed: int = 2,
        weights: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check("networks", networks, WIDTHS)
        if not 1 <= passes <= 3:
            raise ValueError(f"passes must be 1 to 3, not {passes}")
        for name in inputs:
            check("input", name, CHANNELS)
        self.weights = ReliefWeights(**(weights or {}))
        self.mirrored = mirrored
        self.channels = channels_of(inputs)
        self.network = RI2ITN(len(self.channels), WIDTHS[networks], passes, packed)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 9, S, S), `CHANNELS`, to displacements (B, 1, S, S) in mm, outwards."""
        return self.told(with_mirror(image) if self.mirrored else image)

    def told(self, image: Tensor) -> Tensor:
        """The same of maps as they are."""
        return TALLEST * self.network(image[:, self.channels])

    def turns(self, sample: Sample) -> Iterator[Turn]:
        """Raises ValueError for samples that are not laid out."""
        weights, layouts = self.weights, sample.need_layouts()
        relief = Relief(self(sample.image), layouts)
        photo, rendering = sample.image[:, :3], sample.image[:, 3:6]
        counted = losses.texel_weights(sample.face_mask, layouts, weights.painted)
        terms = {
            "photo": 255
            * weights.photo
            * losses.photo_loss(relief.drawn(rendering), photo, counted).mean(),
            "smoothness": weights.smoothness
            * losses.smoothness(relief, weights.smooth_normals, weights.smooth_depth),
            "size": weights.size * losses.size(relief),
        }
        if weights.relief:
            terms["relief"] = weights.relief * losses.relief_loss(
                relief, sample.normals, sample.normals_mask
            )
        yield Turn("estimator", terms)

    @torch.no_grad()
    def metrics(self, sample: Sample, prediction: Tensor) -> dict[str, Tensor]:
        """``photo`` and, of the coarse face, ``photo_coarse``: in steps of 255, over seen skin.

        ``error`` and ``error_coarse``: degrees to the true normals, of renderings.
        """
        layouts, figures = sample.need_layouts(), {}
        coarse = Relief(torch.zeros_like(prediction), layouts)
        counted = losses.texel_weights(sample.face_mask, layouts, painted=False)
        known = sample.normals_mask[:, 0]
        for name, one in (("", Relief(prediction, layouts)), ("_coarse", coarse)):
            drawn = one.drawn(sample.image[:, 3:6])
            figures[f"photo{name}"] = 255 * losses.photo_loss(drawn, sample.image[:, :3], counted)
            cosine = (one.normals * sample.normals).sum(1).clamp(-1, 1)
            angles = torch.rad2deg(torch.acos(cosine)) * known
            total = known.sum((1, 2))
            figures[f"error{name}"] = torch.where(
                total > 0, angles.sum((1, 2)) / total.clamp_min(1), torch.nan
            )
        return figures

    def sheet(self, sample: Sample) -> list[Tensor]:
        """Photo, rendering, and coarse, detailed and true normals."""
        relief = Relief(self(sample.image), sample.need_layouts())
        rows = [sample.image[:, :3], sample.image[:, 3:6]]
        maps = (relief.layouts.normals, relief.normals, sample.normals)
        return rows + [(normals + 1) / 2 * (sample.face_mask > 0) for normals in maps]

    def deployed(self, size: int = CROP) -> DeployedRelief:
        return DeployedRelief(self, size)


class DeployedRelief(Deployed):
    """``displacement`` (N, 256, 256) mm of maps (N, 256, 256, 9), `geometry.laid_out` has them.

    What is mirrored before, and what not, the caller decides.
    """

    kind = "relief"
    reads = "maps"
    outputs = ("displacement",)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        system = self.system
        assert isinstance(system, ReliefSystem)
        return (system.told(crops.permute(0, 3, 1, 2))[:, 0],)

    def example(self) -> Tensor:
        return torch.zeros(2, laid_out.SIZE, laid_out.SIZE, sum(CHANNELS.values()))


def with_mirror(maps: Tensor) -> Tensor:
    """Maps (B, 9, S, S) whose farther half is the mirrored nearer one.

    A slope to the right is one to the left then.
    """
    slope, seen = channels_of(["slopes"])[0], channels_of(["visible"])[0]
    size = maps.shape[-1]
    side = torch.where(torch.arange(size, device=maps.device) < size // 2, -1.0, 1.0)
    signs = torch.ones(maps.shape[1], 1, size, device=maps.device)
    signs[slope] = side
    return signs * with_farther_half_mirrored(signs * maps, maps[:, seen]).texels
