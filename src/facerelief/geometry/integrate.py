"""Depth from normals and normals from depth, on a pixel grid under orthographic projection.

Frame: x right, y up (rows run downwards), z towards the viewer; depth is z, so larger is nearer.

The equation between two neighbouring pixels `a` and `b` is

    (n_a + n_b) . (P_b - P_a) = 0,        P = (x, y, z),

"the chord is perpendicular to the mean normal". It holds *exactly* for any two points of a sphere
and to second order for any smooth surface, and it stays finite where n_z goes to 0, where the
textbook form dz/dx = -n_x / n_z does not: steep pixels weigh little instead of exploding. All
equations together are a weighted Poisson problem, solved by least squares.

Discontinuities follow bilateral normal integration (Cao, Santo, Shi, Okura, Matsushita, ECCV
2022): a surface is assumed continuous on at least one side of every pixel, in x and in y, and
weights that compare the residuals of both sides cut the other side where needed.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, SuperLU, cg
from scipy.special import expit

from facerelief.geometry.factorised import factorised
from facerelief.geometry.normals import normalise

# Slopes above 1 / 0.02 = 50 pixels of depth a pixel are not believed: steeper chords are bent to
# that and so keep a weight of 0.02^2. Normals that point away from the viewer count as edge-on.
MIN_NORMAL_Z = 0.02
# A pixel of no confidence still ties its neighbours together, so that holes are bridged.
MIN_WEIGHT = 1e-6


def normals_to_depth(
    normals: ArrayLike,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    pixel_size: float = 1.0,
    *,
    discontinuities: bool = False,
    stiffness: float = 2.0,
    max_iterations: int = 40,
    tolerance: float = 1e-4,
) -> NDArray[np.float64]:
    """Integrate a normal map to depth.

    Args:
        normals: (H, W, 3), x right, y up, z towards the viewer; need not be exactly unit.
        mask: (H, W) bool, the pixels to integrate; all of them when None. Pixels whose normal is
            zero or not finite leave the mask.
        weights: (H, W) confidences >= 0, relative to each other; equal when None. A pixel of
            weight 0 is bridged by its neighbours.
        pixel_size: width of a pixel in the unit of the depth.
        discontinuities: let the surface break (at a nose in front of a cheek, say): slower,
            iterated.
        stiffness: how readily it breaks (k of Cao et al., per squared pixel); 10 finds breaks
            exactly on clean normals and cracks noisy ones.
        max_iterations: limit of the iterations with `discontinuities`.
        tolerance: they stop when the energy changes by less than this fraction.

    Returns:
        (H, W) float64 depth, NaN outside the mask. Normals know nothing of absolute depth: every
        connected part of the mask (4-neighbours) has mean zero.

    Raises:
        ValueError: shapes that do not fit, negative or non-finite weights or pixel size <= 0.
    """
    normals = np.asarray(normals, dtype=np.float64)
    if normals.ndim != 3 or normals.shape[-1] != 3:
        raise ValueError(f"normals must be (H, W, 3), got {normals.shape}")
    if not pixel_size > 0:
        raise ValueError(f"pixel_size must be positive, got {pixel_size}")
    shape = normals.shape[:2]
    unit = normalise(normals)  # zero where there is no normal
    inside = (unit != 0).any(axis=-1)
    if mask is not None:
        inside = inside & _checked("mask", mask, shape).astype(bool)

    depth = np.full(shape, np.nan)
    if not inside.any():
        return depth
    unit = unit[inside]
    unit[:, 2] = np.maximum(unit[:, 2], 0)
    confidence = np.ones(len(unit))
    if weights is not None:
        given = _checked("weights", weights, shape)[inside].astype(np.float64)
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise ValueError("weights must be finite and not negative")
        if given.max() > 0:
            confidence = np.maximum(given / given.max(), MIN_WEIGHT)

    edges = _Edges(inside, unit, confidence)
    part = connected_components(edges.adjacency(), directed=False)[1]
    pinned = np.unique(part, return_index=True)[1]  # one pixel a part fixes its free constant
    matrix, right = edges.normal_equations(edges.weight)
    free = np.ones(len(unit), bool)
    free[pinned] = False
    z = np.zeros(len(unit))
    if free.any():
        factors = factorised(matrix[free][:, free])
        z[free] = factors.solve(right[free])
        if discontinuities:
            _refine(edges, z, free, factors, stiffness, max_iterations, tolerance)
    z -= (np.bincount(part, z) / np.bincount(part))[part]
    depth[inside] = z * pixel_size
    return depth


def depth_to_normals(
    depth: ArrayLike, mask: ArrayLike | None = None, pixel_size: float = 1.0
) -> NDArray[np.float32]:
    """Normals of a depth map: central differences, one-sided at the border of the mask.

    Args:
        depth: (H, W), z towards the viewer, in the unit of `pixel_size`.
        mask: (H, W) bool; the finite pixels of `depth` when None.
        pixel_size: width of a pixel in the unit of the depth.

    Returns:
        (H, W, 3) float32 unit normals, zero outside the mask. Along an axis in which a pixel has
        no neighbour at all the surface is taken as level.

    Raises:
        ValueError: shapes that do not fit or pixel size <= 0.
    """
    depth = np.asarray(depth, dtype=np.float64)
    if depth.ndim != 2:
        raise ValueError(f"depth must be (H, W), got {depth.shape}")
    if not pixel_size > 0:
        raise ValueError(f"pixel_size must be positive, got {pixel_size}")
    valid = np.isfinite(depth)
    if mask is not None:
        valid &= _checked("mask", mask, depth.shape).astype(bool)
    z = np.where(valid, depth, 0.0)
    dz_dx = _masked_difference(z, valid) / pixel_size
    dz_dy = -_masked_difference(z.T, valid.T).T / pixel_size  # rows run down, y runs up
    normals = np.stack([-dz_dx, -dz_dy, np.ones_like(z)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(valid[..., None], normals, 0.0).astype(np.float32)


def _checked(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{name} must be {shape}, got {array.shape}")
    return array


def _masked_difference(z: NDArray, valid: NDArray) -> NDArray:
    """Slope along the rows of `z` (H, W), averaged over the one or two valid neighbours."""
    step = np.diff(z, axis=1)
    both = valid[:, 1:] & valid[:, :-1]
    step = np.pad(np.where(both, step, 0.0), ((0, 0), (1, 1)))
    count = np.pad(both.astype(np.float64), ((0, 0), (1, 1)))
    return (step[:, 1:] + step[:, :-1]) / np.maximum(count[:, 1:] + count[:, :-1], 1.0)


class _Edges:
    """The equations `slope * (z[second] - z[first]) = target` between neighbours, in pixels."""

    def __init__(self, mask: NDArray, unit: NDArray, confidence: NDArray) -> None:
        self.count = len(unit)
        index = np.full(mask.shape, -1)
        index[mask] = np.arange(self.count)
        across = np.stack([index[:, :-1], index[:, 1:]]).reshape(2, -1)
        down = np.stack([index[:-1], index[1:]]).reshape(2, -1)
        across, down = (pair[:, (pair >= 0).all(axis=0)] for pair in (across, down))
        self.first, self.second = np.concatenate([across, down], axis=1)
        mean = (unit[self.first] + unit[self.second]) / 2
        is_down = np.arange(len(mean)) >= across.shape[1]
        self.slope = np.maximum(mean[:, 2], MIN_NORMAL_Z)
        self.target = np.where(is_down, mean[:, 1], -mean[:, 0])
        self.weight = np.sqrt(confidence[self.first] * confidence[self.second])
        # The edges on the two sides of every pixel, per axis: (before, after), -1 for none.
        edge = np.arange(len(mean))
        self.sides = np.full((2, 2, self.count), -1)
        self.sides[is_down.astype(int), 1, self.first] = edge
        self.sides[is_down.astype(int), 0, self.second] = edge

    def adjacency(self) -> sparse.csr_array:
        shape = (self.count, self.count)
        return sparse.csr_array((np.ones(len(self.first)), (self.first, self.second)), shape=shape)

    def residual(self, z: NDArray) -> NDArray:
        return self.slope * (z[self.second] - z[self.first]) - self.target

    def normal_equations(self, weight: NDArray) -> tuple[sparse.csc_array, NDArray]:
        """The weighted least squares problem as a symmetric system (matrix, right side)."""
        a, b, n = self.first, self.second, self.count
        w = weight * self.slope**2
        diagonal = np.bincount(a, w, n) + np.bincount(b, w, n)
        rows = np.concatenate([a, b, np.arange(n)])
        columns = np.concatenate([b, a, np.arange(n)])
        matrix = sparse.csc_array((np.concatenate([-w, -w, diagonal]), (rows, columns)), (n, n))
        flow = weight * self.slope * self.target
        return matrix, np.bincount(b, flow, n) - np.bincount(a, flow, n)

    def one_sided(self, z: NDArray, stiffness: float) -> NDArray:
        """Bilateral factors of the edges: 1 where smooth, 0 where broken, up to 2 beside a break.

        Both pixels of an edge vote: each compares the edge's residual with that of the edge on its
        other side. A pixel at the border of the mask has nothing to compare with and votes 1/2.
        """
        square = np.append(self.residual(z) ** 2, np.nan)  # index -1 is no edge
        votes = np.zeros(len(square))
        for before, after in self.sides:
            difference = np.nan_to_num(stiffness * (square[before] - square[after]))
            after_vote = expit(difference)
            np.add.at(votes, after, after_vote)
            np.add.at(votes, before, 1 - after_vote)
        return votes[:-1]


def _refine(
    edges: _Edges,
    z: NDArray,
    free: NDArray,
    factors: SuperLU,
    stiffness: float,
    max_iterations: int,
    tolerance: float,
) -> None:
    """Iteratively reweighted least squares on `z` in place, starting from the smooth solution.

    The factors of the smooth problem precondition every later one, so none is factorised again.
    """
    size = int(free.sum())
    preconditioner = LinearOperator((size, size), factors.solve)
    energy = np.inf
    for _ in range(max_iterations):
        weight = edges.weight * np.maximum(edges.one_sided(z, stiffness), MIN_WEIGHT)
        matrix, right = edges.normal_equations(weight)
        # A few steps are enough: the next weights ask for another solution anyway.
        z[free] = cg(
            matrix[free][:, free], right[free], z[free], rtol=1e-3, maxiter=8, M=preconditioner
        )[0]
        before, energy = energy, float(weight @ edges.residual(z) ** 2)
        if np.isfinite(before) and abs(before - energy) <= tolerance * before:
            break
