"""Every person under the same lights, as arrays that can be mixed.

Lambertian images are linear in the albedo-scaled normal: with the light fixed, a weighted sum of
two people's photographs is the photograph of the surface whose albedo-scaled normals are the
weighted sum of theirs, at every pixel that no cast shadow or highlight falls on. The weights may
differ from pixel to pixel. From few people this makes a continuum of plausible faces with known
normals. Laid on common landmarks first, the mixtures have one nose each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from facerelief.data import yaleb
from facerelief.detect import Detector

_BORDER = 60  # pixels of edge repeated round a photograph, so that the detector sees a whole head


@dataclass(frozen=True)
class FaceBank:
    """People x lights. All people share one list of lights; missing photographs are black."""

    images: Tensor  # (P, K, H W) float32, linear, in [0, 1]
    present: Tensor  # (P, K) bool
    surface: Tensor  # (P, 5, H, W) albedo times normal, trusted, inside the picture
    subsets: Tensor  # (K,) int, 1 to 5
    directions: Tensor  # (K, 3) unit, camera space

    def __len__(self) -> int:
        return len(self.images)


def load(root: Path, people: list[str], cache: Path | None = None) -> FaceBank:
    """The bank of some people, each face where its photographs have it."""
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
    surface = np.concatenate([scaled * masks / 255, masks, np.ones_like(masks)], 1)
    return FaceBank(
        images,
        present,
        torch.from_numpy(surface.astype(np.float32)),
        torch.from_numpy(everything.subsets),
        torch.from_numpy(everything.directions.astype(np.float32)),
    )


def align(bank: FaceBank) -> FaceBank:
    """Every face moved smoothly so that eyes, nose and corners of the mouth coincide."""
    points = np.stack([landmarks(bank, index) for index in range(len(bank))])
    target = points.mean(0)
    images, surfaces = torch.empty_like(bank.images), torch.empty_like(bank.surface)
    for index in range(len(bank)):
        source = _source_positions(points[index], target)
        pictures = bank.images[index].unflatten(1, source.shape[:2])
        images[index] = _sample(pictures, source).flatten(1)
        surfaces[index] = _warp_surface(bank.surface[index], source)
    return FaceBank(images, bank.present, surfaces, bank.subsets, bank.directions)


def landmarks(bank: FaceBank, person: int) -> np.ndarray:
    """(5, 2) eyes, nose and corners of the mouth in the photographs' pixels.

    Raises:
        ValueError: the detector finds no face.
    """
    frontal = bank.images[person][bank.present[person] & (bank.subsets <= 3)]
    picture = frontal.median(0).values.view(yaleb.HEIGHT, yaleb.WIDTH).numpy()
    padded = np.pad(np.round(picture * 255).astype(np.uint8), _BORDER, mode="edge")
    photo = np.repeat(np.kron(padded, np.ones((2, 2), np.uint8))[..., None], 3, -1)
    found = Detector()(photo, max_faces=1)
    if not found:
        raise ValueError(f"no face is found in the photographs of person {person} of the bank")
    return np.asarray(found[0].points, np.float64) / 2 - _BORDER


def _source_positions(points: np.ndarray, target: np.ndarray) -> Tensor:
    """(H, W, 2) where each pixel of the aligned picture comes from: a thin-plate spline."""
    x, y = np.array([0, 0.5, 1]) * yaleb.WIDTH, np.array([0, 0.5, 1]) * yaleb.HEIGHT
    border = np.array([(a, b) for a in x for b in y if (a, b) != (x[1], y[1])])
    spline = RBFInterpolator(np.concatenate([target, border]), np.concatenate([points, border]))
    columns, rows = np.meshgrid(np.arange(yaleb.WIDTH) + 0.5, np.arange(yaleb.HEIGHT) + 0.5)
    moved = spline(np.stack([columns, rows], -1).reshape(-1, 2))
    return torch.from_numpy(moved.reshape(*columns.shape, 2).astype(np.float32))


def _sample(channels: Tensor, source: Tensor) -> Tensor:
    """(C, H, W) read at (H, W, 2) pixel positions."""
    height, width = channels.shape[-2:]
    grid = source / torch.tensor([width, height]) * 2 - 1
    moved = F.grid_sample(
        channels[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False
    )[0]
    return moved.clamp_min(0) if channels.min() >= 0 else moved


def _warp_surface(surface: Tensor, source: Tensor) -> Tensor:
    """The surface pulled along with its picture: see ``augment.Warp.normals``, here per pixel."""
    along_y, along_x = torch.gradient(source, dim=(0, 1))  # each (H, W, 2): d source / d target
    # In axes with y up, the mixed derivatives change sign.
    xx, yx = along_x[..., 0], -along_x[..., 1]
    xy, yy = -along_y[..., 0], along_y[..., 1]
    depth = (xx * yy - xy * yx).clamp_min(1e-3).rsqrt()
    moved = _sample(surface, source)
    length = moved[:3].norm(dim=0)
    trusted, inside = (moved[3] > 0.5).float(), (moved[4] > 0.5).float()
    x, y, z = moved[:3]
    turned = F.normalize(torch.stack([xx * x + yx * y, xy * x + yy * y, z / depth]), dim=0)
    return torch.cat([turned * length, trusted[None], inside[None]])
