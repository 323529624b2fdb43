"""Eyes, brows and mouth seen from close by: what they say of expressions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.heads import mirror_order
from facerelief.geometry.face_model import face_model
from facerelief.nn.light_decoder import convolution, strided
from facerelief.train.systems.full_pose_model import Coefficients, Points

_SIZE = 32  # samples a side of a close-up
_CODE = 48  # numbers that one of them becomes
_WIDTH = 128


@dataclass(frozen=True)
class _Spot:
    """What a close-up shows: a square before the face, its middle among some of 68 landmarks."""

    landmarks: tuple[int, ...]
    side: float  # mm
    up: float = 0.0  # mm, from those landmarks' middle


# The subject's right eye comes first in the scheme, and in pictures of people who face us.
_RIGHT_EYE = _Spot(tuple(range(36, 42)), 58, 8)
_LEFT_EYE = _Spot(tuple(range(42, 48)), 58, 8)
_MOUTH = _Spot(tuple(range(48, 68)), 84, -4)


class CloseUps(nn.Module):
    """Changes the expressions of given coefficients by pictures of both eyes and the mouth.

    A whole head's features are too coarse for lids: a closed eye differs from an open one by a few
    pixels. The close-ups are cut where the given face has its eyes and mouth, straightened by its
    pose, and freed of their exposure. What they say of the subject's right half is read of the
    right eye and the mouth, and of the left half by the same layers of their mirror images; what
    has no side is the mean of both. An untrained one changes nothing.
    """

    right: Tensor
    left: Tensor

    def __init__(self) -> None:
        super().__init__()
        landmarks = face_model().landmarks.astype(np.int64)
        self.spots = [_RIGHT_EYE, _LEFT_EYE, _MOUTH]
        self.points = nn.ModuleList(
            Points.at_vertices(landmarks[list(spot.landmarks)]) for spot in self.spots
        )
        self.eye, self.mouth = _reader(), _reader()
        names = face_model().expression_names
        with torch.device("cpu"):  # also where a network without memory is asked for
            others = mirror_order()
            sided = [i for i, name in enumerate(names) if others[i] != i and "Right" in name]
            right = torch.tensor(sided)
        self.register_buffer("right", right, persistent=False)
        self.register_buffer("left", others[right], persistent=False)
        told = nn.Linear(_WIDTH, len(names))
        nn.init.zeros_(told.weight)
        nn.init.zeros_(told.bias)
        self.told = nn.Sequential(nn.Linear(2 * _CODE, _WIDTH), nn.ReLU(inplace=True), told)

    def forward(self, image: Tensor, given: Coefficients) -> Coefficients:
        """`given`, its expressions changed by what (B, 3, H, H) in [0, 1] shows of it."""
        fixed = given.detach()
        change = self.change(self.cut(image, fixed))
        return replace(given, expression=fixed.expression + change)

    def cut(self, image: Tensor, given: Coefficients) -> Tensor:
        """(B, 3, 3, 32, 32): right eye, left eye and mouth, as `seen` shows them."""
        cuts = [
            self.seen(image, given, spot, points)
            for spot, points in zip(self.spots, self.points, strict=True)
        ]
        return torch.stack(cuts, 1)

    def change(self, cuts: Tensor) -> Tensor:
        """(B, E) added logits, of what `cut` gives."""
        right, left, mouth = cuts.unbind(1)
        eyes = self.eye(torch.stack([right, left.flip(-1)], 1).flatten(0, 1))
        mouths = self.mouth(torch.stack([mouth, mouth.flip(-1)], 1).flatten(0, 1))
        halves = self.told(torch.cat([eyes, mouths], 1)).float().unflatten(0, (-1, 2))
        mean = halves.mean(1)
        sided = halves[:, :, self.right]
        return mean.index_copy(1, self.right, sided[:, 0]).index_copy(1, self.left, sided[:, 1])

    def seen(self, image: Tensor, given: Coefficients, spot: _Spot, points: nn.Module) -> Tensor:
        """(B, 3, 32, 32): a close-up, its mean zero and its contrast one."""
        middle = points(given.identity, given.weights).mean(1)
        grid = _square(spot.side, spot.up).to(middle)
        # The square is a plane across the head's own axis, which its pose turns with the face.
        places = given.camera(middle[:, None] + grid)[..., :2]
        cut = F.grid_sample(
            image.float(), places.view(-1, _SIZE, _SIZE, 2), padding_mode="border",
            align_corners=False,
        )  # fmt: skip
        cut = cut - cut.mean((1, 2, 3), keepdim=True)
        contrast = cut.square().mean((1, 2, 3), keepdim=True)
        return cut / torch.sqrt(contrast + 1e-3)


def _reader() -> nn.Sequential:
    """(B, 3, 32, 32) to (B, _CODE)."""
    return nn.Sequential(
        convolution(3, 16), strided(16, 24), convolution(24, 24), strided(24, 48),
        convolution(48, 48), strided(48, 24), nn.Flatten(), nn.Linear(24 * 16, _CODE),
        nn.ReLU(inplace=True),
    )  # fmt: skip


def _square(side: float, up: float) -> Tensor:
    """(S * S, 3) mm: offsets of a square's samples from its middle, row by row from above."""
    steps = ((np.arange(_SIZE) + 0.5) / _SIZE - 0.5) * side
    x, y = np.meshgrid(steps, up - steps)
    return torch.from_numpy(np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)).float()
