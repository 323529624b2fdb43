"""Random light: panoramas, made skies, lamps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief.geometry.environment import map_directions, solid_angles
from facerelief.render.scene import Lamp, Lighting

_SHAPE = (32, 64)  # of a map that is used: light on a matt face needs no more
# Colours of light sources along the black-body locus, 2,500 to 10,000 K, linear sRGB with green 1
# (from Planck's law and the sRGB primaries).
_WARM, _COLD = np.array([1.9, 1.0, 0.28]), np.array([0.78, 1.0, 1.35])


def draw_lighting(
    g: np.random.Generator, environments: Mapping[str, NDArray[np.float16]]
) -> tuple[Lighting, str]:
    """Light of a random kind, and its name.

    Natural light all round (40 in 100), lamps in a dim room (35), or one hard lamp in the dark, as
    in a laboratory (25). The irradiance on a surface that faces the camera, or the brightest near
    it, is about pi: a white surface shows as 1.
    """
    kind = g.choice(["sky", "lamps", "flash"], p=[0.4, 0.35, 0.25])
    sky, suns, name = _sky(g, environments)
    if kind == "sky":
        lamps: list[Lamp] = []
        share = 1.0
    elif kind == "lamps":
        count = int(g.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))
        lamps = [_lamp(g, g.uniform(0.3, 1), spread=45) for _ in range(count)]
        share = g.uniform(0.1, 0.6)
    else:
        lamps = [_lamp(g, 1.0, spread=40, grey=True)]
        share = g.uniform(0.0, 0.12)
    lamps = [
        _scaled(x, np.pi * (1 - share) / sum(float(y.colour[1]) for y in lamps)) for x in lamps
    ]
    factor = share / max(_frontal(sky, suns), 1e-6)
    lamps += [_scaled(sun, factor) for sun in suns]
    return Lighting((sky * factor).astype(np.float32), tuple(lamps)), f"{kind} {name}"


def _sky(
    g: np.random.Generator, environments: Mapping[str, NDArray[np.float16]]
) -> tuple[NDArray[np.float32], list[Lamp], str]:
    """A small panorama, the suns that were taken out of it, and its name."""
    if environments and g.random() < 0.8:
        name = str(g.choice(sorted(environments)))
        radiance = np.asarray(environments[name], np.float32)
        radiance = np.roll(radiance, int(g.integers(radiance.shape[1])), 1)
        if g.random() < 0.5:
            radiance = radiance[:, ::-1]
        radiance, suns = take_suns(radiance)
        rows, columns = (
            have // want for have, want in zip(radiance.shape[:2], _SHAPE, strict=True)
        )
        kept = radiance[: rows * _SHAPE[0], : columns * _SHAPE[1]]
        small = kept.reshape(_SHAPE[0], rows, _SHAPE[1], columns, 3).mean((1, 3))
        return small, suns, name
    return _made_sky(g), [], "made"


def take_suns(radiance: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[Lamp]]:
    """A panorama (H, W, 3) without its one or two small bright sources, and those as lamps.

    A renderer's few directions would put a sun some degrees beside its place. What is taken out
    holds at least 8 in 100 of all light within 12 degrees; all light together stays the same.
    """
    height, width = radiance.shape[:2]
    directions, area = _directions(height, width)
    rest = radiance.reshape(-1, 3).copy()
    suns: list[Lamp] = []
    for _ in range(2):
        brightness = rest.mean(1)
        total = float(brightness @ area)
        peak = int(brightness.argmax())
        near = directions @ directions[peak] > np.cos(np.radians(12))
        # Brighter than ten times the mean, and than a tenth of the peak: the source without halo.
        floor = max(10 * total / (4 * np.pi), 0.1 * float(brightness[peak]))
        source = near & (brightness > floor)
        if not source.any() or float(brightness[source] @ area[source]) < 0.08 * total:
            break
        filler = np.median(rest[near & ~source], axis=0)
        excess = (rest[source] - filler).clip(0) * area[source, None]
        towards = _normalised(excess.sum(1) @ directions[source])
        radius = np.degrees(np.sqrt(area[source].sum() / np.pi))
        suns.append(
            Lamp(towards.astype(np.float32), excess.sum(0).astype(np.float32), float(radius))
        )
        rest[source] = np.minimum(rest[source], filler)
    return rest.reshape(radiance.shape), suns


def _made_sky(g: np.random.Generator) -> NDArray[np.float32]:
    """A gradient from ground to zenith, with windows and clouds."""
    directions = map_directions(*_SHAPE)
    up = directions[..., 1:2] * 0.5 + 0.5
    sky = (1 - up) * _tint(g) * g.uniform(0.1, 0.8) + up * _tint(g) * g.uniform(0.3, 1.5)
    for _ in range(g.integers(0, 5)):
        towards = _normalised(g.normal((0.0, 0.4, 0.5)))
        size = np.cos(np.radians(g.uniform(8, 40)))
        inside = 1 / (1 + np.exp(-(directions @ towards - size) * g.uniform(10, 80)))
        sky = sky + inside[..., None] * _tint(g) * g.uniform(1, 12)
    clouds = gaussian_filter(g.standard_normal(_SHAPE), g.uniform(1, 4), mode=("nearest", "wrap"))
    return (sky * np.exp(clouds / clouds.std() * 0.3)[..., None]).astype(np.float32)


def _lamp(g: np.random.Generator, strength: float, spread: float, grey: bool = False) -> Lamp:
    """A lamp about the camera, up to far beside and behind, more often above than below."""
    towards = np.radians(g.normal(0, spread)), np.radians(g.normal(12, spread * 0.6))
    azimuth, elevation = towards[0], np.clip(towards[1], -1.2, 1.4)
    x, y = np.sin(azimuth) * np.cos(elevation), np.sin(elevation)
    direction = np.array([x, y, np.cos(azimuth) * np.cos(elevation)], np.float32)
    colour = np.ones(3) if grey else _tint(g)
    radius = float(np.exp(g.uniform(np.log(0.3), np.log(20))))
    return Lamp(direction, (strength * colour).astype(np.float32), radius)


def _tint(g: np.random.Generator) -> NDArray[np.float64]:
    share = g.beta(2, 2)
    return np.exp((1 - share) * np.log(_WARM) + share * np.log(_COLD)) ** g.uniform(0.2, 1)


def _scaled(lamp: Lamp, factor: float) -> Lamp:
    return Lamp(lamp.direction, (lamp.colour * factor).astype(np.float32), lamp.radius)


def _frontal(sky: NDArray[np.float32], suns: list[Lamp]) -> float:
    """Green irradiance over pi of a surface that faces the camera, or half that of the brightest.

    Backlit heads stay dark, but not black.
    """
    directions, area = _directions(*sky.shape[:2])
    faces = np.array([[0, 0, 1], [0.7, 0, 0.7], [-0.7, 0, 0.7], [0, 0.7, 0.7], [0, -0.7, 0.7]])
    received = np.clip(faces @ directions.T, 0, None) @ (area * sky[..., 1].ravel())
    for sun in suns:
        received = received + np.clip(faces @ sun.direction, 0, None) * sun.colour[1]
    return float(max(received[0], 0.5 * received.max())) / np.pi


@lru_cache(maxsize=4)
def _directions(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(H W, 3) unit directions of a panorama's pixels, and their solid angles (H W,)."""
    return map_directions(height, width).reshape(-1, 3), solid_angles(height, width).ravel()


def _normalised(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
