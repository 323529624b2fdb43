"""Coefficients of a position map: the most likely face that lies where it says."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.face_model import face_model
from facerelief.train.systems.full_pose_model import NEAREST, Coefficients, Points, mean_scale

_NOISE = 2.0  # mm, what a map's texels are off by, and do not share with their neighbours
_ALIKE = 30.0  # texels that err alike
_EXPRESSION = 0.12  # standard deviation of the weights of expressions
_WEIGHT = 0.04  # and their mean
_DISTANCE = 1000.0  # mm to a camera of which nothing is known
_ROUNDS = 8  # of the polar decomposition
_LEAST = 0.02  # weight of an expression, since its logit is told


class Fit(nn.Module):
    """The pose that lays the mean face on a map, and the coefficients that explain what is left.

    Turn, size and place follow from the map's covariance with the mean face (its polar factor is
    the nearest rotation); identity and expression from what is left in the head's own space, by
    ridge regression: independent normal coefficients, and texels with noise. All of it is a few
    products of matrices. Nothing is said of light and colour.

    Args:
        size: of the maps, texels a side.
    """

    solver: Tensor
    rest: Tensor
    index: Tensor
    mean: Tensor
    origin: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        with torch.device("cpu"):  # also where a network without memory is asked for
            known = _known(size)
        for name, values in known.items():
            self.register_buffer(name, values, persistent=False)
        self.count, self.albedos = len(face_model().identity), len(albedo_basis().components)

    def forward(self, maps: Tensor) -> Coefficients:
        """Maps (B, 3, S, S), as `data.sample.Shapes` has them, to coefficients."""
        up = maps.new_tensor([1, -1, 1])
        seen = maps.flatten(2)[:, :, self.index].mT * up
        middle = seen.mean(1, keepdim=True)
        seen = seen - middle
        covariance = seen.mT @ self.mean
        turn = polar(covariance)
        scale = (turn * covariance).sum((1, 2)) / self.mean.square().sum()
        off = seen @ turn / scale[:, None, None] - self.mean
        told = off.flatten(1) @ self.solver.mT + self.rest
        identity, weights = told.split((self.count, told.shape[1] - self.count), 1)
        origin = middle[:, 0] - scale[:, None] * (turn @ self.origin)
        place = torch.stack(
            [
                origin[:, 0],
                -origin[:, 1],
                (scale / mean_scale()).clamp_min(1e-3).log(),
                torch.full_like(scale, float(np.log(NEAREST / (_DISTANCE - NEAREST)))),
            ],
            1,
        )
        six = turn[:, :, :2].mT.flatten(1) - turn.new_tensor([1, 0, 0, 0, 1, 0])
        return Coefficients(
            identity,
            torch.logit(weights.clamp(_LEAST, 1 - _LEAST)),
            six,
            place,
            maps.new_zeros(maps.shape[0], 27),
            maps.new_zeros(maps.shape[0], self.albedos),
        )


def _known(size: int) -> dict[str, Tensor]:
    """What the model alone says."""
    points = Points.at_texels(size)
    index = (positions.weight_mask(size).view(-1) > 0).nonzero()[:, 0]
    at = points.mean.view(-1, 3)[index]
    mean = at - at.mean(0)
    count = len(face_model().identity)
    deviation = torch.ones(len(points.basis), dtype=torch.float64)
    usual = torch.zeros_like(deviation)
    deviation[count:], usual[count:] = _EXPRESSION, _WEIGHT
    basis = points.basis.view(len(deviation), -1, 3)[:, index].double()
    # Laying the mean face on a map takes its share of every change: so it is taken from these.
    change = (basis - basis.mean(1, keepdim=True)).flatten(1)
    motions = _motions(mean.double())
    change = change - change @ motions @ motions.mT
    noise = _NOISE**2 * _ALIKE
    normal = change @ change.mT / noise + torch.diag(deviation**-2)
    solver = torch.linalg.solve(normal, change / noise)
    rest = torch.linalg.solve(normal, usual / deviation**2)
    return {
        "solver": solver.float(), "rest": rest.float(), "index": index, "mean": mean,
        "origin": at.mean(0),
    }  # fmt: skip


def polar(matrices: Tensor) -> Tensor:
    """Nearest rotations (B, 3, 3) of matrices that are not far from one, times anything positive.

    Newton's iteration X <- (X + X^-T) / 2 (Higham, "Computing the polar decomposition", 1986), of
    products alone: exported networks have no decompositions.
    """
    x = matrices / matrices.square().sum((1, 2), keepdim=True).sqrt().clamp_min(1e-12) * 1.7
    for _ in range(_ROUNDS):
        a, b, c = x.unbind(-1)
        inverse = torch.stack(
            [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -1
        )  # transposed, times the determinant
        determinant = (a * inverse[..., 0]).sum(-1)[:, None, None]
        x = (x + inverse / determinant.clamp_min(1e-6)) / 2
    return F.normalize(x, dim=1)


def _motions(points: Tensor) -> Tensor:
    """(3 n, 4) orthonormal: turning and growing points (n, 3) that are centred."""
    axes = torch.eye(3, dtype=points.dtype)
    turns = [torch.linalg.cross(axis.expand_as(points), points, dim=1) for axis in axes]
    q, _ = torch.linalg.qr(torch.stack([*turns, points]).flatten(1).mT)
    return q
