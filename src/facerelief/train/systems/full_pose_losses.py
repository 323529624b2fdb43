"""What rendered heads, of which everything is known, teach of coefficients."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data.sample import Sample
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.face_model import face_model
from facerelief.geometry.mesh import vertex_normals
from facerelief.render.shading import shade_sh
from facerelief.train.systems.full_pose_model import (
    Coefficients,
    Compared,
    Points,
    mean_scale,
)

_GAMMA = 2.2  # exponent from the values of files to light, about
_LIT = 32  # pixels a side of what light is compared in: it is smooth
_FACING = 0.3  # cosine to the camera, above which the skin's colour is read
_NEAR = 0.02  # half sides, below which distances count by their squares


class PointLosses(nn.Module):
    """How far a face is from a true one, at its landmarks and vertices and in the head's shape."""

    weights: Tensor
    energies: Tensor

    def __init__(self) -> None:
        super().__init__()
        compared = Compared.of_face()
        self.points = Points.at_vertices(compared.vertices)
        self.register_buffer("weights", compared.weights, persistent=False)
        count = len(self.points.mean) // 3
        squares = self.points.basis.view(-1, count, 3)[:, 68:].square().sum(-1).mean(-1)
        self.register_buffer("energies", squares, persistent=False)

    def seen(self, told: Coefficients, size: int | None = None) -> Tensor:
        """(B, n, 3) where they put the vertices, as `data.sample.Shapes` has positions.

        Args:
            size: of a map, texels a side, from which they are as if they had been read.
        """
        points = self.points if size is None else _as_read(size).to(told.identity.device)
        return told.camera(points(told.identity, told.weights))

    def apart(self, told: Coefficients, sample: Sample) -> tuple[Tensor, Tensor]:
        """Mean distances of the vertices in space, and of the landmarks in the picture."""
        shapes = sample.need_shapes()
        true = Compared.of_face().read(shapes.position)
        off = self.seen(told, shapes.position.shape[-1]) - true
        # A mean over the batch, not over what is known of it: a batch of guesses teaches less.
        in_space = (robust(off) * self.weights).sum(1) * shapes.known
        flat = robust(off[:, :68, :2]).mean(1) * shapes.known
        return in_space.mean(), flat.mean()

    def shape(self, told: Coefficients, sample: Sample) -> Tensor:
        """Distance of faces at rest, root of the mean square over the face, in half sides."""
        heads = sample.need_heads()
        count = told.identity.shape[1]
        off = (told.identity - heads.identity).square() @ self.energies[:count]
        return mean_scale() * (torch.sqrt(off + 1e-2) * heads.known).mean()


@lru_cache(maxsize=2)
def _as_read(size: int) -> Points:
    return Points.as_read(size)


def robust(off: Tensor) -> Tensor:
    """Length of vectors (..., C), but its square over twice `_NEAR` and more where it is less."""
    squared = off.square().sum(-1)
    length = torch.sqrt(squared + 1e-12)
    return torch.where(length < _NEAR, squared / (2 * _NEAR), length - _NEAR / 2)


def expression_loss(told: Coefficients, sample: Sample) -> Tensor:
    """Relative entropy of the weights, each taken as a probability, summed over a tenth of them.

    Its slope in the logits is the difference of the weights. That of a squared difference vanishes
    with the weight, so that expressions which faces seldom have would never be learnt.
    """
    heads = sample.need_heads()
    true = heads.expression
    off = F.binary_cross_entropy_with_logits(told.expression, true, reduction="none")
    least = -torch.xlogy(true, true) - torch.xlogy(1 - true, 1 - true)
    return ((off - least).sum(1) * heads.known).mean() / 5


def distance_loss(told: Coefficients, sample: Sample, nearest: float) -> Tensor:
    """Squared difference of the nearness of the camera."""
    heads = sample.need_heads()
    true = nearest / heads.distance.clamp_min(nearest)
    return ((torch.sigmoid(told.place[:, 3]) - true).square() * heads.known).mean()


def light_loss(told: Coefficients, sample: Sample) -> Tensor:
    """How far true albedo in the light that is told is from the picture, over the visible face.

    That is the light which exposure, white balance and whatever a picture went through left of it.
    """
    heads = sample.need_heads()
    factor = max(1, sample.image.shape[-1] // _LIT)
    known = sample.measured_mask * heads.known.view(-1, 1, 1, 1)
    # Pixels that are face through and through: means of others mix it with what is beside it.
    mask = (F.avg_pool2d(known, factor) > 0.99).float()
    image = F.avg_pool2d(sample.image, factor)
    albedo = F.avg_pool2d(to_light(heads.albedo), factor)
    normals = F.normalize(F.avg_pool2d(sample.normals, factor), dim=1)
    lit = shade_sh(normals.permute(0, 2, 3, 1), told.harmonics).permute(0, 3, 1, 2)
    off = (to_values(lit * albedo) - image).abs().mean(1, keepdim=True)
    return (off * mask).sum() / (_LIT**2 * 0.3 * len(sample))


class AlbedoLoss(nn.Module):
    """How far colours of the skin are from true ones, where the picture shows them."""

    mean: Tensor
    basis: Tensor
    normals: Tensor

    def __init__(self) -> None:
        super().__init__()
        chosen = Compared.of_face().vertices[68:]
        mean, components = albedo_basis().at_vertices
        model = face_model()
        facing = vertex_normals(model.mean, model.triangles)[chosen].astype(np.float32)
        for name, values in (
            ("mean", mean[chosen].reshape(-1)),
            ("basis", components[:, chosen].reshape(len(components), -1)),
            ("normals", facing),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, told: Coefficients, sample: Sample) -> Tensor:
        """Mean absolute difference of sRGB values."""
        heads = sample.need_heads()
        colours = torch.addmm(self.mean, told.albedo, self.basis).view(len(sample), -1, 3)
        places = Compared.of_face().read(sample.need_shapes().position)[:, None, 68:, :2]
        seen = [
            F.grid_sample(x, places, align_corners=False)[:, :, 0].mT
            for x in (heads.albedo, sample.measured_mask)
        ]
        # Of what a face hides of itself, nearly all is turned away.
        camera = told.camera
        facing = ((self.normals @ camera.rotation.detach().mT) * camera.ray.detach()[:, None]).sum(
            -1
        )
        shown = (seen[1][..., 0] > 0.99) & (facing > _FACING) & heads.known[:, None]
        off = (colours - seen[0]).abs().mean(-1)
        return (off * shown).sum() / (0.3 * shown.numel())


def to_light(values: Tensor) -> Tensor:
    """Linear light of the values of a file, about."""
    return values.clamp_min(0) ** _GAMMA


def to_values(light: Tensor) -> Tensor:
    """Inverse of `to_light`; what no light reaches has a slope too."""
    return F.softplus(light, 80).clamp_min(1e-4) ** (1 / _GAMMA)
