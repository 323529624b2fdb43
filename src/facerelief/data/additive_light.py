"""Photographs of Yale B people under any mixture of the captured lights.

Light adds up: a weighted sum of one still person's single-light photographs is a real photograph
of that person under all those lights, shadows and highlights included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from facerelief.data import augment, face_bank, yaleb
from facerelief.data.sample import Sample
from facerelief.data.turning import turn
from facerelief.nn import losses

_COARSE = (5, 4)  # random fields over the face have so many free values down and across


@dataclass(frozen=True)
class LightRange:
    """Which mixtures are drawn; the probabilities sum to at most one, the rest are environments."""

    single: float = 0.45  # one flash, as the evaluation photographs
    few: float = 0.25  # two to four flashes of any strength and tint
    single_outer: float = 0.05  # of the single ones: a light of subset 5
    ambient: float = 0.3  # probability of a uniform ambient part
    encoded: float = 0.4  # probability that the sum is sRGB-encoded, as files of cameras are


@dataclass(frozen=True)
class MixRange:
    """How people are mixed (see `facerelief.data.face_bank`)."""

    probability: float = 0.6
    three: float = 0.3  # of the mixed ones: three people instead of two
    beyond: float = 0.3  # how far outside [0, 1] the share of one of two people may be
    local: float = 0.6  # of the mixed ones: shares that vary over the face
    distinct: float = 1.0  # people are drawn by their distance from the average face to this power


@dataclass(frozen=True)
class ReliefRange:
    """How surfaces are flattened and steepened in place, the photograph shaded anew to match.

    The photograph is multiplied by the ratio of the Lambertian shadings of the new and the old
    surface (the quotient image of Riklin-Raviv and Shashua 1999), which keeps its texture.
    """

    probability: float = 0.6
    overall: float = 0.15  # standard deviation of the log of the factor on slopes, all over
    local: float = 0.25  # and of its smooth variation over the face


@dataclass(frozen=True)
class TurnRange:
    """How far heads are turned together with their lights (see `facerelief.data.turning`)."""

    pitch: float = 6.0  # standard deviation, degrees, cut at two of them
    yaw: float = 6.0


class AdditiveLight:
    """A source of Yale B samples.

    Args:
        root: the data folder.
        people: their names.
        cache: folder for the measured normals.
        warp, photometric, light, mix, relief, turn: what is varied; heads are not turned unless
            ``turn`` says how far.
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
        mix: MixRange | None = None,
        relief: ReliefRange | None = None,
        turn: TurnRange | None = None,
        occluded: float = 0.15,
    ) -> None:
        self.warp = warp or augment.WarpRange()
        self.photometric = photometric or augment.PhotometricRange()
        self.light = light or LightRange()
        self.mix = mix or MixRange()
        self.relief = relief or ReliefRange()
        self.turn = turn
        self.occluded = occluded
        self.bank = face_bank.load(root, people, cache)
        self.chances = self.bank.distinctness() ** self.mix.distinct
        self.environments = environment_weights(self.bank.directions.numpy(), root)

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        drawn = [self._draw(g) for _ in range(count)]
        lit = torch.stack([image for image, _ in drawn])
        surfaces = torch.stack([surface for _, surface in drawn])
        if self.turn is not None:
            spread = torch.deg2rad(torch.tensor([self.turn.pitch, self.turn.yaw]))
            angles = torch.randn(count, 2, generator=g).clamp(-2, 2) * spread
            lit, surfaces = turn(lit, surfaces, angles)
        warp = augment.random_warp(count, yaleb.PADDED / size, yaleb.PADDED, self.warp, g)
        image = warp.apply(lit, size, samples=2 if size <= 128 else 1)
        surface = warp.apply(surfaces, size)
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
            estimated=torch.zeros(count, dtype=torch.bool),
            pictured=torch.ones(count, dtype=torch.bool),
        )
        return augment.spoil(sample, self.occluded, self.photometric, g)

    def _draw(self, g: Generator) -> tuple[Tensor, Tensor]:
        """One person, or one mixture of people, under one mixture of lights.

        Returns:
            (3, H, W) linear or sRGB-encoded picture in [0, about 1]; (5, H, W) unit normal,
            trusted, inside.
        """
        mixed = _happens(self.mix.probability, g) and len(self.bank) >= 3
        bank = self.bank
        number = 1 if not mixed else 3 if _happens(self.mix.three, g) else 2
        people = torch.multinomial(self.chances, number, generator=g)
        weights, adjust = self._weights(bank.present[people].all(0), g)
        used = torch.nonzero(weights.sum(1) > 0).flatten()
        # Reading every light costs less than copying more than a few.
        rows = used if len(used) < 8 else slice(None)
        lit = [weights[rows].T @ bank.images[person][rows] for person in people.tolist()]
        surfaces = [bank.surface[person] for person in people.tolist()]
        image, scaled, trusted = lit[0], surfaces[0][:3], surfaces[0][3:4]
        if mixed:
            image = torch.zeros_like(image)
            scaled, trusted = torch.zeros_like(scaled), torch.ones_like(trusted)
            shares = self._shares(number, g)
            for one, surface, share in zip(lit, surfaces, shares, strict=True):
                image += one * share.reshape(1, -1)
                scaled += surface[:3] * share
                # Whose share is next to nothing has no say in what can be trusted.
                trusted = trusted * torch.maximum(surface[3:4], (share.abs() < 0.05).float())
        # An extrapolated surface may turn away; such pixels are no longer trusted.
        trusted = trusted * (scaled[2:3] > 0)
        normals = losses.normalize(scaled[None])[0]
        if _happens(self.relief.probability, g):
            new = self._relief(normals, g)
            # A dozen of the strongest lights tell the shading well enough.
            strong = used[weights[used].sum(1).topk(min(12, len(used))).indices]
            image = image * _shading_ratio(normals, new, bank.directions[strong], weights[strong])
            normals = new
        surface = torch.cat([normals * trusted, trusted, torch.ones_like(trusted)])
        image = self._expose(image.clamp_min(0), adjust, g)
        return image.view(3, yaleb.HEIGHT, yaleb.WIDTH), surface

    def _shares(self, number: int, g: Generator) -> Tensor:
        """(number, H, W) share of each person; they sum to one."""
        shape = (yaleb.HEIGHT, yaleb.WIDTH)
        if _happens(self.mix.local, g):
            coarse = torch.randn(number, *_COARSE, generator=g) * 3
            return _enlarge(coarse).softmax(0)
        if number == 2:
            first = torch.rand((), generator=g) * (1 + 2 * self.mix.beyond) - self.mix.beyond
            shares = torch.stack([first, 1 - first])
        else:
            shares = (torch.randn(number, generator=g)).softmax(0)
        return shares.view(-1, 1, 1).expand(-1, *shape)

    def _relief(self, normals: Tensor, g: Generator) -> Tensor:
        """(3, H, W) unit normals with all slopes multiplied by a smooth random factor."""
        coarse = torch.randn(1, *_COARSE, generator=g) * self.relief.local
        coarse = coarse + torch.randn((), generator=g) * self.relief.overall
        bent = torch.cat([normals[:2] * _enlarge(coarse).exp(), normals[2:]])
        return losses.normalize(bent[None])[0]

    def _expose(self, image: Tensor, adjust: bool, g: Generator) -> Tensor:
        """Exposure and encoding of a (3, H W) picture."""
        # Single flashes keep the camera's exposure (the evaluation's is not adjusted either);
        # sums are exposed like a photograph.
        if adjust:
            exposure = torch.rand((), generator=g) * 0.7 + 0.35
            # Every 61st pixel is enough for the bright end of the picture.
            image = image * exposure / image[:, ::61].mean(0).quantile(0.98).clamp_min(0.02)
        return image ** (1 / 2.2) if _happens(self.light.encoded, g) else image

    def _weights(self, present: Tensor, g: Generator) -> tuple[Tensor, bool]:
        """(K, 3) weight of every light in each colour; whether to adjust the exposure."""
        light, subsets = self.light, self.bank.subsets
        kind = float(torch.rand((), generator=g))
        if kind >= light.single + light.few:
            index = int(torch.randint(len(self.environments), (), generator=g))
            return self.environments[index] * present[:, None], True
        outer = _happens(light.single_outer, g) and bool((present & (subsets == 5)).any())
        pool = torch.nonzero(present & (subsets == 5 if outer else subsets <= 4)).flatten()
        flashes = 1 if kind < light.single else int(torch.randint(2, 5, (), generator=g))
        picked = pool[torch.randint(len(pool), (flashes,), generator=g)]
        weights = torch.zeros(len(subsets), 3)
        if flashes == 1:
            weights[picked] = 1.0
            return weights, False
        strength = torch.rand(flashes, 1, generator=g) ** 2 + 0.05
        tint = torch.exp(torch.randn(flashes, 3, generator=g) * 0.15)
        weights[picked] = strength * tint
        if _happens(light.ambient, g):
            inner = (present & (subsets <= 4)).float()[:, None]
            weights += inner / inner.sum() * torch.rand((), generator=g)
        return weights, True


def _enlarge(coarse: Tensor) -> Tensor:
    """(N, 5, 4) smoothly to the pictures' (N, H, W)."""
    rows, columns = _smooth_steps(_COARSE[0], yaleb.HEIGHT), _smooth_steps(_COARSE[1], yaleb.WIDTH)
    return rows @ coarse @ columns.T


@cache
def _smooth_steps(count: int, length: int) -> Tensor:
    """(length, count) matrix of one-dimensional cubic interpolation."""
    one = torch.eye(count)[None, :, :, None]
    fine = F.interpolate(one, (length, 1), mode="bicubic", align_corners=True)
    return fine[0, :, :, 0].T.contiguous()


def _happens(probability: float, g: Generator) -> bool:
    return float(torch.rand((), generator=g)) < probability


def _shading_ratio(old: Tensor, new: Tensor, lights: Tensor, weights: Tensor) -> Tensor:
    """(3, H W) what a photograph is multiplied by when its surface becomes another.

    Args:
        old, new: (3, H, W) unit normals; lights: (U, 3) directions; weights: (U, 3) of each colour.
    """
    before, after = (weights.T @ (lights @ n.flatten(1)).clamp_min(0) for n in (old, new))
    # Next to nothing in both: an attached shadow stays one. The bounds keep noise from growing.
    floor = 0.05 * weights.sum(0)[:, None]
    return ((after + floor) / (before + floor)).clamp(0.3, 2.5)


def environment_weights(
    lights: np.ndarray, root: Path, turns: int = 16, strongest: int = 20
) -> Tensor:
    """(E, K, 3) weights of the (K, 3) lights that stand for environment maps.

    Each map is turned about the vertical to ``turns`` positions; the ``strongest`` lights are kept.
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
    similarity = directions @ lights.T
    front = similarity.max(1) > np.cos(np.radians(25))
    cells = np.zeros((len(lights), height * width))
    cells[similarity.argmax(1), np.arange(height * width)] = np.cos(elevation).ravel() * front
    weights = []
    for environment in maps:
        for step in range(turns):
            turned = np.roll(environment, step * width // turns, axis=1)
            weight = cells @ turned.reshape(-1, 3)
            weight[np.argsort(-weight.sum(1))[strongest:]] = 0
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
    ramp = np.broadcast_to(np.linspace(1, 0, 16, dtype=np.float32)[:, None, None], (16, 32, 3))
    skies = (((0.4, 0.6, 1.0), (0.3, 0.25, 0.2)), ((1.0, 0.9, 0.8), (0.5, 0.5, 0.5)))
    return [
        ramp * np.array(above, np.float32) + (1 - ramp) * np.array(below, np.float32)
        for above, below in skies
    ]


def _shrink(environment: np.ndarray, height: int, width: int) -> np.ndarray:
    h, w = environment.shape[:2]
    return environment.reshape(height, h // height, width, w // width, 3).mean((1, 3))
