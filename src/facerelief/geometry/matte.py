"""From a network's face probability to a mask and a matte: few parts, no pinholes, soft edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray

# Of the largest part: smaller ones are no face (what hangs in front of one cuts it into larger
# ones), and holes no larger than these are no occluders.
_LEAST_PART, _LARGEST_HOLE = 0.03, 0.004
_RADIUS = 8  # crop pixels about a pixel in which the matte follows the picture's colours
_HAZE = 0.15  # of a filtered probability, at either end
_STRIP = 2**18  # pixels that are filtered at a time: some thirty numbers are held of each
_RIDGE = 1e-3  # variance of colours in [0, 1] below which a window has no edge


def solid(probability: FloatArray) -> BoolArray:
    """(H, W) where a face is: above a half, in parts of some size, without pinholes."""
    inside = np.asarray(probability) > 0.5
    parts, sizes = parts_of(inside)
    if not len(sizes):
        return inside
    largest = sizes.max()
    if len(sizes) > 1:
        inside = np.append(sizes >= _LEAST_PART * largest, False)[parts]
    gaps, sizes = parts_of(~inside)
    if len(sizes) > 1:
        holes = np.append(sizes <= _LARGEST_HOLE * largest, False)
        for edge in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
            holes[edge] = False
        inside = inside | holes[gaps]
    return inside


def parts_of(mask: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The connected parts (4-neighbours) of `mask` (H, W): each pixel's, and their sizes (N,).

    Pixels off the mask have the part -1. By runs of pixels in rows: SciPy, which can do the same,
    takes longer to load than a photo takes.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    row, edge = np.nonzero(np.diff(padded, axis=1))
    row, first, last = row[::2], edge[::2], edge[1::2]  # runs of [first, last) pixels
    above = np.searchsorted(row, np.arange(height + 1)).tolist()
    starts, ends = first.tolist(), last.tolist()
    parent = list(range(len(starts)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    for y in range(1, height):
        upper, lower = above[y - 1], above[y]
        while upper < above[y] and lower < above[y + 1]:
            if starts[upper] < ends[lower] and starts[lower] < ends[upper]:
                a, b = root(upper), root(lower)
                parent[max(a, b)] = min(a, b)
            if ends[upper] < ends[lower]:
                upper += 1
            else:
                lower += 1
    roots = np.array([root(run) for run in range(len(parent))], np.int64)
    part = np.unique(roots, return_inverse=True)[1]
    sizes = np.bincount(part, last - first).astype(np.int64)
    labels = np.full(mask.shape, -1, np.int64)
    labels[mask] = np.repeat(part, last - first)
    return labels, sizes


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
    # Pinholes are filled, islands gone.
    likely = filtered > 0.5
    within, beside = np.where(likely, filtered.clip(0.501), 1), np.where(likely, 0, filtered)
    alpha = np.where(inside, within, beside)
    # What is hardly there is haze, and what is hardly missing too.
    alpha = (alpha - _HAZE) / (1 - 2 * _HAZE)
    return np.clip(alpha, 0, 1).astype(np.float32), inside


def guided_filter(
    picture: FloatArray, values: FloatArray, radius: int, ridge: float = _RIDGE
) -> NDArray[np.float32]:
    """`values` (H, W), locally linear in the colours of `picture` (H, W, 3) in [0, 1]."""
    height, width = values.shape
    rows, room = max(_STRIP // width, 1), 2 * radius + 1  # that two means look beyond
    result = np.empty((height, width), np.float32)
    for top in range(0, height, rows):
        bottom, first = min(top + rows, height), max(top - room, 0)
        seen = slice(first, bottom + room)
        part = _guided(picture[seen], values[seen], radius, ridge)
        result[top:bottom] = part[top - first : bottom - first]
    return result


def _guided(
    picture: FloatArray, values: FloatArray, radius: int, ridge: float
) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter  # masks alone need not wait for it

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
