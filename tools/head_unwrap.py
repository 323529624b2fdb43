"""Our texture layout: the skin flattened onto the unit square, most of it face.

The skin, pouches of eyes, mouth and nostrils included, is a disk once it is cut along the back of
the head. It starts as Tutte's embedding in a rectangle ("How to draw a graph", 1963), then every
corner of every quad is drawn towards its own shape at a wanted scale under the symmetric Dirichlet
energy, by the reweighted least squares of Rabinovich et al., "Scalable locally injective mappings",
ACM Transactions on Graphics 36(2), 2017. Steps stop short of turning a corner over, so all quads
stay convex and none overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from head_topology import Topology
from scipy import sparse
from scipy.sparse.linalg import factorized, spsolve

STRIP = 0.055  # of the square, at the bottom: eyes, teeth and tongue
# Wanted scales, relative to the face; where regions meet they are smoothed.
SCALES = {"scalp": 0.1, "neck": 0.1, "ears": 0.3, "eye_sockets": 0.25, "mouth_inside": 0.1,
          "nostrils": 0.35, "face": 1.0}  # fmt: skip
ELSEWHERE = 0.5
GAP = 0.008  # between islands


@dataclass(frozen=True, eq=False)
class Disk:
    """The skin, cut open along the back."""

    quads: np.ndarray  # (Q, 4) into its own vertices
    vertices: np.ndarray  # (U,) of the head
    mirror: np.ndarray  # (U,) its own mirrored vertex
    seam: np.ndarray  # (S, 2) vertices left and right of the cut, from the neck up; the last equal
    border: np.ndarray  # (B,) the neck's border, from the right end of the seam to the left


def layout(
    topology: Topology, mean: np.ndarray, regions: dict[str, np.ndarray], iterations: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates (U, 2) in [0, 1], v upwards, and quads (Q, 4) into them.

    Eyes, teeth and tongue keep MakeHuman's own little layouts, in a row at the bottom.
    """
    skin = topology.groups == 0
    disk = cut_open(topology.quads[skin], mean, topology.symmetry)
    wanted = np.full(len(mean), np.log(ELSEWHERE))
    for name, value in SCALES.items():
        wanted[regions[name]] = np.log(value)
    average = _average(topology.quads[skin], len(mean))
    for _ in range(4):
        wanted = (wanted + average @ wanted) / 2
    parts = [unwrap(disk, mean, np.exp(wanted)[disk.vertices], iterations)]
    quads = np.zeros_like(topology.quads)
    quads[skin] = disk.quads
    count, left = len(parts[0]), GAP
    for group in range(1, topology.groups.max() + 1):
        here = topology.groups == group
        used, numbered = np.unique(topology.uv_quads[here], return_inverse=True)
        island = topology.uv[used] - topology.uv[used].min(axis=0)
        island *= (STRIP - 2 * GAP) / island[:, 1].max()
        parts.append(island + np.array([left, GAP]))
        quads[here] = numbered.reshape(-1, 4) + count
        count, left = count + len(used), left + island[:, 0].max() + GAP
    return np.concatenate(parts), quads


def cut_open(quads: np.ndarray, mean: np.ndarray, symmetry: np.ndarray) -> Disk:
    """Cut skin `quads` (Q, 4) along the middle, from the neck's border behind up to the crown."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], -1).reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    middle = (symmetry == np.arange(len(mean))) & np.isin(np.arange(len(mean)), quads)
    neighbours: dict[int, list[int]] = {}
    for a, b in unique[middle[unique].all(axis=1)]:
        neighbours.setdefault(int(a), []).append(int(b))
        neighbours.setdefault(int(b), []).append(int(a))
    rim = np.unique(unique[count == 1])
    start = min((v for v in rim if middle[v]), key=lambda v: mean[v, 2])
    crown = max((v for v in neighbours), key=lambda v: mean[v, 1])
    seam = [int(start)]
    while seam[-1] != crown:
        seam.append(next(v for v in neighbours[seam[-1]] if v not in seam[-2:]))
    # The subject's right gets vertices of its own along the cut.
    doubled = np.arange(len(mean))
    doubled[seam[:-1]] = len(mean) + np.arange(len(seam) - 1)
    right = mean[quads].mean(axis=1)[:, 0] < 0
    cut = np.where(right[:, None], doubled[quads], quads)
    used, numbered = np.unique(cut, return_inverse=True)
    original = np.concatenate([np.arange(len(mean)), np.array(seam[:-1])])
    number = np.full(len(original), -1)
    number[used] = np.arange(len(used))
    partner = np.concatenate([symmetry, np.array(seam[:-1])])
    partner[seam[:-1]] = doubled[seam[:-1]]
    pairs = np.stack([number[seam], number[doubled[seam]]], axis=1)
    loop = _walk(unique[count == 1], int(start), mean)
    border = np.concatenate([number[loop], pairs[:1, 1]])[::-1]
    return Disk(numbered.reshape(quads.shape), original[used], number[partner[used]], pairs, border)


def _walk(edges: np.ndarray, start: int, mean: np.ndarray) -> list[int]:
    """The loop of border edges from `start` by the subject's left back to its last vertex."""
    neighbours: dict[int, list[int]] = {}
    for a, b in edges:
        neighbours.setdefault(int(a), []).append(int(b))
        neighbours.setdefault(int(b), []).append(int(a))
    loop = [start, max(neighbours[start], key=lambda v: mean[v, 0])]
    while True:
        following = [v for v in neighbours[loop[-1]] if v != loop[-2]]
        if following[0] == start:
            return loop
        loop.append(following[0])


def unwrap(disk: Disk, mean: np.ndarray, scale: np.ndarray, iterations: int) -> np.ndarray:
    """(U, 2) positions in the rectangle [0, 1] x [STRIP, 1]; `scale` (U,) is the wanted one."""
    points = mean[disk.vertices]
    uv, fixed = _start(disk, points, scale)
    rest, area, corners = _corner_triangles(disk.quads, points, scale)
    gradient_x, gradient_y = _gradients(rest, corners, len(points))
    # The rectangle is what it is: the wanted scale is relative.
    jacobians = _jacobians(gradient_x, gradient_y, uv)
    unit = np.sqrt(_signed_area(uv, disk.quads).sum() / (area.sum() / 2))
    free = ~fixed.ravel(order="F")
    for _ in range(iterations):
        jacobians = _jacobians(gradient_x, gradient_y, uv) / unit
        u, s, vt = np.linalg.svd(jacobians)
        # Root of (s - s^-3) / (s - 1): the energy's slope over that of the proxy.
        weight = np.sqrt((s + 1) * (s**2 + 1) / s**3)
        w = (u * weight[:, None, :]) @ np.swapaxes(u, 1, 2)
        target = w @ (u @ vt)
        root = np.sqrt(area)
        rows, goal = [], []
        for i in range(2):
            for gradient, j in ((gradient_x, 0), (gradient_y, 1)):
                rows.append(
                    sparse.hstack(
                        [sparse.diags_array(root * w[:, i, k] / unit) @ gradient for k in (0, 1)]
                    )
                )
                goal.append(root * target[:, i, j])
        system = sparse.csc_array(sparse.vstack(rows))
        flat = uv.ravel(order="F")
        residual = np.concatenate(goal) - system @ flat
        reduced = system[:, free]
        normal = sparse.csc_array(reduced.T @ reduced)
        normal = normal + 1e-9 * normal.trace() / normal.shape[0] * sparse.eye_array(
            normal.shape[0], format="csc"
        )
        step = np.zeros_like(flat)
        step[free] = spsolve(normal, reduced.T @ residual)
        direction = step.reshape(uv.shape, order="F")
        uv = _line_search(uv, direction, gradient_x, gradient_y, area, unit)
        mirrored = uv[disk.mirror] * [-1, 1] + [1, 0]
        uv = (uv + mirrored) / 2
    return uv


def _start(disk: Disk, points: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tutte's embedding (U, 2), and which coordinates (U, 2) bool stay as they are for ever."""
    left = disk.seam[:, 0]

    def lengths(path: np.ndarray) -> np.ndarray:
        step = np.linalg.norm(np.diff(points[path], axis=0), axis=1)
        step = step * (scale[path][1:] + scale[path][:-1]) / 2
        along = np.concatenate([[0], np.cumsum(step)])
        return along / along[-1]

    # Up the left side (the picture's right), then along the top to the middle.
    height = 1 - STRIP
    along = lengths(left) * (height + 0.5)
    corner = int(np.abs(along - height).argmin())
    along[: corner + 1] *= height / along[corner]
    along[corner:] = height + (along[corner:] - along[corner]) * 0.5 / (along[-1] - along[corner])
    place = np.where(
        (along <= height)[:, None],
        np.c_[np.ones_like(along), STRIP + along],
        np.c_[1 - (along - height), np.ones_like(along)],
    )
    uv = np.full((len(points), 2), np.nan)
    uv[left] = place
    uv[disk.seam[:, 1]] = place * [-1, 1] + [1, 0]
    bottom = lengths(disk.border)
    uv[disk.border] = np.c_[bottom, np.full(len(bottom), STRIP)]
    uv = np.where(np.isnan(uv), np.nan, (uv + (uv[disk.mirror] * [-1, 1] + [1, 0])) / 2)
    on_border = ~np.isnan(uv[:, 0])

    # A vertex of one quad would make that quad a triangle if it had to stay on the line.
    alone = np.bincount(disk.quads.ravel(), minlength=len(points))[disk.border] == 1
    alone[[0, -1]] = False
    uv[disk.border[alone], 1] -= 0.2 / len(disk.border)
    fixed = np.zeros(uv.shape, bool)
    fixed[disk.border[~alone], 1] = True
    fixed[disk.seam[: corner + 1], 0] = True
    fixed[disk.seam[corner:], 1] = True
    fixed[disk.seam[[0, -1]]] = True

    average = _average(disk.quads, len(points))
    laplacian = sparse.csc_array(sparse.eye_array(len(points)) - average)
    inner = ~on_border
    solve = factorized(sparse.csc_array(laplacian[inner][:, inner]))
    known = laplacian[inner][:, on_border] @ uv[on_border]
    uv[inner] = -np.stack([solve(known[:, i]) for i in (0, 1)], axis=1)
    return uv, fixed


def _average(quads: np.ndarray, count: int) -> sparse.csr_array:
    """(count, count): every vertex's mean over its neighbours along edges."""
    a, b = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    adjacency = sparse.csr_array((np.ones(len(a)), (a, b)), shape=(count, count))
    adjacency = ((adjacency + adjacency.T) > 0).astype(float)
    return sparse.csr_array(
        sparse.diags_array(1 / np.maximum(adjacency.sum(axis=1), 1)) @ adjacency
    )


def _corner_triangles(
    quads: np.ndarray, points: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat triangles (4 Q, 3, 2) at every quad's corners, their areas, and their vertices."""
    corners = np.concatenate([np.roll(quads, -c, axis=1)[:, [3, 0, 1]] for c in range(4)])
    p = points[corners] * np.tile(scale[quads].mean(axis=1), 4)[:, None, None]
    a, b = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    x = np.linalg.norm(a, axis=1)
    along = (a * b).sum(1) / x
    up = np.linalg.norm(np.cross(a, b), axis=1) / x
    # A corner that is nearly straight in space must not be in the picture.
    up = np.maximum(up, 0.1 * np.linalg.norm(b, axis=1))
    zero = np.zeros_like(x)
    flat = np.stack([np.c_[zero, zero], np.c_[x, zero], np.c_[along, up]], axis=1)
    return flat, x * up / 2, corners


def _gradients(
    flat: np.ndarray, corners: np.ndarray, count: int
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Matrices (T, U) of the derivatives along the flat triangles' two axes."""
    edges = np.linalg.inv(flat[:, 1:] - flat[:, :1])  # (T, 2, 2): derivative of the two differences
    rows = np.repeat(np.arange(len(flat)), 3)
    result = []
    for axis in range(2):
        two = edges[:, axis, :]
        weights = np.c_[-two.sum(axis=1), two]
        result.append(
            sparse.csr_array((weights.ravel(), (rows, corners.ravel())), (len(flat), count))
        )
    return result[0], result[1]


def _jacobians(gx: sparse.csr_array, gy: sparse.csr_array, uv: np.ndarray) -> np.ndarray:
    return np.stack([gx @ uv, gy @ uv], axis=-1)


def _line_search(
    uv: np.ndarray,
    direction: np.ndarray,
    gx: sparse.csr_array,
    gy: sparse.csr_array,
    area: np.ndarray,
    unit: float,
) -> np.ndarray:
    """Half as far until the energy falls and no corner turns over."""

    def energy(x: np.ndarray) -> float:
        j = _jacobians(gx, gy, x) / unit
        determinant = np.linalg.det(j)
        if (determinant <= 0).any():
            return np.inf
        square = (j**2).sum(axis=(1, 2))
        return float((area * square * (1 + determinant**-2)).sum())

    now, step = energy(uv), 1.0
    while step > 1e-6:
        new = uv + step * direction
        if energy(new) < now:
            return new
        step /= 2
    return uv


def _signed_area(uv: np.ndarray, quads: np.ndarray) -> np.ndarray:
    p, q = uv[quads], np.roll(uv[quads], -1, axis=1)
    return (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(axis=1) / 2
