"""The 68 iBUG landmarks and MediaPipe's 478 points on the head.

A place on the surface is a quad and its (s, t): corner 0 is (0, 0), corner 1 is (1, 0), corner 2
is (1, 1). So it survives subdivision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from head_topology import Topology
from scipy import sparse
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from facerelief.data.facemesh import SKIN_POINTS, TO_68, mean_face, triangulate
from facerelief.geometry.similarity import Similarity

# Vertices of base.obj, picked by eye on pictures of the mesh under MakeHuman's painted skins: the
# middle and the subject's left. The right is their mirror image.
PICKED = {
    8: 5171, 9: 11832, 10: 7619, 11: 7462, 12: 7460, 13: 7614, 14: 7574, 15: 7573, 16: 12001,
    27: 132, 28: 131, 29: 201, 30: 5054, 33: 343, 34: 7054, 35: 7057,
    42: 11487, 43: 11483, 44: 11466, 45: 7754, 46: 6825, 47: 6831,
    51: 466, 52: 7215, 53: 7170, 54: 7162, 55: 7166, 56: 7235, 57: 492,
    62: 474, 63: 11964, 64: 7192, 65: 7236, 66: 493,
}  # fmt: skip
# Frontal x and y, mm from the point between the eyes, of the painted left brow's middle line.
PICKED_BROW = {
    22: (14.7, 12.0), 23: (23.4, 13.6), 24: (34.4, 14.9), 25: (44.9, 16.2), 26: (53.9, 8.4),
}  # fmt: skip
# The landmark on the other side of each.
MIRRORED = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip
IRIS_RADIUS = 5.9  # mm, half of an adult's visible iris


@dataclass(frozen=True, eq=False)
class Places:
    """Points on the surface."""

    quads: np.ndarray  # (n,)
    st: np.ndarray  # (n, 2)


class Surface:
    """Some quads of the mean head, to look for closest points on."""

    def __init__(self, mean: np.ndarray, quads: np.ndarray, chosen: np.ndarray) -> None:
        self.chosen = np.flatnonzero(chosen)
        corners = quads[self.chosen]
        self.triangles = mean[np.stack([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]], 1)]
        self.triangles = self.triangles.reshape(-1, 3, 3)
        self.tree = cKDTree(self.triangles.mean(axis=1))

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, Places]:
        """Closest positions (n, 3) to `points` (n, 3), and their places."""
        candidates = self.tree.query(points, k=40)[1]
        flat = self.triangles[candidates.ravel()]
        found = trimesh.triangles.closest_point(flat, np.repeat(points, 40, axis=0))
        distance = np.linalg.norm(found.reshape(len(points), 40, 3) - points[:, None], axis=2)
        row = np.arange(len(points)) * 40 + distance.argmin(axis=1)
        triangle = candidates.ravel()[row]
        weights = trimesh.triangles.points_to_barycentric(flat[row], found[row]).clip(0, 1)
        b1, b2 = weights[:, 1], weights[:, 2]
        first = triangle % 2 == 0
        st = np.where(first[:, None], np.stack([b1 + b2, b2], 1), np.stack([b1, b1 + b2], 1))
        return found[row], Places(self.chosen[triangle // 2], st.clip(0, 1))


def facemesh_points(data: Path) -> np.ndarray:
    """(478, 3) MediaPipe's mean face over the open photos, upright, in its own scale, y up."""
    with np.load(data / "photos/facemesh478.npz") as file:
        open_rows = [str(p).startswith(("fairface/", "webmorph/")) for p in file["paths"]]
        points = file["points"][open_rows].astype(np.float64)
    mean = mean_face(points)
    # The irises, which mean_face leaves out, carried by each face's own similarity to the mean.
    skin = points[:, :SKIN_POINTS]
    centre = skin.mean(1, keepdims=True)
    scale = np.linalg.norm(skin - centre, axis=(1, 2), keepdims=True)
    u, _, vt = np.linalg.svd(np.swapaxes((skin - centre) / scale, 1, 2) @ mean)
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
    all_points = np.median((points - centre) / scale @ (u @ vt), axis=0)
    return all_points * (1, -1, -1)


def fit(
    topology: Topology, mean: np.ndarray, outer: np.ndarray, data: Path
) -> tuple[Places, Places, dict[str, float]]:
    """Places of the 68 landmarks and of the 478 points, and residuals in mm by name.

    Args:
        mean: (V, 3) mm, the symmetric mean head.
        outer: (Q,) quads of the skin that can be seen from outside.
        data: folder that has photos/facemesh478.npz.
    """
    surface = Surface(mean, topology.quads, outer)
    number = {int(vertex): i for i, vertex in enumerate(topology.vertices)}
    known = {k: mean[number[v]] for k, v in PICKED.items()}
    for k, (x, y) in PICKED_BROW.items():
        point = np.array([x, y, 25.0])
        for _ in range(20):  # straight back onto the surface
            point[2] = surface.closest(point[None])[0][0, 2]
        known[k] = point
    known |= {int(MIRRORED[k]): p * [-1, 1, 1] for k, p in known.items()}

    source = facemesh_points(data)
    skin = source[:SKIN_POINTS]
    anchors = np.array(sorted(known))
    from_points = skin[np.array(TO_68)[anchors]]
    to_points = np.stack([known[k] for k in anchors])
    aligned = Similarity.between(from_points, to_points)
    moved, start = aligned(source), aligned(from_points)
    warp = RBFInterpolator(start, to_points - start, kernel="linear")
    points = (moved + warp(moved))[:SKIN_POINTS]

    # Towards the surface by smooth steps: neighbours keep their order round lids and lips.
    triangles = triangulate(skin * (1, -1, -1))
    average = _average(triangles, SKIN_POINTS)
    pairs = _mirror_pairs(skin)
    before = points
    for _ in range(10):
        step = surface.closest(points)[0] - points
        for _ in range(3):
            step = 0.5 * step + 0.5 * (average @ step)
        points = points + step
        points = (points + points[pairs] * [-1, 1, 1]) / 2
    found, places = surface.closest(points)
    residuals = {
        "landmarks after similarity": apart(start, to_points),
        "surface distance after warp": float(np.linalg.norm(surface.closest(before)[0] - before,
                                                            axis=1).mean()),
        "surface distance at the end": float(np.linalg.norm(found - points, axis=1).mean()),
        "shape difference to MediaPipe": apart(Similarity.between(skin, found)(skin), found),
    }  # fmt: skip

    irises = _irises(topology, mean, moved[SKIN_POINTS:])
    facemesh = Places(
        np.concatenate([places.quads, irises.quads]), np.concatenate([places.st, irises.st])
    )
    positions = found[np.array(TO_68)]
    for k, p in known.items():
        positions[k] = p
    landmarks = surface.closest(positions)[1]
    return landmarks, facemesh, residuals


def positions(mean: np.ndarray, quads: np.ndarray, places: Places) -> np.ndarray:
    """(n, 3) where the places are, every quad being flat on both sides of corners 0 and 2."""
    s, t = places.st.T
    first = s >= t
    none = np.zeros_like(s)
    weights = np.where(
        first[:, None], np.stack([1 - s, s - t, t, none], 1), np.stack([1 - t, none, s, t - s], 1)
    )
    return np.einsum("nc,ncd->nd", weights, mean[quads[places.quads]])


def apart(points: np.ndarray, others: np.ndarray) -> float:
    """The root mean square distance of points (n, 3) from others."""
    return float(np.sqrt(np.square(points - others).sum(1).mean()))


def _average(triangles: np.ndarray, count: int) -> sparse.csr_array:
    """(count, count): every point's mean over its neighbours; itself where it has none."""
    a, b = np.concatenate([triangles, np.roll(triangles, 1, axis=1)]).T[:2]
    adjacent = sparse.csr_array((np.ones(len(a)), (a, b)), shape=(count, count))
    adjacent = ((adjacent + adjacent.T) > 0).astype(float)
    degree = adjacent.sum(axis=1)
    alone = sparse.diags_array((degree == 0).astype(float))
    return sparse.diags_array(1 / np.maximum(degree, 1)) @ adjacent + alone


def _mirror_pairs(points: np.ndarray) -> np.ndarray:
    """(n,) the point on the other side of each."""
    centred = points - [np.median(points[:, 0]), 0, 0]
    return cKDTree(centred).query(centred * [-1, 1, 1])[1]


def _irises(topology: Topology, mean: np.ndarray, irises: np.ndarray) -> Places:
    """Places of the ten points of the irises (10, 3): a centre and four on the rim, each eye."""
    quads, st = [], []
    for five in irises.reshape(2, 5, 3):
        group = 1 if five[0, 0] > 0 else 2
        ball = topology.groups == group
        vertices = mean[np.unique(topology.quads[ball])]
        centre = (vertices.max(0) + vertices.min(0)) / 2
        outwards = five[:, :2] - five[0, :2]
        length = np.linalg.norm(outwards, axis=1, keepdims=True)
        offset = IRIS_RADIUS * outwards / np.maximum(length, 1e-9)
        radius = np.ptp(vertices[:, 2]) / 2
        depth = np.sqrt(radius**2 - (offset**2).sum(1))
        target = centre + np.c_[offset, depth]
        places = Surface(mean, topology.quads, ball).closest(target)[1]
        quads.append(places.quads)
        st.append(places.st)
    return Places(np.concatenate(quads), np.concatenate(st))
