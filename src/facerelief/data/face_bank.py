"""Every person under the same lights, as arrays that can be mixed.

Lambertian images are linear in the albedo-scaled normal: with the light fixed, a weighted sum of
two people's photographs is the photograph of the surface whose albedo-scaled normals are the
weighted sum of theirs, at every pixel that no cast shadow or highlight falls on. The weights may
differ from pixel to pixel. From few people this makes a continuum of plausible faces with known
normals. The database's crops are placed alike, so that most mixtures have one nose each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facerelief.data import yaleb
from facerelief.nn import losses


@dataclass(frozen=True)
class FaceBank:
    """People x lights. All people share one list of lights; missing photographs are black."""

    images: Tensor  # (P, K, H W) float32, linear, in [0, 1]
    present: Tensor  # (P, K) bool
    surface: Tensor  # (P, 4, H, W) albedo times normal, trusted or not
    subsets: Tensor  # (K,) int, 1 to 5
    directions: Tensor  # (K, 3) unit, camera space

    def __len__(self) -> int:
        return len(self.images)

    def distinctness(self) -> Tensor:
        """(P,) mean angle, degrees, between each person's normals and the average of all."""
        normals, trusted = losses.normalize(self.surface[:, :3]), self.surface[:, 3:4]
        average = losses.normalize((normals * trusted).sum(0, keepdim=True))
        angles = torch.rad2deg(losses.angle(normals, average.expand_as(normals)))
        return (angles * trusted).sum((1, 2, 3)) / trusted.sum((1, 2, 3)).clamp_min(1)


def load(root: Path, people: list[str], cache: Path | None = None) -> FaceBank:
    """The bank of some people."""
    persons = [yaleb.load_person(root, name) for name in people]
    truths = [yaleb.load_ground_truth(person, cache) for person in persons]
    keys = [list(zip(p.azimuth.tolist(), p.elevation.tolist(), strict=True)) for p in persons]
    lights = sorted(set().union(*keys))
    size = yaleb.HEIGHT * yaleb.WIDTH
    images = torch.zeros(len(persons), len(lights), size)
    present = torch.zeros(len(persons), len(lights), dtype=torch.bool)
    for index, (person, own) in enumerate(zip(persons, keys, strict=True)):
        rows = torch.tensor([lights.index(light) for light in own])
        images[index, rows] = torch.from_numpy(person.images).flatten(1).float() / 255
        present[index, rows] = True
    angles = np.asarray(lights, np.float64)
    blank = np.zeros((len(lights), 1, 1), np.uint8)
    everything = yaleb.Person("", blank, angles[:, 0], angles[:, 1])
    masks = np.stack([truth.mask for truth in truths])[:, None]
    scaled = np.stack([t.normals * t.albedo[..., None] for t in truths]).transpose(0, 3, 1, 2)
    # Photographs are in [0, 1] here, the albedo in their 8-bit units.
    surface = np.concatenate([scaled / 255, masks], 1)
    return FaceBank(
        images,
        present,
        torch.from_numpy(surface.astype(np.float32)),
        torch.from_numpy(everything.subsets),
        torch.from_numpy(everything.directions.astype(np.float32)),
    )
