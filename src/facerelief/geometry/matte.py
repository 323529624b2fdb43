"""From a network's face probability to a mask and a matte: few parts, no pinholes, soft edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label, uniform_filter

from facerelief.arrays import BoolArray, FloatArray

# Of the largest part: smaller ones are no face (what hangs in front of one cuts it into larger
# ones), and holes no larger than these are no occluders.
_LEAST_PART, _LARGEST_HOLE = 0.03, 0.004
_RADIUS = 8  # crop pixels about a pixel in which the matte follows the picture's colours
_RIDGE = 1e-3  # variance of colours in [0, 1] below which a window has no edge


def solid(probability: FloatArray) -> BoolArray:
    """(H, W) where a face is: above a half, in parts of some size, without pinholes."""
    inside = np.asarray(probability) > 0.5
    parts, count = label(inside)
    if not count:
        return inside
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest = sizes.max()
    if count > 1:
        inside = (sizes >= _LEAST_PART * largest)[parts]
    gaps, count = label(~inside)
    if count > 1:
        holes = np.bincount(gaps.ravel()) <= _LARGEST_HOLE * largest
        for edge in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
            holes[edge] = False
        holes[0] = False
        inside = inside | holes[gaps]
    return inside


def matte(
    probability: FloatArray, picture: FloatArray, scale: float = 1.0
) -> tuple[NDArray[np.float32], BoolArray]:
    """A face's opacity that follows the edges of its picture, and its mask.

    The probability through a guided filter (He, Sun, Tang 2013, "Guided image filtering",
    equations 14 to 16): in every window it is made linear in the colours.

    Args:
        probability: (H, W) in [0, 1], smooth; picture: (H, W, 3) in [0, 1].
        scale: pixels here of a pixel of the 256 x 256 crop.

    Returns:
        (H, W) float32 in [0, 1], above a half in the mask and not above it elsewhere; the mask.
    """
    filtered = guided_filter(picture, probability, max(1, round(_RADIUS * scale)))
    inside = solid(filtered)
    alpha = np.where(inside, np.maximum(filtered, 0.501), np.minimum(filtered, 0.5))
    pinholes = inside & (filtered <= 0.5)
    islands = ~inside & (filtered > 0.5)
    alpha = np.where(pinholes, 1, np.where(islands, 0, alpha))
    return np.clip(alpha, 0, 1).astype(np.float32), inside


def guided_filter(
    picture: FloatArray, values: FloatArray, radius: int, ridge: float = _RIDGE
) -> NDArray[np.float32]:
    """`values` (H, W), locally linear in the colours of `picture` (H, W, 3) in [0, 1]."""

    def mean(layer: FloatArray) -> NDArray[np.float32]:
        return uniform_filter(layer, 2 * radius + 1)

    colours = [np.ascontiguousarray(picture[..., i], np.float32) for i in range(3)]
    values = np.asarray(values, np.float32)
    means, middle = [mean(c) for c in colours], mean(values)
    with_values = [mean(c * values) - m * middle for c, m in zip(colours, means, strict=True)]
    rr, rg, rb, gg, gb, bb = (
        mean(colours[i] * colours[j]) - means[i] * means[j] + np.float32(ridge * (i == j))
        for i in range(3)
        for j in range(i, 3)
    )
    # Cramer's rule, for all pixels: the symmetric covariance's adjugate over its determinant.
    a, b, c = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * a + rg * b + rb * c
    x, y, z = with_values
    slopes = [
        (a * x + b * y + c * z) / determinant,
        (b * x + d * y + e * z) / determinant,
        (c * x + e * y + f * z) / determinant,
    ]
    rest = middle - sum(s * m for s, m in zip(slopes, means, strict=True))
    result = mean(rest)
    for slope, colour in zip(slopes, colours, strict=True):
        result += mean(slope) * colour
    return result
