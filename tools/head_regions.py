"""What can be seen of the head, and which vertices belong to what."""

from __future__ import annotations

import makehuman
import numpy as np
from head_topology import LASHES, Topology

from facerelief.geometry.mesh import face_normals
from facerelief.geometry.raster import rasterise

# Of the vertical axis that azimuths are measured about, mm from the point between the eyes.
AXIS_Z = -80.0


def seen(topology: Topology, points: np.ndarray) -> np.ndarray:
    """(Q,) quads of `points` (V, 3) mm that some direction shows from outside.

    All parts hide each other; from below one looks into the hollow neck, at backs of quads.
    """
    triangles = np.concatenate([topology.quads[:, [0, 1, 2]], topology.quads[:, [0, 2, 3]]])
    result = np.zeros(len(topology.quads), bool)
    for pitch in np.radians((-40, 0, 40)):
        for yaw in np.radians(np.arange(0, 360, 30)):
            cos, sin = np.cos(yaw), np.sin(yaw)
            turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
            cos, sin = np.cos(pitch), np.sin(pitch)
            nod = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
            camera = points @ (nod @ turn).T
            pixels = np.stack([350 + 2 * camera[:, 0], 400 - 2 * camera[:, 1], camera[:, 2]], 1)
            triangle = np.unique(rasterise(pixels, triangles, (800, 700)).triangle)[1:]
            front = face_normals(camera, triangles[triangle])[:, 2] > 0
            result[triangle[front] % len(topology.quads)] = True
    return result


def regions(
    topology: Topology,
    mean: np.ndarray,
    jaw_open: np.ndarray,
    ears: np.ndarray,
    landmarks: np.ndarray,
) -> dict[str, np.ndarray]:
    """Masks (V,) by name.

    Args:
        mean: (V, 3) mm. jaw_open: (V, 3) offsets. ears: (V,) bool. landmarks: (68, 3) mm.
    """
    result = {}
    names = ("skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue")
    for group, name in enumerate(names):
        result[name] = _vertices(topology, topology.groups == group)
    result["lashes"] = np.isin(topology.vertices, LASHES)
    skin = result["skin"]
    visible = seen(topology, mean)
    outer = _vertices(topology, visible & (topology.groups == 0))
    opened = seen(topology, mean + 0.7 * jaw_open) & (topology.groups == 0)
    outer_opened = _vertices(topology, opened)
    hidden = skin & ~outer
    mark, (x, y, z) = landmarks, mean.T
    side = np.abs(x)

    def inside(polygon: np.ndarray) -> np.ndarray:
        """(V,) in a frontal polygon (n, 2 or 3) of the left half, or in its mirror image."""
        return _contains(polygon[:, :2], np.c_[side, y])

    # The face, as a polygon over azimuth and height: the jaw line and a plausible hairline.
    def unrolled(points: np.ndarray) -> np.ndarray:
        azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - AXIS_Z))
        return np.c_[azimuth, points[:, 1]]

    jaw = unrolled(mark[8:17]) - [0, 3]
    jaw[0, 0] = 0
    hairline = np.array([[0.97, 32], [0.75, 54], [0.4, 66], [0, 70]]) * [jaw[-1, 0], 1]
    contour = np.concatenate([[[-1, jaw[0, 1]]], jaw, hairline, [[-1, 70]]])
    face = _contains(contour, unrolled(mean)) & outer & ~ears & (z > AXIS_Z)
    face &= (z > mark[54, 2] - 4) | ~(np.hypot(x / 30, (y - mark[62, 1]) / 25) < 1)  # no gums
    result["face"] = face
    result["ears"] = ears & skin

    lip_outline = inside(np.concatenate([mark[51:58], mark[[57]] * [0, 1, 1] - [1, 0, 0],
                                 mark[[51]] * [0, 1, 1] - [1, 0, 0]]))  # fmt: skip
    lip = lip_outline & outer_opened & skin & (z > mark[62, 2] - 14)
    lower = jaw_open[:, 1] < jaw_open[_nearest(mean, mark[57]), 1] / 2
    result["lips_upper"], result["lips_lower"] = lip & ~lower, lip & lower
    result["nostrils"] = hidden & (side < 25) & (y > mark[33, 1] - 2) & (y < -12) & (z > -5)
    around = (side < 50) & (y < -15) & (y > mark[8, 1] - 10) & (z > -100)
    behind = lip_outline & (z < mark[54, 2] - 4) & (z > -100)  # seen between the lips
    result["mouth_inside"] = (hidden & around & ~result["nostrils"] | skin & behind) & ~lip

    centre = mark[42:48].mean(0)
    half = (mark[45, 0] - mark[42, 0]) / 2
    from_eye = np.hypot((side - centre[0]) / (1.3 * half), (y - centre[1]) / (0.8 * half))
    result["eyelids"] = face & (from_eye < 1)
    result["eye_sockets"] = hidden & (np.hypot(side - centre[0], y - centre[1]) < 1.6 * half)
    result["eye_sockets"] &= (z > -45) & ~result["mouth_inside"] & ~result["nostrils"]
    brow = _distance_to_line(np.c_[side, y], mark[22:27, :2]) < 7
    result["brow_left"], result["brow_right"] = face & brow & (x > 0), face & brow & (x < 0)

    alar = mark[35]
    outline = [[-1, 4], [6, 4], [9, -8], [alar[0] - 3, alar[1] + 16], [alar[0] + 3, alar[1] + 6],
               [alar[0] + 3, alar[1] - 1], [mark[34, 0], mark[34, 1] - 2],
               [-1, mark[33, 1] - 1]]  # fmt: skip
    result["nose"] = face & inside(np.array(outline))
    edge = np.interp(side, mark[22:27, 0], mark[22:27, 1] + 5.5)
    forehead = face & (y > edge) & ~brow
    result["forehead"] = forehead & ~result["eyelids"]
    below = face & (y < mark[57, 1] - 3) & (side < mark[55, 0] + 6)
    result["chin"] = below
    result["jaw"] = face & ~below & ~lip & (y < mark[54, 1] - 4)
    named = ("eyelids", "brow_left", "brow_right", "nose", "forehead", "chin", "jaw",
             "lips_upper", "lips_lower")  # fmt: skip
    rest = face & ~np.any([result[name] for name in named], axis=0)
    glabella = rest & (y > mark[27, 1] - 4) & (side < mark[43, 0])
    result["forehead"] |= glabella
    result["philtrum"] = rest & (side < mark[52, 0] + 3) & (y < mark[33, 1] + 2)
    result["cheeks"] = rest & ~glabella & ~result["philtrum"]
    rest = outer & ~face & ~ears & ~lip & ~result["nostrils"]
    above = y > mark[14, 1] - 15
    result["scalp"] = rest & above & ((z < mark[15, 2] + 5) | (y > 0))
    result["neck"] = rest & ~result["scalp"]
    return result


def ear_vertices(topology: Topology) -> np.ndarray:
    """(V,) bool: what MakeHuman's slider that makes the ears stand out moves."""
    sliders = makehuman.local_sliders(topology.vertices)
    moved = sum(np.linalg.norm(sliders[f"{side}-ear-wing-decr|incr"].high, axis=1) for side in "lr")
    return moved > 0.02 * moved.max()


def _vertices(topology: Topology, quads: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(topology.vertices), bool)
    mask[topology.quads[quads]] = True
    return mask


def _contains(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(V,) bool: points (V, 2) in a polygon (n, 2), by how often a ray to the right leaves it."""
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    x, y = points[:, :1], points[:, 1:]
    across = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return (across & (x < at)).sum(axis=1) % 2 == 1


def _nearest(points: np.ndarray, place: np.ndarray) -> int:
    return int(np.linalg.norm(points - place, axis=1).argmin())


def _distance_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(V,) distance of points (V, 2) to a polyline (n, 2)."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = ((points[:, None] - start) * along).sum(-1) / (along**2).sum(-1)
    nearest = start + share.clip(0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)
