"""Fine relief from a photo's fine shading, over a smooth surface that is known.

Over a surface with normals n0 lies a small relief d (pixels, outwards), whose surface gradient
turns the normals: n = normalise(n0 - grad d). To first order the log of the shading changes by

    (ds/dn . -grad d) / s(n0) + k |w| d,

with the photo's own light s, fitted as harmonics to the smooth surface. The second term is the
hollows' darkness: what is deep sees less of the sky (Beeler et al. 2010, "High-quality single-shot
capture of facial geometry", section 6: dark is deep), here for every wavelength alike. With
d = |w|^-1 e, |w| a spatial frequency, both become bounded: grad d is the Riesz transform of e, and
a few steps of conjugate gradients solve for e. Nothing is trained, and no size is special.

What is not relief must not become it. Only brightness finer than some crop pixels is explained at
all; of that, large steps (cast shadows, hair, lashes, moles) lose their say, as do dark and clipped
pixels, the face's edge, and what a caller leaves out (brows, eyes, lips).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.light import COSINE_LOBE, LUMINANCE, SH_CONSTANTS, fit_sh, shade_sh
from facerelief.geometry.normals import normalise

_FLOOR = 0.004  # of linear light: files know no darker one
_DARK, _BRIGHT = (0.01, 0.04), (0.95, 0.98)  # linear light in which a pixel gains and loses its say
_STEEPEST = 0.25  # the least n_z that slopes are made of
_STEP = 0.2  # of log brightness; larger ones are hardly believed
_LARGEST = 0.5  # and are cut there
_MOST = 3.0  # change of log brightness by a slope of 1: where light grazes, all is noise
_LEAST_PIXELS = 200  # lit ones, for a light to be fitted


class NoLightError(ValueError):
    """The photo tells nothing of its light: black, clipped, or with hardly any face."""

    def __init__(self) -> None:
        super().__init__("the face is too dark, too bright or too small to see its light")


@dataclass(frozen=True, eq=False)
class ShadingDetail:
    """A surface with the relief that its photo's shading shows."""

    normals: NDArray[np.float32]  # (H, W, 3) unit, zero off the mask
    relief: NDArray[np.float32]  # (H, W) pixels, outwards
    light: NDArray[np.float64]  # (9,) harmonics that were fitted, of `geometry.light`


def shading_detail(
    photo: FloatArray,
    normals: FloatArray,
    mask: BoolArray,
    scale: float,
    left_out: FloatArray | None = None,
    *,
    widest: float = 4.0,
    unexplained: bool = False,
    hollows: float = 0.3,
    stiffness: float = 1.0,
    iterations: int = 8,
    workers: int = 1,
) -> ShadingDetail:
    """Add what a photo's shading shows to smooth normals.

    Args:
        photo: (H, W, 3) linear light in [0, 1].
        normals: (H, W, 3) unit, x right, y up, z towards the viewer: what is known already.
        mask: (H, W), the face.
        scale: pixels here of a pixel of the 256 x 256 crop.
        widest: of those pixels, the Gaussian's that parts what is explained, finer than it, from
            what is left to the known surface.
        unexplained: whether the known surface's own shading is taken off the photo's first, as it
            must be where that changes within so many pixels.
        left_out: (H, W) in [0, 1], where brightness is no shading: 1 for not at all.
        hollows: how dark hollows are (k above).
        stiffness: how little of the shading's noise becomes relief.
        iterations: of the solver; workers: threads of its Fourier transforms.

    Raises:
        NoLightError: no light can be fitted.
        ValueError: shapes that do not fit, or a scale that is not positive.
    """
    shape = mask.shape
    if photo.shape != (*shape, 3) or normals.shape != (*shape, 3):
        raise ValueError(f"photo {photo.shape} and normals {normals.shape} do not fit {shape}")
    if not scale > 0:
        raise ValueError(f"scale must be positive, not {scale}")
    normals = np.asarray(normals, np.float32)
    luminance = np.asarray(photo, np.float32) @ LUMINANCE.astype(np.float32)
    say = _say(photo, luminance, mask, scale)
    if left_out is not None:
        say *= 1 - np.asarray(left_out, np.float32)
    light = _light(luminance, normals, say)
    logs = np.log(luminance + np.float32(_FLOOR))
    if unexplained:
        logs = logs - np.log(_shading(normals, light) + np.float32(_FLOOR))
    fine = np.where(mask, logs - _blurred(logs, mask, widest * scale), 0)
    say /= 1 + (fine / _STEP) ** 2
    slopes = _Slopes(normals)
    model = _Model(slopes, light, np.float32(hollows), say, workers)
    found = model.solve(np.clip(fine, -_LARGEST, _LARGEST), np.float32(stiffness), iterations)
    detailed = normalise(normals - slopes.gradient(*model.riesz.gradient(found)))
    detailed = np.where(mask[..., None], detailed, 0).astype(np.float32)
    return ShadingDetail(detailed, model.riesz.height(found), light)


def check_light(photo: FloatArray, mask: BoolArray, scale: float) -> None:
    """Raise NoLightError for a photo (H, W, 3), linear, that tells nothing of its light.

    Args:
        photo, mask, scale: as of `shading_detail`.
    """
    _usable(_say(photo, photo @ LUMINANCE.astype(photo.dtype), mask, scale))


def _usable(say: FloatArray) -> NDArray[np.intp]:
    usable = np.flatnonzero(say > 0.5)
    if len(usable) < _LEAST_PIXELS:
        raise NoLightError
    return usable


def _say(
    photo: FloatArray, luminance: FloatArray, mask: BoolArray, scale: float
) -> NDArray[np.float32]:
    """(H, W) in [0, 1]: how far a pixel's brightness is the skin's shading."""
    inner = binary_erosion(mask, iterations=max(1, round(2 * scale)))
    soft = gaussian_filter(inner.astype(np.float32), 1.3 * scale)
    lit = np.clip((luminance - _DARK[0]) / (_DARK[1] - _DARK[0]), 0, 1)
    whole = np.clip((_BRIGHT[1] - photo.max(axis=-1)) / (_BRIGHT[1] - _BRIGHT[0]), 0, 1)
    return (soft * mask * lit * whole).astype(np.float32)


def _light(luminance: FloatArray, normals: FloatArray, say: FloatArray) -> NDArray[np.float64]:
    usable = _usable(say)
    few = usable[:: max(1, len(usable) // 8000)]
    return np.asarray(fit_sh(luminance.ravel()[few], normals.reshape(-1, 3)[few], iterations=8))


def _shading(normals: FloatArray, light: NDArray[np.float64]) -> NDArray[np.float32]:
    """(H, W) of a white surface, and never as dark as none: harmonics are not that exact."""
    # Row by row: nine harmonics of all pixels would take more than all else here.
    shading = np.stack([shade_sh(row, light.astype(np.float32)) for row in normals])
    least = np.float32(0.05) * max(float(shading.max()), 1e-3)
    return np.maximum(shading, least).astype(np.float32)


def _blurred(values: FloatArray, mask: BoolArray, sigma: float) -> NDArray[np.float32]:
    """A Gaussian of what lies in the mask, by what of it does."""
    weight = gaussian_filter(mask.astype(np.float32), sigma, truncate=3)
    total = gaussian_filter(np.where(mask, values, 0).astype(np.float32), sigma, truncate=3)
    return total / np.maximum(weight, np.float32(1e-3))


class _Riesz:
    """Transforms that scale with no length: gradient of |w|^-1 e, its adjoint, and that height."""

    def __init__(self, shape: tuple[int, int], workers: int) -> None:
        from scipy import fft  # whether there is light can be seen without it

        self.shape, self.workers, self._fft = shape, workers, fft
        # Room beside the picture, so that its edges do not meet.
        self.room = tuple(fft.next_fast_len(side + side // 6, real=True) for side in shape)
        down = fft.fftfreq(self.room[0]).astype(np.float32)[:, None]
        right = fft.rfftfreq(self.room[1]).astype(np.float32)[None]
        length = np.hypot(down, right)
        length[0, 0] = 1
        self.x = (1j * right / length).astype(np.complex64)
        self.y = (-1j * down / length).astype(np.complex64)  # y is up
        self.inverse = (1 / (2 * np.pi * length)).astype(np.float32)
        self.inverse[0, 0] = 0

    def gradient(self, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        spectrum = self._forward(e)
        return self._back(spectrum * self.x), self._back(spectrum * self.y)

    def adjoint(self, across: FloatArray, upwards: FloatArray) -> FloatArray:
        x, y = self._forward(across), self._forward(upwards)
        return self._back(x * self.x.conj() + y * self.y.conj())

    def height(self, e: FloatArray) -> FloatArray:
        return self._back(self._forward(e) * self.inverse)

    def _forward(self, values: FloatArray) -> FloatArray:
        return self._fft.rfft2(values, self.room, workers=self.workers)

    def _back(self, spectrum: FloatArray) -> FloatArray:
        height, width = self.shape
        return self._fft.irfft2(spectrum, self.room, workers=self.workers)[:height, :width]


class _Slopes:
    """Of the smooth surface: what a gradient in the picture is as one on the surface."""

    def __init__(self, normals: FloatArray) -> None:
        z = np.maximum(normals[..., 2], np.float32(_STEEPEST))
        self.p, self.q = -normals[..., 0] / z, -normals[..., 1] / z
        self.area = 1 + self.p**2 + self.q**2

    def raised(self, dx: FloatArray, dy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Components along the tangents (1, 0, p) and (0, 1, q): the metric's inverse."""
        mixed = self.p * self.q
        return (
            ((1 + self.q**2) * dx - mixed * dy) / self.area,
            ((1 + self.p**2) * dy - mixed * dx) / self.area,
        )

    def gradient(self, dx: FloatArray, dy: FloatArray) -> FloatArray:
        """(H, W, 3) tangent vectors."""
        a, b = self.raised(dx, dy)
        return np.stack([a, b, a * self.p + b * self.q], axis=-1)


class _Model:
    """Log brightness by relief, linear in e, and its least squares."""

    def __init__(
        self,
        slopes: _Slopes,
        light: NDArray[np.float64],
        hollows: np.float32,
        say: NDArray[np.float32],
        workers: int,
    ) -> None:
        self.riesz = _Riesz(say.shape, workers)
        self.hollows, self.say = hollows, say
        p, q = slopes.p, slopes.q
        normal = np.stack([-p, -q, np.ones_like(p)], axis=-1) / np.sqrt(slopes.area)[..., None]
        bright = _shading(normal, light)
        change = _shading_gradient(normal, light)
        along = change[..., 0] + change[..., 2] * p
        upwards = change[..., 1] + change[..., 2] * q
        # The metric is symmetric: raising the light's slope is as good as raising the relief's.
        x, y = slopes.raised(along / bright, upwards / bright)
        strength = np.minimum(1, _MOST / np.maximum(np.hypot(x, y), 1e-6)).astype(np.float32)
        self.x, self.y = -x * strength, -y * strength

    def forward(self, e: FloatArray) -> FloatArray:
        dx, dy = self.riesz.gradient(e)
        return self.x * dx + self.y * dy + self.hollows * e

    def adjoint(self, values: FloatArray) -> FloatArray:
        return self.riesz.adjoint(self.x * values, self.y * values) + self.hollows * values

    def solve(self, target: FloatArray, stiffness: np.float32, iterations: int) -> FloatArray:
        """The e with the least say (forward(e) - target)^2 + stiffness e^2."""
        e = np.zeros_like(target)
        rest = self.adjoint(self.say * target)
        step, size = rest.copy(), float((rest**2).sum())
        for _ in range(iterations):
            if not size > 0:
                break
            seen = self.adjoint(self.say * self.forward(step)) + stiffness * step
            length = np.float32(size / float((step * seen).sum()))
            e += length * step
            rest -= length * seen
            before, size = size, float((rest**2).sum())
            step = rest + np.float32(size / before) * step
        return e


def _shading_gradient(normals: FloatArray, light: NDArray[np.float64]) -> FloatArray:
    """(H, W, 3) derivative of `shade_sh` by the normal, as a polynomial of it."""
    k = (SH_CONSTANTS * COSINE_LOBE * light).astype(np.float32)
    x, y, z = np.moveaxis(normals, -1, 0)
    return np.stack(
        [
            k[3] + k[4] * y + k[7] * z + 2 * k[8] * x,
            k[1] + k[4] * x + k[5] * z - 2 * k[8] * y,
            k[2] + k[5] * y + 6 * k[6] * z + k[7] * x,
        ],
        axis=-1,
    )
