"""Several far lights on a surface that keeps them from itself, and those that a photograph shows.

Where `geometry.light` has one light or harmonics, which know no cast shadows, here are sums of far
lights from all sides, each hidden where the surface's own horizon is above it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.horizon import Horizons
from facerelief.geometry.light import LUMINANCE, Light, directional_to_sh, shade_sh
from facerelief.geometry.normals import normalise

#: Degrees over which a light goes down behind a horizon. Lamps are narrower; what is known of a
#: photographed surface is not.
SOFTNESS = 10.0

_SKY = 64  # even directions that harmonics become
_CANDIDATES = 160  # even directions, of which those before the face are tried
_BEHIND = -0.1  # z of the farthest of them
_BROAD = 12.0  # degrees: softness of lights while they are searched for
_PIXELS = 1500  # that a light is fitted to
_CAUCHY = 2.385
_FAINT = 0.01  # of the brightest light: fainter ones are dropped
_ONE = 1.15  # a single lamp explains a photo if its residual is no larger than so many times
_CLUSTER = 35.0  # degrees about the brightest candidate, whose mean is where a lamp is looked for


@dataclass(frozen=True, eq=False)
class Lights:
    """Far lights in camera space, and an even ambient term."""

    directions: FloatArray  # (D, 3) unit, towards the lights
    colours: FloatArray  # (D, 3) linear RGB: what a white surface facing each sends back
    ambient: FloatArray  # (3,) linear RGB

    @classmethod
    def of(cls, light: Light) -> Lights:
        """One direction over its ambient term, or the even lights that shade as harmonics do.

        Raises ValueError for a light whose numbers are not finite.
        """
        if light.harmonics is not None:
            return cls._of_harmonics(np.asarray(light.harmonics, np.float64))
        values = [np.asarray(v, np.float64) for v in (light.direction, light.colour, light.ambient)]
        if not all(np.isfinite(one).all() for one in values):
            raise ValueError("a light whose numbers are not finite")
        return cls(normalise(values[0][None]), values[1][None], values[2])

    @classmethod
    def _of_harmonics(cls, coefficients: FloatArray) -> Lights:
        """Non-negative least squares over the sphere: negative lobes are no light."""
        if not np.isfinite(coefficients).all():
            raise ValueError("a light whose numbers are not finite")
        if coefficients.ndim == 1:
            coefficients = np.repeat(coefficients[:, None], 3, axis=1)
        normals, directions = even_directions(400), even_directions(_SKY)
        columns = np.maximum(normals @ directions.T, 0)
        columns = np.column_stack([columns, np.ones(len(normals))])
        target = shade_sh(normals, coefficients)
        weight = np.ones(len(normals))
        found = np.stack([_positive(columns, one, weight) for one in target.T], axis=1)
        kept = found[:-1].any(axis=1)
        return cls(directions[kept], found[:-1][kept], found[-1])

    def scaled(self, factor: float) -> Lights:
        """Each colour times `factor`."""
        return replace(self, colours=self.colours * factor, ambient=self.ambient * factor)

    @property
    def harmonics(self) -> FloatArray:
        """(9, 3) of the same light, for `geometry.light.shade_sh`."""
        each = np.stack([directional_to_sh(d) for d in self.directions])
        result = each.T @ self.colours
        result[0] += self.ambient * np.sqrt(4 * np.pi)
        return result


@dataclass(frozen=True, eq=False)
class Shading:
    """What lights do on a surface."""

    colours: NDArray[np.float32]  # (H, W, 3) linear RGB that a white matt surface sends back
    #: (H, W, 3) how its luminance changes with the normal: the sum of the lights that reach it.
    slope: NDArray[np.float32]


def shade_lights(
    normals: FloatArray, horizons: Horizons, lights: Lights, softness: float = SOFTNESS
) -> Shading:
    """Shading of unit `normals` (H, W, 3) with the shadows that they cast."""
    index = np.flatnonzero(normals.any(axis=-1))
    here = normals.reshape(-1, 3)[index].astype(np.float32)
    directions = lights.directions.astype(np.float32)
    cosine = here @ directions.T
    reaching = np.empty_like(cosine)
    for column, direction in enumerate(lights.directions):
        reaching[:, column] = horizons.at(index, direction, softness)
    reaching *= cosine > 0
    bright = (lights.colours @ LUMINANCE)[:, None]
    colours, slope = (np.zeros(normals.shape, np.float32) for _ in range(2))
    colours += lights.ambient.astype(np.float32)
    colours.reshape(-1, 3)[index] += (cosine * reaching) @ lights.colours.astype(np.float32)
    slope.reshape(-1, 3)[index] = reaching @ (directions * bright.astype(np.float32))
    return Shading(colours, slope)


def even_directions(count: int) -> FloatArray:
    """(count, 3) unit vectors on a spiral about z: each stands for as much of the sphere."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = index * np.pi * (1 + np.sqrt(5))
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=-1)


def fit_lights(
    photo: FloatArray, normals: FloatArray, horizons: Horizons, skin: BoolArray
) -> Lights:
    """The lights of a photograph of a surface whose normals are known.

    Non-negative least squares over even directions, each with the shadows it would cast, and an
    ambient term; Cauchy weights take brows, highlights and wrong normals their say. Where a single
    lamp explains as much, it is that lamp, its direction searched for.

    Args:
        photo: (H, W, 3) linear light.
        normals: (H, W, 3) unit.
        horizons: of the same surface.
        skin: (H, W) where the albedo is about the same: it is taken as 1, and the skin's mean
            colour for its own, so that lights differ from white only as they do from each other.

    Raises:
        ValueError: fewer than 50 usable pixels, or black ones alone.
    """
    usable = np.flatnonzero(skin & (photo.max(axis=-1) < 0.98))
    if len(usable) < 50:
        raise ValueError("too little of the face is seen to tell its light")
    chosen = usable[:: max(1, len(usable) // _PIXELS)]
    values = photo.reshape(-1, 3)[chosen].astype(np.float64)
    luminance = values @ LUMINANCE
    if not np.median(luminance) > 1e-4:
        raise ValueError("the face is too dark to tell its light")
    places = _Places(normals.reshape(-1, 3)[chosen].astype(np.float64), horizons, chosen)
    found = _several(places, values, luminance)
    lamp = _lamp(places, luminance, found)
    return lamp or found.lights


@dataclass(frozen=True, eq=False)
class _Places:
    """Some pixels of a surface."""

    normals: FloatArray  # (P, 3)
    horizons: Horizons
    index: NDArray[np.int64]  # (P,) of the map's pixels

    def lit(self, direction: FloatArray) -> FloatArray:
        """(P,) shading under one light."""
        reaching = self.horizons.at(self.index, direction, _BROAD)
        return np.maximum(self.normals @ direction, 0) * reaching


@dataclass(frozen=True, eq=False)
class _Fit:
    lights: Lights
    cost: float


def _several(places: _Places, values: FloatArray, luminance: FloatArray) -> _Fit:
    directions = even_directions(_CANDIDATES)
    directions = directions[directions[:, 2] > _BEHIND]
    columns = np.stack([*map(places.lit, directions), np.ones(len(luminance))], axis=1)
    strengths, weight = _robust(columns, luminance)
    kept = strengths > _FAINT * strengths.max()
    kept[-1] = True
    # Lights may differ in colour, but not from the skin's: that is the skin.
    tint = np.median(values, axis=0) / np.median(luminance)
    colours = np.stack(
        [_positive(columns[:, kept], values[:, c] / max(tint[c], 1e-6), weight) for c in range(3)],
        1,
    )
    lights = Lights(directions[kept[:-1]], colours[:-1], colours[-1])
    return _Fit(lights, _cost(luminance - columns @ strengths, luminance))


def _lamp(places: _Places, luminance: FloatArray, several: _Fit) -> Lights | None:
    """The one lamp over ambient light, if it explains about as much as `several` lights."""
    lights = several.lights
    if not len(lights.directions):
        return None
    bright = lights.colours @ LUMINANCE
    near = lights.directions @ lights.directions[bright.argmax()] > np.cos(np.radians(_CLUSTER))
    direction = normalise((bright[near, None] * lights.directions[near]).sum(axis=0))
    cost, strengths = _as_lamp(places, luminance, direction)
    step = 8.0  # degrees
    while step > 1:
        round_it = _around(direction, step)
        tried = [_as_lamp(places, luminance, one) for one in round_it]
        best = int(np.argmin([one[0] for one in tried]))
        if tried[best][0] < cost:
            cost, strengths = tried[best]
            direction = round_it[best]
        else:
            step /= 2
    if cost > _ONE * several.cost or not strengths[0] > 0:
        return None
    strength, ambient = (np.full(3, float(value)) for value in strengths)
    return Lights(direction[None], strength[None], ambient)


def _as_lamp(
    places: _Places, luminance: FloatArray, direction: FloatArray
) -> tuple[float, FloatArray]:
    columns = np.stack([places.lit(direction), np.ones(len(luminance))], axis=1)
    strengths, _ = _robust(columns, luminance)
    return _cost(luminance - columns @ strengths, luminance), strengths


def _around(direction: FloatArray, degrees: float) -> list[FloatArray]:
    """Six directions that are so far from `direction`."""
    aside = normalise(np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))]))
    other = np.cross(aside, direction)
    turns = np.arange(6) * np.pi / 3
    offsets = np.cos(turns)[:, None] * aside + np.sin(turns)[:, None] * other
    return list(normalise(direction + np.tan(np.radians(degrees)) * offsets))


def _cost(rest: FloatArray, luminance: FloatArray) -> float:
    """Mean square of a residual over the brightness, with what is far off cut."""
    return float(np.minimum((rest / luminance.mean()) ** 2, 0.25).mean())


def _robust(columns: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Non-negative strengths (D,) by Cauchy weights, and those (P,)."""
    weight: FloatArray = np.ones(len(target))
    strengths: FloatArray = np.zeros(columns.shape[1])
    for _ in range(5):
        strengths = _positive(columns, target, weight)
        size = np.abs(target - columns @ strengths)
        scale = 1.4826 * float(np.median(size))
        if not scale > 0:
            break
        weight = 1 / (1 + (size / (_CAUCHY * scale)) ** 2)
    return strengths, weight


def _positive(columns: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    """Non-negative least squares by the normal equations, slightly damped.

    Bro and De Jong, "A fast non-negativity-constrained least squares algorithm", Journal of
    Chemometrics 11, 1997. SciPy has one, too, in a package that takes longer to load than this.
    """
    weighted = columns * weight[:, None]
    square, right = weighted.T @ columns, weighted.T @ target
    square[np.diag_indices_from(square)] += 1e-4 * np.trace(square) / len(square) + 1e-12
    solution = np.zeros(len(square))
    free = np.zeros(len(square), bool)
    least = 1e-9 * float(np.abs(right).max())
    for _ in range(3 * len(square)):
        slope = np.where(free, -np.inf, right - square @ solution)
        if slope.max() <= least:
            break
        free[slope.argmax()] = True
        while True:
            tried = np.zeros(len(square))
            tried[free] = np.linalg.solve(square[np.ix_(free, free)], right[free])
            wrong = free & (tried <= 0)
            if not wrong.any():
                break
            # As far as all stay positive; what arrives at 0 stays there.
            step = np.min(solution[wrong] / (solution[wrong] - tried[wrong]))
            solution += step * (tried - solution)
            free &= solution > 1e-12
            solution[~free] = 0
        solution = tried
    return solution
