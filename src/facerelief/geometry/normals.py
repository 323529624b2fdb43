"""Normal fields: pictures of them, frames, rotation, smoothing and the angle between them.

Normals are (..., 3) of any batch shape; floats keep their precision, anything else becomes
float32. Our frame is `opengl`: camera space, x right, y up, z towards the viewer. A zero vector
means "no normal here"; it stays zero everywhere.
"""

from math import cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray

#: opengl: x right, y up, z to the viewer. directx: x right, y down, z to the viewer.
#: opencv: x right, y down, z away. tangent: along the tangent, bitangent and normal of a surface.
FRAMES = ("opengl", "directx", "opencv", "tangent")

# Each is its own inverse, so one table serves both directions.
_SIGNS = {
    "opengl": np.array([1, 1, 1], np.int8),
    "directx": np.array([1, -1, 1], np.int8),
    "opencv": np.array([1, -1, -1], np.int8),
}

# Decoded vectors shorter than this were no normals: zero encodes to a length of 0.007.
_SHORTEST = 0.1


def normalise(vectors: ArrayLike) -> FloatArray:
    """`vectors` (..., 3) at length 1; zero and non-finite vectors become zero."""
    vectors = _floating(vectors)
    # Dividing by the largest component first keeps tiny and huge vectors from under- or overflow.
    # (Column by column: a maximum over so few is many times as slow.)
    x, y, z = np.moveaxis(np.abs(vectors), -1, 0)
    largest = np.maximum(np.maximum(x, y), z)[..., None]
    usable = np.isfinite(largest) & (largest > 0)
    scaled = np.divide(vectors, largest, out=np.zeros_like(vectors), where=usable)
    length = np.sqrt(np.einsum("...i,...i", scaled, scaled))[..., None]
    return np.divide(scaled, length, out=scaled, where=usable)


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """(...) of vectors (..., C): so few components are summed up many times as fast like this."""
    products: FloatArray = np.einsum("...i,...i", a, b)
    return products


def encode(normals: ArrayLike, bits: int = 8) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Pixels of a normal-map picture, `round((n + 1) / 2 * (2^bits - 1))`.

    Args:
        normals: (..., 3) unit, in whatever frame the picture shall have.
        bits: 8 or 16 a channel.

    Returns:
        (..., 3) uint8 or uint16. Zero and non-finite vectors become the mid grey that `decode`
        reads as zero.

    Raises:
        ValueError: other `bits`.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    normals = _floating(normals)
    finite = np.isfinite(normals)
    if not finite.all():
        normals = np.where(finite.all(axis=-1, keepdims=True), normals, 0)
    half = (2**bits - 1) / 2
    values = np.clip(normals, -1, 1)
    values *= half
    values += half
    np.rint(values, out=values)
    return values.astype(np.uint8) if bits == 8 else values.astype(np.uint16)


def decode(pixels: ArrayLike) -> NDArray[np.float32]:
    """Unit normals (..., 3) float32 of normal-map `pixels` (..., 3) uint8 or uint16.

    A unit normal comes back within 0.4 degrees from 8 bits and 0.002 degrees from 16. Mid grey is
    no normal and gives zero.

    Raises:
        ValueError: pixels of another type or without three channels.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8 or uint16, got {pixels.dtype}")
    _check_last_axis("pixels", pixels)
    normals = pixels.astype(np.float32) * np.float32(2 / np.iinfo(pixels.dtype).max) - 1
    present = np.einsum("...i,...i", normals, normals) > _SHORTEST**2
    return normalise(normals * present[..., None])


def cos_sin(angle: float) -> tuple[float, float]:
    """Cosine and sine of degrees, exact for quarter turns."""
    quarter, rest = divmod(angle, 90.0)
    c, s = cos(radians(rest)), sin(radians(rest))
    return ((c, s), (-s, c), (-c, -s), (s, -c))[int(quarter) % 4]


def rotate_in_plane(normals: ArrayLike, angle: float) -> FloatArray:
    """`normals` (..., 3) turned by `angle` degrees about the viewing axis, counter-clockwise.

    Turns the vectors, not the picture: a picture of normals that is turned counter-clockwise
    needs both.
    """
    normals = _floating(normals)
    c, s = cos_sin(angle)
    turned = normals.copy()
    # Not as a matrix product: the threads of BLAS would spin for a sum of two terms.
    turned[..., 0] = c * normals[..., 0] - s * normals[..., 1]
    turned[..., 1] = s * normals[..., 0] + c * normals[..., 1]
    return turned


def convert(
    normals: ArrayLike, source: str, target: str, tbn: ArrayLike | None = None
) -> FloatArray:
    """Express `normals` (..., 3) of the frame `source` in the frame `target`.

    Args:
        normals: (..., 3).
        source: one of FRAMES.
        target: one of FRAMES.
        tbn: (..., 3, 3), for the frame `tangent`: columns tangent, bitangent and normal,
            orthonormal, in our camera space; `tangent_frames` makes them.

    Raises:
        ValueError: an unknown frame; `tangent` without `tbn`.
    """
    vectors = _floating(normals)
    _check_last_axis("normals", vectors)
    for frame in (source, target):
        if frame not in FRAMES:
            raise ValueError(f"unknown frame {frame!r}; there are {', '.join(FRAMES)}")
    if source == target:
        return vectors.copy()
    if "tangent" not in (source, target):
        return vectors * (_SIGNS[source] * _SIGNS[target])
    if tbn is None:
        raise ValueError("tangent space needs the tangent frames (tbn) of a surface")
    frames = np.asarray(tbn, vectors.dtype)
    if source == "tangent":
        return convert(np.einsum("...ij,...j", frames, vectors), "opengl", target)
    return np.einsum("...ji,...j", frames, convert(vectors, source, "opengl"))


def tangent_frames(normals: ArrayLike) -> FloatArray:
    """Orthonormal frames of a field of `normals` (..., 3) in camera space.

    Each is the smallest rotation that takes z to the normal, so the field is as smooth as the
    normals are, for every normal that a camera can see (Duff et al., "Building an orthonormal
    basis, revisited", JCGT 2017). Zero normals get the camera's own axes.

    Returns:
        (..., 3, 3) right-handed, columns tangent (near x), bitangent (near y) and normal.
    """
    unit = normalise(normals)
    unit = np.where(unit.any(axis=-1, keepdims=True), unit, np.array([0, 0, 1], unit.dtype))
    x, y, z = np.moveaxis(unit, -1, 0)
    # The formula has its pole at z = -sign: flipped only far behind the silhouette.
    sign = np.where(z < -0.9, -1, 1).astype(unit.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    tangent = np.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=-1)
    bitangent = np.stack([b, sign + y * y * a, -y], axis=-1)
    return np.stack([tangent, bitangent, unit], axis=-1)


def smooth(normals: ArrayLike, mask: ArrayLike, sigma: float) -> FloatArray:
    """Low frequencies of a normal map: a Gaussian blur that nothing outside the mask leaks into.

    Args:
        normals: (H, W, 3).
        mask: (H, W) bool.
        sigma: standard deviation of the Gaussian, pixels.

    Returns:
        (H, W, 3) unit inside the mask, zero outside: the base that detail can be relative to
        (see `tangent_frames`).
    """
    from scipy.ndimage import gaussian_filter  # 0.3 s, which `facerelief normals` need not pay

    mask = np.asarray(mask, dtype=bool)[..., None]
    kept = np.where(mask, _floating(normals), 0)
    # Normalising the sum needs no division by the blurred mask: it only scales the vectors.
    blurred = gaussian_filter(kept, sigma, axes=(0, 1), mode="constant")
    return normalise(np.where(mask, blurred, 0))


def angular_error(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Angle between vectors (..., 3), degrees in [0, 180]; their lengths do not matter.

    By atan2 of the cross and dot products, which keeps full precision where arccos of the dot
    product has none (near 0 and 180). NaN where either vector is zero or not finite.
    """
    first, second = np.broadcast_arrays(normalise(first), normalise(second))
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    cosine = np.einsum("...i,...i", first, second)
    missing = ~(first.any(axis=-1) & second.any(axis=-1))
    return np.where(missing, np.nan, np.degrees(np.arctan2(sine, cosine)))


def _floating(values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)


def _check_last_axis(name: str, values: NDArray[Any]) -> None:
    if values.shape[-1:] != (3,):
        raise ValueError(f"{name} must be (..., 3), got {values.shape}")
