"""Far light on matt surfaces: one direction, or second-order spherical harmonics.

Directions point *towards* the light, in camera space (x right, y up, z towards the viewer).
Shading is linear light: what a white Lambertian surface sends back, so shading times albedo is the
photograph before its gamma curve (`srgb_to_linear` undoes that).

Spherical harmonics are the nine real ones of order 0 to 2 in the order
1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2, orthonormal. Coefficients of a light are those of its
radiance. A Lambertian surface blurs the radiance with the cosine lobe, whose factors are
pi, 2 pi / 3 and pi / 4 for the three orders (Ramamoorthi & Hanrahan, "An efficient representation
for irradiance environment maps", SIGGRAPH 2001); a white surface sends back that over pi. Second
order reproduces the shading under any far light within a few per cent, cast shadows aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.normals import cos_sin

#: The constants of the nine harmonics, and of the cosine lobe (over pi) for each of them.
SH_CONSTANTS = np.array(
    [
        np.sqrt(1 / (4 * np.pi)),
        *[np.sqrt(3 / (4 * np.pi))] * 3,
        *[np.sqrt(15 / (4 * np.pi))] * 2,
        np.sqrt(5 / (16 * np.pi)),
        np.sqrt(15 / (4 * np.pi)),
        np.sqrt(15 / (16 * np.pi)),
    ]
)
COSINE_LOBE = np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])

#: Azimuth and elevation of the shading row that papers on face normals show.
SEVEN_LIGHTS = ((0, 0), (-60, 0), (-30, 0), (30, 0), (60, 0), (0, -45), (0, 45))

#: Of linear sRGB (ITU-R BT.709).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

# Tukey's constant for Cauchy weights: 95 % efficient where the noise is Gaussian after all.
_CAUCHY = 2.385


@dataclass(frozen=True, eq=False)
class Light:
    """Far light in camera space: one direction over an even ambient term, or harmonics.

    With `harmonics`, the nine second-order spherical harmonics of the shading as
    this module orders them, the other fields are not used.
    """

    direction: tuple[float, float, float] = (0.0, 0.0, 1.0)  # unit, towards the light
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)  # linear RGB, strength included
    ambient: tuple[float, float, float] = (0.0, 0.0, 0.0)  # linear RGB
    harmonics: FloatArray | None = None  # (9, 3) linear RGB, or (9,) for grey

    @classmethod
    def from_angles(cls, azimuth: float, elevation: float, ambient: float = 0.0) -> Light:
        """White light from `azimuth` (positive lights the picture's left) and `elevation` (up).

        (-sin a cos e, sin e, cos a cos e): the signs of the Extended Yale Database B.
        """
        cos_a, sin_a = cos_sin(azimuth)
        cos_e, sin_e = cos_sin(elevation)
        return cls((-sin_a * cos_e, sin_e, cos_a * cos_e), ambient=(ambient,) * 3)


def direction(azimuth: ArrayLike, elevation: ArrayLike) -> NDArray[np.float64]:
    """Unit vectors (..., 3) towards lights at `azimuth` and `elevation` (...), degrees.

    (-sin a cos e, sin e, cos a cos e): (0, 0) is at the camera, positive azimuth lights the
    picture's left and positive elevation comes from above, as in Extended Yale B's file names.
    """
    a, e = np.broadcast_arrays(np.radians(azimuth), np.radians(elevation))
    return np.stack([-np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], axis=-1)


def angles(directions: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth and elevation (...), degrees, of `directions` (..., 3): inverse of `direction`."""
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    return np.degrees(np.arctan2(-x, z)), np.degrees(np.arctan2(y, np.hypot(x, z)))


def seven_lights() -> NDArray[np.float64]:
    """(7, 3) directions of the usual shading row: see SEVEN_LIGHTS."""
    return direction(*np.transpose(SEVEN_LIGHTS))


def shade(normals: ArrayLike, light: ArrayLike, out: FloatArray | None = None) -> FloatArray:
    """Shading (...) of unit `normals` (..., 3) under a far light of strength 1: max(n . l, 0).

    `light` is a direction (3,) or one a normal (..., 3); `out` (...) takes the result.
    """
    normals = np.asarray(normals)
    # Not as a matrix product: the threads of BLAS would spin, and starve the networks' threads.
    cosine = np.einsum("...i,...i", normals, np.asarray(light, dtype=normals.dtype), out=out)
    return np.clip(cosine, 0, np.inf, out=out)  # a third of the time of `np.maximum`


def illuminate(normals: ArrayLike, light: Light) -> FloatArray:
    """RGB shading (..., 3) of unit `normals` (..., 3) under `light`, linear."""
    normals = np.asarray(normals)
    if light.harmonics is not None:
        shading = shade_sh(normals, light.harmonics)
        grey = np.ndim(light.harmonics) == 1
        return np.repeat(shading[..., None], 3, axis=-1) if grey else shading
    colour, ambient = (np.asarray(rgb, normals.dtype) for rgb in (light.colour, light.ambient))
    return shade(normals, light.direction)[..., None] * colour + ambient


def sh_basis(directions: ArrayLike) -> FloatArray:
    """The nine harmonics (..., 9) of unit `directions` (..., 3)."""
    directions = np.asarray(directions)
    x, y, z = np.moveaxis(directions, -1, 0)
    polynomials = [np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return np.stack(polynomials, axis=-1) * SH_CONSTANTS.astype(directions.dtype)


def shade_sh(normals: ArrayLike, coefficients: ArrayLike) -> FloatArray:
    """Shading of unit `normals` (..., 3) under a light of `coefficients` (9,) or (9, C).

    Returns (...) or (..., C). A light of radiance 1 from everywhere shades everything 1. Second
    order can dip slightly below 0 far from a strong light; it is not clamped.
    """
    basis = sh_basis(normals)
    return (basis * COSINE_LOBE.astype(basis.dtype)) @ np.asarray(coefficients, dtype=basis.dtype)


def directional_to_sh(light: ArrayLike, strength: float = 1.0) -> FloatArray:
    """Coefficients (9,) of a far light from the direction (3,), such that shade_sh ~ shade."""
    # A light that shades a facing surface 1 has an irradiance of pi.
    return np.pi * strength * sh_basis(np.asarray(light, dtype=np.float64))


def fit_sh(
    luminance: ArrayLike,
    normals: ArrayLike,
    mask: ArrayLike | None = None,
    ridge: float = 1e-6,
    iterations: int = 20,
) -> FloatArray:
    """The light of a photograph, given its normals, as spherical harmonics.

    Assumes one albedo on most of the pixels and takes it as 1, since no photograph can tell a
    bright light from a bright surface. What differs (brows, lips, highlights, cast shadows) loses
    its say by Cauchy weights.

    Args:
        luminance: (...) or (..., C), linear light.
        normals: (..., 3) unit.
        mask: (...) bool, which pixels count; all when None.
        ridge: regularisation relative to the data: half a sphere of normals does not fix all nine.
        iterations: of reweighting.

    Returns:
        (9,) or (9, C) coefficients for `shade_sh`.

    Raises:
        ValueError: shapes that do not fit; fewer than nine usable pixels.
    """
    target, unit, colour_shape = _fit_input(luminance, normals, mask, 9)
    basis = sh_basis(unit) * COSINE_LOBE
    damping = np.sqrt(ridge * len(basis) / 9) * np.eye(9)

    def solve(weight: FloatArray) -> FloatArray:
        root = np.sqrt(weight)[:, None]
        rows = np.concatenate([basis * root, damping])
        return np.linalg.lstsq(rows, np.pad(target * root, ((0, 9), (0, 0))), rcond=None)[0]

    return _reweighted(solve, lambda c: target - basis @ c, len(target), iterations).reshape(
        9, *colour_shape
    )


def fit_directional(
    luminance: ArrayLike,
    normals: ArrayLike,
    mask: ArrayLike | None = None,
    iterations: int = 30,
) -> Light:
    """The one far light, over an even ambient term, that explains a photograph best.

    Least squares of strength * max(n . l, 0) + ambient, neither negative, with Cauchy weights;
    arguments and the caveat on albedo as in `fit_sh`, but `luminance` is (...) only.

    Returns:
        A grey Light.

    Raises:
        ValueError: shapes that do not fit; fewer than four usable pixels; a photo that no light
            from any direction explains (all of one value, say).
    """
    target, unit, colour_shape = _fit_input(luminance, normals, mask, 4)
    if colour_shape:
        raise ValueError("one directional light is fitted to one luminance, not to colours")
    target = target[:, 0]
    fit = np.zeros(4)  # strength * direction, ambient

    def solve(weight: FloatArray) -> FloatArray:
        # The lit side of the last round counts as linear; its first round takes all as lit.
        nonlocal fit
        lit = (unit @ fit[:3] > 0) if fit.any() else np.ones(len(unit), bool)
        root = np.sqrt(weight)[:, None]
        rows = np.column_stack([unit * lit[:, None], np.ones(len(unit))]) * root
        fit = np.linalg.lstsq(rows, target * root[:, 0], rcond=None)[0]
        if fit[3] < 0:  # darkness does not add: without the ambient term then
            fit = np.append(np.linalg.lstsq(rows[:, :3], target * root[:, 0], rcond=None)[0], 0)
        return fit

    def residual(solution: FloatArray) -> FloatArray:
        return target - np.maximum(unit @ solution[:3], 0) - solution[3]

    *vector, ambient = _reweighted(solve, residual, len(target), iterations)
    strength = float(np.linalg.norm(vector))
    if not strength > 1e-9 * np.abs(target).max():
        raise ValueError("the photograph shows no direction of light")
    x, y, z = (float(value) / strength for value in vector)
    return Light((x, y, z), colour=(strength,) * 3, ambient=(float(ambient),) * 3)


def srgb_to_linear(values: ArrayLike) -> FloatArray:
    """Linear light of sRGB `values` in [0, 1] (IEC 61966-2-1)."""
    values = np.asarray(values)
    return np.where(
        values <= 0.04045, values / 12.92, (np.maximum(values, 0) / 1.055 + 0.055 / 1.055) ** 2.4
    )


def linear_to_srgb(values: ArrayLike) -> FloatArray:
    """sRGB values of linear light in [0, 1]: inverse of `srgb_to_linear`."""
    values = np.asarray(values)
    return np.where(
        values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055
    )


def _fit_input(
    luminance: ArrayLike, normals: ArrayLike, mask: ArrayLike | None, least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    """The usable pixels: luminance (P, C), normals (P, 3) and the shape () or (C,) of a colour."""
    luminance, normals = np.asarray(luminance, np.float64), np.asarray(normals, np.float64)
    shape = normals.shape[:-1]
    colour_shape = luminance.shape[len(shape) :]
    if (
        normals.shape[-1:] != (3,)
        or luminance.shape[: len(shape)] != shape
        or len(colour_shape) > 1
    ):
        raise ValueError(f"luminance {luminance.shape} does not fit normals {normals.shape}")
    usable = np.ones(shape, bool) if mask is None else np.asarray(mask, bool)
    if usable.shape != shape:
        raise ValueError(f"mask {usable.shape} does not fit normals {normals.shape}")
    target = luminance.reshape(*shape, -1)
    usable = usable & np.isfinite(target).all(axis=-1) & np.isfinite(normals).all(axis=-1)
    usable &= normals.any(axis=-1)
    if np.count_nonzero(usable) < least:
        raise ValueError(f"a fit of the light needs at least {least} usable pixels")
    return target[usable], normals[usable], colour_shape


def _reweighted(
    solve: Callable[[FloatArray], FloatArray],
    residual: Callable[[FloatArray], FloatArray],
    count: int,
    iterations: int,
) -> FloatArray:
    """Iteratively reweighted least squares with Cauchy weights at the scale of the residuals."""
    solution = solve(np.ones(count))
    for _ in range(iterations):
        size = np.linalg.norm(residual(solution).reshape(count, -1), axis=-1)
        scale = 1.4826 * np.median(size)
        if not scale > 0:  # at least half of the pixels fit exactly
            break
        solution = solve(1 / (1 + (size / (_CAUCHY * scale)) ** 2))
    return solution
