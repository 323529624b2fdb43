"""The colours that skin can have: melanin above, blood below.

A two-layer model of diffuse reflectance. The epidermis absorbs on the way in and out; the dermis
reflects what diffusion theory gives a half-space with its absorption and reduced scattering.
Spectra are integrated to linear sRGB under a white that is made (1, 1, 1).

Sources: Jacques, *Skin Optics* (1998), for baseline and scattering; Prahl's tabulated extinction of
haemoglobin (1998); Flock et al. (1989) for the half-space; Wyman et al., *Simple analytic
approximations to the CIE XYZ color matching functions* (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray

#: Optical density of the melanin at 550 nm, in and out, at tone 0 (very pale) and at tone 1.
MELANIN = (0.06, 2.8)
#: Its fall with the wavelength. Extracted eumelanin has 3.3; skin that scatters within the pigment
#: and bears it in patches looks flatter: 1.6 carries measured pale skin into measured dark skin.
MELANIN_SLOPE = 1.6
#: Reflected above the pigment whatever lies below, so that the darkest skin is brown, not red.
SURFACE = 0.010
#: Volume fraction of blood in the dermis at flush 0 (bloodless) and at flush 1 (lips, burns).
BLOOD = (0.0015, 0.16)
OXYGENATION = 0.7

_WAVELENGTHS = np.arange(400, 701, 10.0)  # nm
# Molar extinction of oxygenated and of reduced haemoglobin, per cm and mole a litre.
_OXYGENATED = (
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202,
    39957, 53236, 43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278,
    276, 290,
)  # fmt: skip
_REDUCED = (
    223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25774, 31590,
    39036, 46592, 53412, 53788, 45072, 37020, 28324, 14677, 9444, 6510, 5149, 4345, 3750, 3227,
    2795, 2408, 2052, 1794,
)  # fmt: skip


def encode(linear: ArrayLike) -> FloatArray:
    """Linear RGB to sRGB in [0, 1], clipped."""
    x = np.clip(linear, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def decode(encoded: ArrayLike) -> FloatArray:
    """sRGB in [0, 1] to linear RGB."""
    x = np.asarray(encoded)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def skin_colour(tone: ArrayLike, flush: ArrayLike) -> FloatArray:
    """Linear sRGB (..., 3) of skin.

    Args:
        tone: amount of melanin, 0 very pale to 1 very dark (near linear in lightness).
        flush: amount of blood, 0 to 1 (logarithmic in the fraction).
    """
    nm = _WAVELENGTHS
    density = MELANIN[0] + (MELANIN[1] - MELANIN[0]) * np.asarray(tone, float)[..., None] ** 1.25
    blood = BLOOD[0] * (BLOOD[1] / BLOOD[0]) ** np.asarray(flush, float)[..., None]
    epidermis = np.exp(-density * (nm / 550) ** -MELANIN_SLOPE)
    baseline = 0.0244 + 8.53 * np.exp(-(nm - 154) / 66.2)
    extinction = OXYGENATION * np.array(_OXYGENATED) + (1 - OXYGENATION) * np.array(_REDUCED)
    haemoglobin = 2.303 * extinction * 150 / 64500 / 10  # 150 g a litre of whole blood, per mm
    scattering = 14.74 * nm**-0.22 + 2.2e11 * nm**-4  # reduced, per mm

    absorption = blood * haemoglobin + (1 - blood) * baseline * 0.1
    albedo = scattering / (absorption + scattering)
    root = np.sqrt(3 * (1 - albedo))
    internal = 3.2  # of the mismatched boundary at index 1.4
    dermis = 0.5 * albedo * (1 + np.exp(-4 / 3 * internal * root)) * np.exp(-root)
    # Light that the boundary turns back gets out at a later try; normalised to a white dermis.
    return np.clip((SURFACE + epidermis * dermis) @ _sensors(), 1e-4, 1)


@cache
def _sensors() -> FloatArray:
    """(31, 3) weights of a reflectance spectrum in linear sRGB; those of white sum to 1."""

    def lobe(mean: float, below: float, above: float) -> FloatArray:
        width = np.where(mean > _WAVELENGTHS, below, above)
        return np.exp(-0.5 * ((_WAVELENGTHS - mean) / width) ** 2)

    xyz = np.stack(
        [
            1.056 * lobe(599.8, 37.9, 31.0)
            + 0.362 * lobe(442.0, 16.0, 26.7)
            - 0.065 * lobe(501.1, 20.4, 26.2),
            0.821 * lobe(568.8, 46.9, 40.5) + 0.286 * lobe(530.9, 16.3, 31.1),
            1.217 * lobe(437.0, 11.8, 36.0) + 0.681 * lobe(459.0, 26.0, 13.8),
        ],
        axis=-1,
    )
    to_rgb = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    # Scale XYZ to the white of sRGB, so that a white surface has equal R, G and B.
    xyz = xyz / xyz.sum(axis=0) * np.array([0.9505, 1.0, 1.089])
    return xyz @ to_rgb.T


@dataclass(frozen=True, eq=False)
class Palette:
    """Skin colours by table: 256 tones by 64 flushes, so that a picture is one look-up."""

    encoded: NDArray[np.float32]  # (3, 256 * 64) sRGB in [0, 1]

    @classmethod
    def build(cls) -> Palette:
        tone, flush = np.meshgrid(np.linspace(0, 1, 256), np.linspace(0, 1, 64), indexing="ij")
        return cls(encode(skin_colour(tone, flush)).reshape(-1, 3).T.astype(np.float32))

    def __call__(
        self,
        tone: NDArray[np.float32],
        flush: NDArray[np.float32],
        tint: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> NDArray[np.float32]:
        """sRGB (3, n), planes of red, green and blue, of tone and flush (n,), times `tint`.

        Tone and flush outside [0, 1] count as the nearest end.
        """
        row, column = tone * np.float32(255), flush * np.float32(63)
        for values, last in ((row, 255), (column, 63)):
            values += np.float32(0.5)
            np.clip(values, 0, last, out=values)
        index = row.astype(np.int32)
        index *= 64
        index += column.astype(np.int32)
        table = self.encoded * np.asarray(tint, np.float32)[:, None]
        picture = np.empty((3, len(index)), np.float32)
        for plane, colours in zip(picture, table, strict=True):
            colours.take(index, out=plane, mode="clip")
        return picture


@dataclass(frozen=True, eq=False)
class Pigments:
    """A texture taken apart: about its typical skin, how every texel differs."""

    tone: NDArray[np.float32]  # (H, W), zero for typical skin
    flush: NDArray[np.float32]  # (H, W), likewise
    shade: NDArray[np.float32]  # (H, W) natural logarithm of a factor on linear RGB
    typical: tuple[float, float]  # tone and flush of its typical skin


def separate(rgb: NDArray[np.uint8], where: NDArray[np.bool_]) -> Pigments:
    """Melanin, blood and shade of a skin texture (H, W, 3), sRGB; `where` is plain skin.

    The typical colour is the median over `where`; the nearest that skin can have stands for it.
    Around it the logarithm of reflectance is linear in both pigments (after Tsumura et al., 2003),
    and a small price on each keeps what neither explains, such as black hair, in the shade.
    """
    table = np.log(np.maximum(decode(np.arange(256) / 255), 2e-3)).astype(np.float32)
    logarithm = table[rgb]
    centre = np.median(logarithm[where], axis=0)
    tone, flush = np.meshgrid(np.linspace(0.06, 0.95, 90), np.linspace(0.1, 0.7, 61), indexing="ij")
    colours = np.log(skin_colour(tone, flush))
    # Exposure of the picture is unknown, its hue is what tells: lightness counts half.
    gap = colours - centre
    hue = gap - gap.mean(axis=-1, keepdims=True)
    best = np.argmin((hue**2).sum(axis=-1) + 0.5 * gap.mean(axis=-1) ** 2)
    typical = (float(tone.flat[best]), float(flush.flat[best]))

    here = np.asarray(typical)
    step = 0.05
    columns = [
        (np.log(skin_colour(*(here + side))) - np.log(skin_colour(*(here - side)))) / (2 * step)
        for side in np.eye(2) * step
    ]
    system = np.stack([*columns, np.ones(3)], axis=1)  # (3 colours, 3 unknowns)
    price = np.diag(0.05 / np.array([0.2, 0.3, 0.4])) ** 2
    solver = np.linalg.solve(system.T @ system + price, system.T)
    logarithm -= centre
    parts = logarithm @ solver.T.astype(np.float32)
    return Pigments(parts[..., 0], parts[..., 1], parts[..., 2], typical)
