"""MediaPipe's 478-point face mesh as a weak teacher of smooth shape.

Points are photo pixels (x right, y down) and a depth in the same scale, smaller nearer. The
triangulation is not taken from anywhere: it is the Delaunay triangulation of the mean face seen
from the front.
"""

from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay

from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.raster import rasterise

#: Sources of the data folder's photographs whose licence lets weights be open.
OPEN_SOURCES = ("fairface", "fairface025", "webmorph", "houseclerk", "congress")

#: Of these the ones that show more than a face: renderings take backgrounds and skins from them,
#: and the built-in head its map to FaceMesh's points.
WHOLE_SOURCES = ("fairface", "webmorph")

SKIN_POINTS = 468  # the points after these are the irises

# Points of the mesh at the 68 landmarks of the iBUG scheme (jaw, brows, nose, eyes, mouth).
TO_68 = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip

# The outline, clockwise from the top of the forehead. Its points follow the visible silhouette, so
# on a turned face they slide over the skin.
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


def stored_points(root: Path) -> tuple[list[str], np.ndarray]:
    """Paths and FaceMesh points (N, 478, 3) float32 of all photos under the data folder `root`."""
    with np.load(root / "photos" / "facemesh478.npz") as stored:
        return [str(path) for path in stored["paths"]], stored["points"].astype(np.float32)


def mean_face(points: np.ndarray, rounds: int = 3) -> np.ndarray:
    """(468, 3) mean of many faces (n, 478, 3) after rotation, scale and shift are taken out.

    Generalised Procrustes analysis in the points' own axes.
    """
    faces = points[:, :SKIN_POINTS].astype(np.float64)
    faces = faces - faces.mean(1, keepdims=True)
    faces /= np.linalg.norm(faces, axis=(1, 2), keepdims=True)
    mean = np.median(faces, 0)
    for _ in range(rounds):
        u, _, vt = np.linalg.svd(np.swapaxes(faces, 1, 2) @ mean)
        sign = np.sign(np.linalg.det(u @ vt))
        u[..., -1] *= sign[:, None]
        mean = np.median(faces @ (u @ vt), 0)
    return mean


def mirrored(mean: np.ndarray) -> np.ndarray:
    """(468,) the point on the other side of each, from a mean face (468, 3)."""
    middle = (mean[10, 0] + mean[152, 0]) / 2  # the ends of the forehead and of the chin
    flipped = mean * (-1, 1, 1) + (2 * middle, 0, 0)
    distance = np.linalg.norm(mean[:, None] - flipped, axis=-1)
    return linear_sum_assignment(distance)[1].astype(np.int32)


def triangulate(mean: np.ndarray) -> np.ndarray:
    """(T, 3) triangles of a frontal (468, 3) face, counter-clockwise seen from the viewer."""
    corners = Delaunay(mean[:, :2]).simplices
    a, b, c = (mean[corners[:, i], :2] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    # y runs down, so counter-clockwise for the viewer is a negative area here.
    corners[area > 0] = corners[area > 0][:, ::-1]
    # Slivers between neighbours of the concave outline are no skin.
    longest = np.max([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (c, a))], 0)
    return corners[np.abs(area) > 0.02 * longest**2].astype(np.int32)


def smooth_normals(
    points: np.ndarray, triangles: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Camera-space normals (size, size, 3) float32 and outline (size, size) bool of one face.

    Args:
        points: (468 or 478, 3) in pixels of the wanted picture, depth in the same scale.
    """
    points = points[:SKIN_POINTS].astype(np.float64)
    camera = points * (1, -1, -1)
    raster = rasterise(np.concatenate([points[:, :2], camera[:, 2:]], 1), triangles, (size, size))
    normals = raster.interpolate(vertex_normals(camera, triangles))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return (normals / np.maximum(length, 1e-9)).astype(np.float32), raster.mask
