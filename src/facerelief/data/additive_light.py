"""Photographs of Yale B people under any mixture of the captured lights.

Light adds up: a weighted sum of one still person's single-light photographs is a real photograph
of that person under all those lights, shadows and highlights included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from facerelief.data import augment, yaleb
from facerelief.data.sample import Sample


@dataclass(frozen=True)
class LightRange:
    """Which mixtures are drawn; the probabilities sum to at most one, the rest are environments."""

    single: float = 0.45  # one flash, as the evaluation photographs
    few: float = 0.25  # two to four flashes of any strength and tint
    single_outer: float = 0.05  # of the single ones: a light of subset 5
    ambient: float = 0.3  # probability of a uniform ambient part
    encoded: float = 0.4  # probability that the sum is sRGB-encoded, as files of cameras are


class AdditiveLight:
    """A source of Yale B samples.

    Args:
        root: the data folder.
        people: their names.
        cache: folder for the measured normals.
        warp, photometric, light: what is varied.
        occluded: probability of an occluder.
    """

    def __init__(
        self,
        root: Path,
        people: list[str],
        cache: Path | None = None,
        warp: augment.WarpRange | None = None,
        photometric: augment.PhotometricRange | None = None,
        light: LightRange | None = None,
        occluded: float = 0.15,
    ) -> None:
        self.warp = warp or augment.WarpRange()
        self.photometric = photometric or augment.PhotometricRange()
        self.light = light or LightRange()
        self.occluded = occluded
        self.people = [yaleb.load_person(root, name) for name in people]
        self.images = [torch.from_numpy(p.images).flatten(1) for p in self.people]
        self.subsets = [torch.from_numpy(p.subsets) for p in self.people]
        self.environments = [environment_weights(p, root) for p in self.people]
        truths = [yaleb.load_ground_truth(p, cache) for p in self.people]
        masks = np.stack([t.mask for t in truths])[:, None]
        normals = np.stack([t.normals for t in truths]).transpose(0, 3, 1, 2) * masks
        self.surfaces = torch.from_numpy(
            np.concatenate([normals, masks, np.ones_like(masks)], 1).astype(np.float32)
        )

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        chosen = torch.randint(len(self.people), (count,), generator=g)
        lit = torch.stack([self._lit(int(p), g) for p in chosen])
        lit = lit.view(count, 3, yaleb.HEIGHT, yaleb.WIDTH)
        warp = augment.random_warp(count, yaleb.PADDED / size, yaleb.PADDED, self.warp, g)
        image = warp.apply(lit, size, samples=2 if size <= 128 else 1)
        surface = warp.apply(self.surfaces[chosen], size)
        mask = (surface[:, 3:4] > 0.5).float()
        inside = (surface[:, 4:5] > 0.5).float()
        sample = Sample(
            image=image,
            normals=warp.normals(surface[:, :3]) * mask,
            normals_mask=mask,
            # Measured pixels are face; beyond the picture is not; hair and eyes stay unknown.
            face_mask=mask,
            face_known=torch.maximum(mask, 1 - inside),
            weak=torch.zeros(count, dtype=torch.bool),
        )
        sample = augment.occlude(sample, self.occluded, image, g)
        varied = augment.photometric(sample.image, self.photometric, g)
        return Sample(**{**vars(sample), "image": varied})

    def _lit(self, person: int, g: Generator) -> Tensor:
        """(3, H W) one person under one drawn mixture, in [0, about 1]."""
        weights, environment = self._weights(person, g)
        used = torch.nonzero(weights.sum(1) > 0).flatten()
        image = weights[used].T @ (self.images[person][used].float() / 255)
        # Every 16th pixel is enough for the bright end of the picture.
        level = image[:, ::16].mean(0).quantile(0.98).clamp_min(0.02)
        # Single flashes keep the camera's exposure (the evaluation's is not adjusted either);
        # sums are exposed like a photograph.
        exposure = torch.rand((), generator=g) * 0.7 + 0.35
        if environment or len(used) > 1:
            image = image * exposure / level
        if torch.rand((), generator=g) < self.light.encoded:
            image = image.clamp_min(0) ** (1 / 2.2)
        return image

    def _weights(self, person: int, g: Generator) -> tuple[Tensor, bool]:
        """(K, 3) weight of every captured light in each colour; whether an environment."""
        light, subsets = self.light, self.subsets[person]
        kind = float(torch.rand((), generator=g))
        if kind >= light.single + light.few:
            table = self.environments[person]
            weights = table[int(torch.randint(len(table), (), generator=g))]
            return weights, True
        outer = float(torch.rand((), generator=g)) < light.single_outer
        pool = torch.nonzero(subsets == 5 if outer else subsets <= 4).flatten()
        flashes = 1 if kind < light.single else int(torch.randint(2, 5, (), generator=g))
        picked = pool[torch.randint(len(pool), (flashes,), generator=g)]
        weights = torch.zeros(len(subsets), 3)
        if flashes == 1:
            weights[picked] = 1.0
            return weights, False
        strength = torch.rand(flashes, 1, generator=g) ** 2 + 0.05
        tint = torch.exp(torch.randn(flashes, 3, generator=g) * 0.15)
        weights[picked] = strength * tint
        if float(torch.rand((), generator=g)) < light.ambient:
            inner = (subsets <= 4).float()[:, None]
            weights += inner / inner.sum() * torch.rand((), generator=g)
        return weights, False


def environment_weights(person: yaleb.Person, root: Path, turns: int = 16) -> Tensor:
    """(E, K, 3) weights of the lights that stand for environment maps, turned about the vertical.

    Every direction of the map goes to the nearest captured light; what comes from behind the head
    is lost, as it is to the eye. Without maps under ``root/hdri`` two-colour skies are used.
    """
    height, width = 16, 32
    maps = [_shrink(m, height, width) for m in _load_maps(root)]
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = ((np.arange(width) + 0.5) / width * 2 - 1) * np.pi
    elevation, azimuth = np.meshgrid(elevation, azimuth, indexing="ij")
    directions = np.stack(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ],
        -1,
    ).reshape(-1, 3)
    similarity = directions @ person.directions.T
    front = similarity.max(1) > np.cos(np.radians(25))
    cells = np.zeros((len(person.directions), height * width))
    cells[similarity.argmax(1), np.arange(height * width)] = np.cos(elevation).ravel() * front
    weights = []
    for environment in maps:
        for turn in range(turns):
            turned = np.roll(environment, turn * width // turns, axis=1)
            weight = cells @ turned.reshape(-1, 3)
            weights.append(weight / max(weight.sum(), 1e-6) * 3)
    return torch.from_numpy(np.stack(weights).astype(np.float32))


def _load_maps(root: Path) -> list[np.ndarray]:
    paths = sorted((Path(root) / "hdri").glob("*.npz"))
    maps = []
    for path in paths:
        with np.load(path) as stored:
            maps += [stored[name].astype(np.float32) for name in stored.files]
    if maps:
        return maps
    ramp = np.linspace(1, 0, 16, dtype=np.float32)[:, None, None]
    skies = [((0.4, 0.6, 1.0), (0.3, 0.25, 0.2)), ((1.0, 0.9, 0.8), (0.5, 0.5, 0.5))]
    return [ramp * np.float32(a) + (1 - ramp) * np.float32(b) + np.zeros((16, 32, 3), np.float32)
            for a, b in skies]  # fmt: skip


def _shrink(environment: np.ndarray, height: int, width: int) -> np.ndarray:
    h, w = environment.shape[:2]
    return environment.reshape(height, h // height, width, w // width, 3).mean((1, 3))
