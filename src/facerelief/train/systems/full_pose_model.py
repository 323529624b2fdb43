"""The face model in a training: coefficients to points, and points to where a camera sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.data.sample import mapped
from facerelief.geometry.face_model import face_model
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.uv import filled, skin_layout
from facerelief.types import CROP_MARGIN

NEAREST = 250.0  # mm: cameras are farther away than that
_FEATURES = ("eyelids", "nose", "nostrils", "lips_upper", "lips_lower", "philtrum")
RENDERED = 256  # texels a side of the maps that renderers make


@dataclass(frozen=True)
class Coefficients:
    """What a network says of a batch of pictures, in numbers without bounds."""

    identity: Tensor  # (B, K) standard deviations
    expression: Tensor  # (B, E) logits of weights in [0, 1]
    turn: Tensor  # (B, 6) the first two columns of the rotation, before they are made orthonormal
    place: Tensor  # (B, 4) x, y; log scale over the mean head's; logit of NEAREST over the distance
    light: Tensor  # (B, 27) harmonics, what they have beyond an even light of 1
    albedo: Tensor  # (B, A) standard deviations, of `geometry.albedo`

    @property
    def weights(self) -> Tensor:
        """(B, E) of the expressions, in [0, 1]."""
        return torch.sigmoid(self.expression)

    @property
    def harmonics(self) -> Tensor:
        """(B, 9, 3) of the light's radiance, as `geometry.light` has them, in camera space."""
        even = F.one_hot(torch.tensor(0), 9).to(self.light)[:, None] * np.sqrt(4 * np.pi)
        return even + self.light.view(-1, 9, 3)

    @property
    def camera(self) -> Camera:
        """Whatever the head is like, how it lies and what sees it."""
        return Camera(
            rotation(self.turn),
            self.place[:, :2],
            mean_scale() * self.place[:, 2].exp(),
            NEAREST / torch.sigmoid(self.place[:, 3]),
        )

    def __add__(self, other: Coefficients) -> Coefficients:
        return Coefficients(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    def detach(self) -> Coefficients:
        return mapped(self, torch.detach)


@dataclass(frozen=True)
class Camera:
    """A perspective camera that looks at the middle of a crop, and a head before it.

    Pictures are measured in half their side from the middle.
    """

    rotation: Tensor  # (B, 3, 3) head space to camera space
    origin: Tensor  # (B, 2) where the head's origin is seen: x right, y down
    scale: Tensor  # (B,) half sides a mm at the head's origin
    distance: Tensor  # (B,) mm along the axis to the head's origin

    def __call__(self, points: Tensor) -> Tensor:
        """Head-space points (B, N, 3), mm, as `data.sample.Shapes` has positions: x, y, and z.

        z is the nearness to the camera along the ray to the head's origin, in the same scale.
        """
        turned = points @ self.rotation.mT
        scale, distance = self.scale[:, None], self.distance[:, None]
        zoom = distance / (distance - turned[..., 2]).clamp_min(NEAREST / 10)
        x = (scale * turned[..., 0] + self.origin[:, :1]) * zoom
        y = (-scale * turned[..., 1] + self.origin[:, 1:]) * zoom
        ray = self.ray
        near = (turned * ray[:, None]).sum(-1)
        return torch.stack([x, y, scale * near], -1)

    @property
    def ray(self) -> Tensor:
        """(B, 3) unit, from the head's origin to the camera."""
        x, y = self.origin.unbind(-1)
        reach = self.scale * self.distance
        return F.normalize(torch.stack([-x / reach, y / reach, torch.ones_like(x)], -1), dim=-1)

    @property
    def translation(self) -> Tensor:
        """(B, 3) mm of the head's origin, in camera space."""
        x, y = (self.origin / self.scale[:, None]).unbind(-1)
        return torch.stack([x, -y, -self.distance], -1)


def rotation(six: Tensor) -> Tensor:
    """(B, 3, 3) from two columns (B, 6) beside those of a head that looks into the camera.

    Zhou et al., "On the continuity of rotation representations in neural networks" (CVPR 2019).
    """
    first, second = (six + six.new_tensor([1, 0, 0, 0, 1, 0])).split(3, -1)
    x = F.normalize(first, dim=-1)
    y = F.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


@lru_cache(maxsize=1)
def mean_scale() -> float:
    """Half sides of a crop that a mm has on the mean face, which looks into the camera."""
    points = face_model().mean[face_model().landmarks][:, :2]
    return float(2 / (CROP_MARGIN * np.ptp(points, axis=0).max()))


class Points(nn.Module):
    """Some points of the face model as a linear function of its coefficients.

    Args:
        mean: (n, 3), identity: (K, n, 3), expression: (E, n, 3), of these points.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: NDArray, identity: NDArray, expression: NDArray) -> None:
        super().__init__()
        basis = np.concatenate([identity, expression]).reshape(-1, mean.size)
        # Known from the model: no weights, and in no checkpoint.
        self.register_buffer("mean", torch.from_numpy(mean.reshape(-1)), persistent=False)
        self.register_buffer("basis", torch.from_numpy(basis), persistent=False)

    def forward(self, identity: Tensor, weights: Tensor) -> Tensor:
        """(B, K) and (B, E) to (B, n, 3) in head space, mm."""
        flat = torch.addmm(self.mean, torch.cat([identity, weights], 1), self.basis)
        return flat.unflatten(1, (-1, 3))

    @classmethod
    def at_vertices(cls, vertices: NDArray[np.int64]) -> Points:
        """Those of vertices (n,) of the model."""
        return cls(*_mapped(lambda row: row[vertices]))

    @classmethod
    def at_texels(cls, size: int) -> Points:
        """Those of the texels of a map of (size, size), row by row; as `uv.filled` fills it."""
        layout = skin_layout(SUBDIVISIONS, size)
        return cls(*_mapped(lambda row: filled(layout.write(row)).reshape(-1, 3)))

    @classmethod
    def as_read(cls, size: int) -> Points:
        """Those of `Compared`, as they are read of maps of (size, size), which blur a little."""
        layout, compared = skin_layout(SUBDIVISIONS, RENDERED), Compared.of_face()

        def read(row: NDArray[np.float32]) -> NDArray[np.float32]:
            whole = torch.from_numpy(filled(layout.write(row)).transpose(2, 0, 1))[None]
            return compared.read(positions.resized(whole, size))[0].numpy()

        return cls(*_mapped(read))


def _mapped(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Iterator[NDArray]:
    """Mean, identity and expression of the model, the vertices of each row changed."""
    model = face_model()
    yield change(model.mean)
    for basis in (model.identity, model.expression):
        yield np.stack([change(row) for row in basis])


@dataclass(frozen=True)
class Compared:
    """The vertices at which a face is compared with a true one, and how they are read of a map."""

    vertices: NDArray[np.int64]  # (n,) of the head: 68 landmarks, then the face's
    weights: Tensor  # (n,) that sum to 1

    @classmethod
    @lru_cache(maxsize=1)
    def of_face(cls) -> Compared:
        """Landmarks count 16 times, eyes, nose and mouth 4 times, others 3: as in PRNet's loss."""
        model, mesh = face_model(), skin_mesh()
        coarse = np.unique(mesh.source[mesh.outer])
        coarse = coarse[coarse < _coarse_count()]
        features = np.any([model.regions[name] for name in _FEATURES], axis=0)
        weights = np.concatenate(
            [
                np.full(68, positions.LANDMARKS),
                np.where(features[coarse], positions.FEATURES, positions.FACE),
            ]
        )
        vertices = np.concatenate([model.landmarks, coarse]).astype(np.int64)
        return cls(vertices, torch.from_numpy(weights / weights.sum()).float())

    def read(self, position: Tensor) -> Tensor:
        """Maps (B, 3, S, S) at the vertices: (B, n, 3)."""
        index, share = _texels(position.shape[-1])
        read = position.flatten(2)[:, :, index.to(position.device)]
        return (read * share.to(position)).sum(-1).mT


@lru_cache(maxsize=4)
def _texels(size: int) -> tuple[Tensor, Tensor]:
    index, share = positions.layout(size).texels(Compared.of_face().vertices)
    return torch.from_numpy(index), torch.from_numpy(share)


def _coarse_count() -> int:
    """Vertices that the head has before it is subdivided: the first ones."""
    return len(builtin_head(0, bases=False).mean)
