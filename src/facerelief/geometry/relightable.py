"""A photographed face in parts that new light can fall on: albedo, shading, and what is left.

The photo I is albedo times shading s_A under its own light A, and shine. Albedo is found by least
squares where much light falls, in windows from coarse to fine, each of which trusts its own pixels
as far as they are lit (I / s_A is noise in shadow) and their mirror images somewhat less; what the
finest windows know nothing of keeps the colour of the coarser ones.

A residual r = I - albedo s_A stays. It comes of albedo that was smoothed away, of relative variance
t^2, and of normals that are wrong by angles of variance a^2, which change the shading by dn . g_A,
g_A being the light that reaches a pixel. What part of r is seen again under a light B is then known
(the best linear estimate, Wiener's):

    c = (t^2 s_A s_B + a^2 <g_A, g_B>) / (t^2 s_A^2 + a^2 <g_A, g_A> + noise^2),

with products of what is tangent to the surface. Under the photo's own light c is about 1, and the
photo comes back; far from it, in its shadows, c falls to 0 where a ratio of shadings would explode.
Slow residuals are mostly wrong normals, fine ones mostly albedo: each band has its own t and a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from facerelief.arrays import BoolArray, FloatArray
from facerelief.easing import smooth_step
from facerelief.geometry.gloss import gloss
from facerelief.geometry.horizon import Horizons
from facerelief.geometry.integrate import normals_to_depth
from facerelief.geometry.light import LUMINANCE
from facerelief.geometry.lights import SOFTNESS, Lights, Shading, fit_lights, shade_lights
from facerelief.geometry.matte import parts_of
from facerelief.geometry.mirror import Mirror
from facerelief.geometry.normals import normalise

COARSE = 144  # pixels of the longer side in which lights, shadows and albedo are found

# All lengths as shares of the face's size.
_WINDOWS = (0.16, 0.06, 0.025, 0.008)  # of albedo: standard deviations
_TRUST = 0.6  # square of the shading at which a window knows as much as the coarser one
_MIRRORED = 0.7  # what a mirror image counts
_SLOW = 0.03  # of residuals: standard deviation that parts the bands
_ALBEDO = 0.1, 0.2  # t of the slow and of the fine band
_NORMALS = 0.15, 0.1  # a, radians
_PAINT = 0.4  # t beside that of skin where there is none: brows, eyes, lips, hair
_EDGE = 0.15, 0.5  # z of normals between which shine comes in
_NOISE = 0.05
_EXACT = 2  # lights that are worked out at every pixel; more of them on the coarse grid
_BRIGHTEST = 95  # percentile of the skin's shading that exposure goes by


@dataclass(frozen=True, eq=False)
class Surface:
    """Normals at every pixel, and coarsely what throws shadows on what."""

    normals: NDArray[np.float32]  # (H, W, 3) unit, zero off the mask
    coarse: NDArray[np.float32]  # (h, w, 3) unit
    horizons: Horizons  # of the coarse ones

    @classmethod
    def of(cls, normals: FloatArray, mask: BoolArray) -> Surface:
        """By integrating the normals (H, W, 3) within `mask` (H, W)."""
        normals = np.asarray(normals * mask[..., None], np.float32)
        shape = _coarse_shape(mask.shape)
        coarse = normalise(resized(normals, shape)).astype(np.float32)
        coarse *= (resized(mask.astype(np.float32), shape) > 0.5)[..., None]
        # Apart from the largest part, depth is not known: what is there keeps its light.
        parts, sizes = parts_of(np.asarray(coarse.any(axis=-1)))
        largest = parts == (sizes.argmax() if len(sizes) else 0)
        depth = normals_to_depth(coarse, largest)
        return cls(planar(normals), coarse, Horizons.of_depth(depth))

    @property
    def mask(self) -> BoolArray:
        """(h, w) where there are coarse normals."""
        return np.asarray(self.coarse.any(axis=-1))

    @cached_property
    def _finer(self) -> NDArray[np.float32]:
        """(H, W, 3) how the normals are off the coarse ones."""
        return planar(self.normals - resized(self.coarse, self.normals.shape[:2]))

    def shade(self, lights: Lights) -> Shading:
        """At every pixel: `geometry.lights.shade_lights`."""
        shape = self.normals.shape[:2]
        if len(lights.directions) > _EXACT:
            found = shade_lights(self.coarse, self.horizons, lights)
            slope = resized(found.slope, shape)
            bright = np.maximum(resized(found.colours @ _GREY, shape), np.float32(1e-3))
            # To first order: how the pixel's own normal is off the coarse one.
            finer = _dot(slope, self._finer)
            gain = np.clip(1 + finer / bright, 0, 3)
            colours = resized(found.colours, shape)
            for plane in range(3):
                colours[..., plane] *= gain
            return Shading(colours, slope)
        colours, slope = (planar(np.zeros((*shape, 3), np.float32)) for _ in range(2))
        colours += lights.ambient.astype(np.float32)
        for direction, colour in zip(lights.directions, lights.colours, strict=True):
            reaching, cosine = self._lit(direction)
            on = reaching * (cosine > 0)
            lit = cosine * reaching
            along = direction * (colour @ LUMINANCE)
            for plane in range(3):
                colours[..., plane] += lit * np.float32(colour[plane])
                slope[..., plane] += on * np.float32(along[plane])
        return Shading(colours, slope)

    def shine(self, lights: Lights) -> NDArray[np.float32]:
        """(h, w, 3) on the coarse grid: `geometry.gloss.gloss`."""
        return gloss(self.coarse, self.horizons, lights)

    def _lit(self, direction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(H, W) how much of a light reaches each pixel, and its cosine, at least 0."""
        reaching = resized(self.horizons.reaching(direction, SOFTNESS), self.normals.shape[:2])
        cosine = _dot(self.normals, direction.astype(np.float32))
        return reaching, np.maximum(cosine, 0, out=cosine)


_GREY = LUMINANCE.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Relightable:
    """A photo's parts. Light B makes of them albedo s_B + turning <own, g_B> + shine."""

    surface: Surface
    lights: Lights  # the photo's own; the brightest skin faces a shading of 1
    exposure: float  # linear light of a white surface under a shading of 1
    albedo: NDArray[np.float32]  # (H, W, 3) linear, the residual's part in it
    turning: NDArray[np.float32]  # (H, W, 3) the residual's part that turns with the light
    own: NDArray[np.float32]  # (H, W, 3) tangent part of the photo's own light at each pixel
    glossy: NDArray[np.float32]  # (h, w) how much of the shine is seen

    @classmethod
    def of(
        cls,
        photo: FloatArray,
        surface: Surface,
        skin: FloatArray,
        alpha: FloatArray | None = None,
        angle: float = 0.0,
    ) -> Relightable:
        """Take a photo apart.

        Args:
            photo: (H, W, 3) linear light in [0, 1].
            surface: its normals.
            skin: (H, W) in [0, 1], pixels of skin: their albedo is about the same, and they shine.
            alpha: (H, W) in [0, 1] how much of a pixel is the surface's; all of it when None.
            angle: degrees by which the face is turned counter-clockwise in the picture.

        Raises:
            ValueError: too little or too dark a face to tell its light.
        """
        photo = np.asarray(photo, np.float32)
        shape = surface.coarse.shape[:2]
        small = resized(photo, shape)
        mask = surface.mask
        likely = resized(skin, shape) * mask
        lights = fit_lights(small, surface.coarse, surface.horizons, likely > 0.5)
        found = shade_lights(surface.coarse, surface.horizons, lights)
        exposure = float(np.percentile((found.colours @ _GREY)[likely > 0.5], _BRIGHTEST))
        lights = lights.scaled(1 / exposure)
        coarse = found.colours / np.float32(exposure)
        shine = surface.shine(lights) * likely[..., None]
        matt = np.maximum(small / np.float32(exposure) - shine, 0)
        base = _albedo(matt, coarse, mask, Mirror.of(surface.coarse, mask, angle))
        photo = photo / np.float32(exposure) - resized(shine, photo.shape[:2])
        parts = _parted(
            photo, base, matt - base * coarse, surface, surface.shade(lights), skin, alpha
        )
        if alpha is not None:
            for part in parts[:2]:
                part *= alpha[..., None]
            likely = likely * resized(alpha, shape)
        # Towards the outline normals are least certain, and shine is strongest.
        likely = likely * smooth_step(surface.coarse[..., 2], *_EDGE).astype(np.float32)
        return cls(surface, lights, exposure, *parts, likely)

    def brightness(self, lights: Lights) -> float:
        """Of the brightest skin under `lights`, as a shading."""
        found = shade_lights(self.surface.coarse, self.surface.horizons, lights)
        return float(np.percentile((found.colours @ _GREY)[self.glossy > 0.5], _BRIGHTEST))

    def under(self, lights: Lights) -> NDArray[np.float32]:
        """(H, W, 3) linear light under other lights, in which a shading of 1 is as bright as the
        photo's brightest skin. Not clipped; zero off the surface."""
        shading = self.surface.shade(lights)
        result = shading.colours
        result *= self.albedo
        turned = _dot(self.own, shading.slope)
        shine = self.surface.shine(lights) * self.glossy[..., None]
        for plane in range(3):  # each fits into the processor's cache
            part = result[..., plane]
            part += self.turning[..., plane] * turned
            part += resized(shine[..., plane], part.shape)
            np.maximum(part, 0, out=part)
            part *= np.float32(self.exposure)
        return result


def _albedo(
    photo: FloatArray, shading: FloatArray, mask: BoolArray, mirror: Mirror | None
) -> NDArray[np.float32]:
    """(h, w, 3) albedo, from coarse to fine."""
    inside = mask.astype(np.float32)[..., None]
    weight, amount = shading**2 * inside, photo * shading * inside
    if mirror is not None:
        weight = weight + _MIRRORED * mirror.image(weight)
        amount = amount + _MIRRORED * mirror.image(amount)
    size = max(mask.shape)
    total = np.maximum(weight.sum(axis=(0, 1)), 1e-6)
    result = np.zeros_like(photo) + (amount.sum(axis=(0, 1)) / total).astype(np.float32)
    for window in _WINDOWS:
        sigma = (window * size, window * size, 0)
        known, said = gaussian_filter(weight, sigma), gaussian_filter(amount, sigma)
        result = (said + np.float32(_TRUST) * result) / (known + np.float32(_TRUST))
    return result


def _parted(
    photo: FloatArray,
    base: FloatArray,
    residual: FloatArray,
    surface: Surface,
    shading: Shading,
    skin: FloatArray,
    alpha: FloatArray | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Albedo, turning and own of `Relightable`; `base` and its `residual` are on the grid."""
    shape, normals = photo.shape[:2], surface.normals
    sigma = _SLOW * max(base.shape)
    albedo = np.array(resized(base, shape))
    residual = residual * surface.mask[..., None]
    slow = resized(gaussian_filter(residual, (sigma, sigma, 0)), shape)
    fine = photo - albedo * shading.colours - slow
    bright = shading.colours @ _GREY
    along = np.einsum("...i,...i", normals, shading.slope)[..., None]
    own = shading.slope - along * normals
    sideways = np.einsum("...i,...i", own, own)
    turning = np.zeros_like(photo)
    if alpha is not None:  # what else shows through there is not of this albedo
        pure = (np.asarray(alpha, np.float32) ** 2)[..., None]
        slow, fine = slow * pure, fine * pure
    painted = np.float32(_PAINT**2) * (1 - skin)
    for band, t, a in zip((slow, fine), _ALBEDO, _NORMALS, strict=True):
        paint = np.float32(t**2) + painted
        share = band / (paint * bright**2 + a**2 * sideways + _NOISE**2)[..., None]
        albedo += (paint * bright)[..., None] * share
        turning += np.float32(a**2) * share
    on = np.asarray(normals.any(axis=-1))[..., None]
    return planar(albedo * on), planar(turning * on), planar(own * on)


def resized(layer: FloatArray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A layer (H, W) or (H, W, C) in another size, bilinear; what shrinks is averaged."""
    if layer.shape[:2] == tuple(shape):
        return np.array(layer, np.float32)
    if layer.ndim == 3:
        result = planar(np.empty((*shape, layer.shape[2]), np.float32))
        for index in range(layer.shape[2]):
            result[..., index] = resized(layer[..., index], shape)
        return result
    image = Image.fromarray(np.ascontiguousarray(layer, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) of planar (H, W, 3) and the same or (3,): plane by plane, where `einsum` is slow."""
    result: NDArray[np.float32] = np.asarray(a[..., 0] * b[..., 0])
    result += a[..., 1] * b[..., 1]
    result += a[..., 2] * b[..., 2]
    return result


def planar(layer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same (H, W, C), plane after plane in memory: sums and products of planes are three times
    as fast."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(layer, -1, 0)), 0, -1)


def _coarse_shape(shape: tuple[int, int]) -> tuple[int, int]:
    share = min(1.0, COARSE / max(shape))
    return max(round(shape[0] * share), 1), max(round(shape[1] * share), 1)
