"""Pictures of estimated faces: as photos show them, and turned far for the network to learn from.

The self-augment mechanism (equations 2 to 4): the estimate is drawn in a published set of poses,
and what the network says of these pictures joins what it says of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.face_model import face_model
from facerelief.render.drawing import Drawing, Pinhole, draw
from facerelief.train.systems.full_pose_losses import to_light, to_values
from facerelief.train.systems.full_pose_model import Camera, Coefficients, Points, mean_scale
from facerelief.types import CROP_MARGIN


@dataclass(frozen=True)
class PoseSet:
    """Where the self-augment mechanism turns faces to."""

    yaw: tuple[float, ...]  # degrees, positive to the picture's right
    pitch: tuple[float, ...]  # degrees, positive downwards

    def __len__(self) -> int:
        return len(self.yaw)

    def some(self, count: int) -> PoseSet:
        """So many of them, drawn anew each time; 0 for all."""
        if not 0 < count < len(self):
            return self
        chosen = torch.randperm(len(self))[:count].tolist()
        return PoseSet(tuple(self.yaw[i] for i in chosen), tuple(self.pitch[i] for i in chosen))

    @property
    def rotations(self) -> Tensor:
        """(n, 3, 3) head space to camera space."""
        yaw, pitch = (torch.deg2rad(torch.tensor(a)) for a in (self.yaw, self.pitch))
        none, one = torch.zeros_like(yaw), torch.ones_like(yaw)
        cos, sin = yaw.cos(), yaw.sin()
        about_y = torch.stack([cos, none, sin, none, one, none, -sin, none, cos], -1)
        cos, sin = pitch.cos(), pitch.sin()
        about_x = torch.stack([one, none, none, none, cos, -sin, none, sin, cos], -1)
        return about_y.view(-1, 3, 3) @ about_x.view(-1, 3, 3)


# Printed are yaws of 10 (6 + i / 4) degrees for i of 0 to 25, negative up to 12: taken literally
# the positive ones run from 92.5 to 122.5. We read i as beginning anew with the sign: 60 to 90.
_SIDE = tuple(10 * (6 + i / 4) for i in range(13))
# The second set is printed with half of its cases missing. What is there makes i = 1 to 8 a ring
# round the frontal view 0: yaw -45 for 2 to 4, none for 0, 1, 5, so 45 for 6 to 8; pitch 45 for
# 1, 2, 8, none for 0, 3, 7, so -45 for 4 to 6; no roll.
_RING_YAW = (0, 0, -45, -45, -45, 0, 45, 45, 45)
_RING_PITCH = (0, 45, 45, 0, -45, -45, -45, 0, 45)
SETS = {
    "set1": PoseSet(tuple(-a for a in _SIDE) + _SIDE, (0.0,) * 26),
    "set2": PoseSet(tuple(map(float, _RING_YAW)), tuple(map(float, _RING_PITCH))),
}
#: How the coefficients of all pictures become one: added up, as equation 4 has it, or their mean.
COMBINATIONS = ("sum", "mean")


class Pictures(nn.Module):
    """The face model as the differentiable renderer draws it."""

    colours: Tensor
    basis: Tensor
    triangles: Tensor
    skin: Tensor

    def __init__(self) -> None:
        super().__init__()
        head, (mean, components) = drawn_head(), albedo_basis().at_vertices
        self.points = Points.at_vertices(np.arange(head.count))
        for name, values in (
            ("colours", mean[: head.count].reshape(-1)),
            ("basis", components[:, : head.count].reshape(len(components), -1)),
            ("triangles", head.triangles.astype(np.int64)),
            ("skin", np.asarray(head.skin)),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        landmarks = face_model().landmarks.astype(np.int64)
        self.landmarks = Points.at_vertices(landmarks)

    def albedo(self, told: Coefficients) -> Tensor:
        """(B, V, 3) linear, of the drawn head's vertices."""
        values = torch.addmm(self.colours, told.albedo, self.basis)
        return to_light(values.clamp(1e-3, 1)).view(len(values), -1, 3)

    def forward(
        self, told: Coefficients, identity: Tensor, weights: Tensor, size: int
    ) -> tuple[Tensor, Drawing]:
        """Faces of `identity` (B, K) and `weights` (B, E) with what `told` says of all else.

        Pictures (B, 3, size, size), values as of a file, and what they are drawn of.
        """
        return self._drawn(self.points(identity, weights), told, told.camera, size)

    @torch.no_grad()
    def turned(self, told: Coefficients, poses: PoseSet, size: int) -> Tensor:
        """Equation 3: (n B, 3, size, size), all of a batch in the first pose, and so on.

        The published displacements keep a turned face in the middle of the paper's frame. We cut
        these pictures as faces are cut of photos, by their landmarks, which does the same.
        """
        points = self.points(told.identity, told.weights)
        marks = self.landmarks(told.identity, told.weights)
        seen = told.camera
        made = []
        for rotation in poses.rotations.to(points):
            camera = framed(
                marks,
                Camera(
                    rotation.expand(len(points), 3, 3),
                    torch.zeros_like(seen.origin),
                    torch.full_like(seen.scale, mean_scale()),
                    seen.distance,
                ),
            )
            made.append(self._drawn(points, told, camera, size)[0])
        return torch.cat(made)

    def _drawn(
        self, points: Tensor, told: Coefficients, camera: Camera, size: int
    ) -> tuple[Tensor, Drawing]:
        half = size / 2
        pinhole = Pinhole(
            camera.scale * camera.distance * half, torch.full_like(camera.origin, half)
        )
        space = points @ camera.rotation.mT + camera.translation[:, None]
        drawing = draw(
            space, self.triangles, pinhole, (size, size), told.harmonics, albedo=self.albedo(told)
        )
        return to_values(drawing.image) * drawing.mask[:, None], drawing


def framed(points: Tensor, camera: Camera) -> Camera:
    """A camera that shows landmarks (B, 68, 3) as crops are cut: centred, with the usual margin."""
    for _ in range(2):  # moving a head aside turns it a little to the camera
        seen = camera(points)[..., :2]
        low, high = seen.amin(1), seen.amax(1)
        grown = 2 / (CROP_MARGIN * (high - low).amax(1))
        camera = replace(
            camera,
            scale=camera.scale * grown,
            origin=(camera.origin - (low + high) / 2) * grown[:, None],
        )
    return camera


def combined(photos: Coefficients, turned: Coefficients, how: str) -> tuple[Tensor, Tensor]:
    """Equation 4: identity (B, K) and expression weights (B, E) of photos and of turned faces.

    Args:
        turned: of (n B) pictures, as `Pictures.turned` orders them.
        how: of `COMBINATIONS`. The pose is the photo's own: equation 5 makes a face without one.
    """

    def of_all(own: Tensor, others: Tensor) -> Tensor:
        every = torch.cat([own[None], others.unflatten(0, (-1, len(own)))])
        return every.sum(0) if how == "sum" else every.mean(0)

    return (
        of_all(photos.identity, turned.identity),
        of_all(photos.weights, turned.weights),
    )
