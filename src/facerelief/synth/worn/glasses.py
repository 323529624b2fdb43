"""Glasses: frames of a few shapes, fitted to nose, brows and ears, with clear or tinted lenses.

A pair is rigid: it is made for every head anew from a few measures of it, and then pushed forward
until nothing of it lies within the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from facerelief.arrays import FloatArray, IntArray
from facerelief.render.scene import Material, Part
from facerelief.synth.ties.wearer import Wearer

_AROUND = 40  # points around a lens
_CLEARANCE = 1.0  # mm between frame and skin
_BALL_CLEARANCE = 9.0  # mm from the front of the eyes to the lens
_TILT = 7.0  # degrees that the lower rims are nearer to the face


@dataclass(frozen=True)
class Shape:
    """The outline of a lens: a superellipse whose exponent differs above and below."""

    name: str
    width: float  # share of the distance between the pupils
    height: float  # share of the width
    upper: float  # exponents: 2 is an ellipse, larger is squarer
    lower: float
    slant: float = 0.0  # how much narrower it is below, towards the nose
    rise: float = 0.0  # mm that the outer end is higher


SHAPES = (
    Shape("round", 0.74, 0.95, 2.0, 2.0),
    Shape("panto", 0.76, 0.86, 2.8, 2.0),
    Shape("rectangular", 0.82, 0.58, 4.5, 3.5),
    Shape("square", 0.84, 0.74, 4.0, 3.0),
    Shape("oval", 0.80, 0.62, 2.2, 2.2),
    Shape("aviator", 0.88, 0.84, 3.0, 2.1, 0.18),
    Shape("cat eye", 0.82, 0.66, 3.0, 2.3, 0.1, 3.0),
    Shape("half", 0.76, 0.42, 5.0, 2.6),
)

# Frames: sRGB of metal and plastic.
_METALS = ((168, 160, 150), (196, 168, 110), (60, 60, 62), (120, 118, 118))
_PLASTICS = ((18, 18, 18), (60, 36, 22), (96, 62, 36), (30, 34, 60), (110, 30, 34), (150, 140, 130))
_TINTS = ((24, 24, 24), (48, 36, 24), (28, 40, 32), (30, 34, 52), (110, 70, 40))


class Glasses:
    """Draws glasses for the heads of one topology."""

    def __init__(self, wearer: Wearer) -> None:
        head = wearer.head
        self._marks = head.marks
        self._eyes = [np.flatnonzero(head.regions[n]) for n in ("eye_left", "eye_right")]
        mean, eyes = head.mean, head.mean[head.marks[36:48]]
        middle = eyes.mean(axis=0)
        bare = np.zeros(len(mean), bool)
        bare[wearer.bare_triangles] = True
        at = mean - middle
        self._front = np.flatnonzero(
            bare & (at[:, 2] > -45) & (np.abs(at[:, 0]) < 85) & (at[:, 1] < 40) & (at[:, 1] > -60)
        )
        self._side = np.flatnonzero(bare & (np.abs(at[:, 1] - 5) < 14) & (at[:, 2] < 0))
        ears = np.flatnonzero(wearer.ears)
        self._ears = [ears[mean[ears, 0] > 0], ears[mean[ears, 0] < 0]]

    def draw(
        self, g: np.random.Generator, vertices: FloatArray, sun: bool | None = None
    ) -> list[Part]:
        """Frame and lenses on the head with `vertices`; sunglasses in a quarter of all pairs."""
        sun = bool(g.random() < 0.25) if sun is None else sun
        shape = SHAPES[g.integers(len(SHAPES))]
        metal = g.random() < (0.7 if shape.name == "aviator" else 0.35)
        rim = g.uniform(0.5, 1.0) if metal else g.uniform(0.9, 2.1)  # radius, mm
        pupils = np.stack([vertices[i].mean(axis=0) for i in self._eyes])
        apart = float(np.linalg.norm(pupils[0] - pupils[1]))
        middle = pupils.mean(axis=0)
        width = apart * shape.width * g.uniform(0.92, 1.08)
        outline = _outline(shape, width, width * shape.height * g.uniform(0.92, 1.08))
        lenses = [outline + np.array([apart / 2, 0]), outline * (-1, 1) - np.array([apart / 2, 0])]
        lenses = [lens - (0, g.uniform(0.5, 4) * (shape.name != "half") + 1) for lens in lenses]
        rims = [self._placed(lens) for lens in lenses]
        bridge = self._placed(_bridge(lenses, g.uniform(1, 5)))
        ahead = self._clear(np.concatenate([*rims, bridge]), vertices, middle)
        shift = middle + np.array([0, 0, ahead])
        rims, bridge = [r + shift for r in rims], bridge + shift
        metal_rgb, plastic = (
            _METALS[g.integers(len(_METALS))],
            _PLASTICS[g.integers(len(_PLASTICS))],
        )
        frame = Material(
            _solid(metal_rgb if metal else plastic, 255),
            specular=0.5 if metal else 0.05,
            roughness=float(g.uniform(0.15, 0.4)),
        )
        tubes = [_tube(r, rim, closed=True) for r in rims] if not metal or g.random() > 0.15 else []
        tubes.append(_tube(bridge, max(rim, 0.9), closed=False))
        for index, (rim_points, sign) in enumerate(zip(rims, (1, -1), strict=True)):
            hinge = rim_points[(rim_points[:, 0] * sign).argmax()] + (sign * 2.0, 2.0, -1.0)
            start = rim_points[(rim_points[:, 0] * sign).argmax()]
            arm = self._arm(hinge, sign, vertices, self._ears[index])
            tubes.append(_tube(np.vstack([start, arm]), max(rim, 0.9), closed=False))
        glass = _solid(*_lens_colour(g, sun))
        lens_mesh = _join([_fan(r) for r in rims])
        return [
            _part(_join(tubes), frame),
            _part(
                lens_mesh,
                Material(glass, specular=0.06, roughness=float(g.uniform(0.03, 0.1))),
            ),
        ]

    def _placed(self, flat: FloatArray) -> FloatArray:
        """(N, 3) of points (N, 2) in the plane of the lenses: tilted, and bent around the face."""
        tilt = np.deg2rad(_TILT)
        x, y = flat.T
        return np.stack([x, y * np.cos(tilt), y * np.sin(tilt) - (x / 55) ** 2 * 4.0], axis=1)

    def _clear(self, points: FloatArray, vertices: FloatArray, middle: FloatArray) -> float:
        """How far ahead of the pupils' middle (mm) all of `points` are clear of skin and eyes."""
        skin = vertices[self._front]
        balls = max(vertices[i][:, 2].max() for i in self._eyes) - middle[2] + _BALL_CLEARANCE
        _, near = cKDTree(skin[:, :2] - middle[:2]).query(points[:, :2], 4)
        needed = skin[near, 2].max(axis=1) - middle[2] - points[:, 2] + _CLEARANCE
        # The rims may touch the cheeks, which give way: a few points do not count.
        return max(float(np.quantile(needed, 0.97)), float(balls))

    def _arm(self, hinge: FloatArray, sign: int, vertices: FloatArray, ear: IntArray) -> FloatArray:
        """(N, 3) from the hinge along the side of the head, over the ear and down behind it."""
        if len(ear):
            top = vertices[ear][:, 1].max()
            root = vertices[ear]
            root = root[(root[:, 1] > top - 22) & (root[:, 1] < top - 8)]
            inner = np.quantile(root[:, 0] * sign, 0.1) * sign
            over = np.array([inner, top - 9.0, np.quantile(root[:, 2], 0.35)])
            down = over + np.array([-sign * 2.0, -22.0, -16.0])
        else:
            over = hinge + np.array([sign * 4.0, -4.0, -95.0])
            down = over + np.array([0, -18.0, -14.0])
        t = np.linspace(0, 1, 9)[:, None]
        line = hinge + (over - hinge) * t
        side = vertices[self._side]
        side = side[side[:, 0] * sign > 20]
        _, near = cKDTree(side[:, 1:]).query(line[:, 1:], 3)
        skin = (side[near, 0] * sign).max(axis=1) + 1.5
        line[1:, 0] = sign * np.maximum(line[1:, 0] * sign, skin[1:])
        return np.vstack([line, down])


def _outline(shape: Shape, width: float, height: float) -> FloatArray:
    """(N, 2) around a lens; x runs from the nose outwards."""
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    power = 2 / np.where(s > 0, shape.upper, shape.lower)
    x = np.sign(c) * np.abs(c) ** power * width / 2
    y = np.sign(s) * np.abs(s) ** power * height / 2
    # Narrower below on the side of the nose, and higher outside.
    x = x + np.where(x < 0, 1, 0.3) * shape.slant * np.abs(np.minimum(y, 0)) * -np.sign(x)
    return np.stack([x, y + shape.rise * np.clip(2 * x / width, 0, 1) ** 2], axis=1)


def _bridge(lenses: list[FloatArray], height: float) -> FloatArray:
    """(9, 2) an arch from the inner edge of one lens to the other's."""
    left = lenses[0][lenses[0][:, 0].argmin()]
    left = lenses[0][np.abs(lenses[0] - (left[0], left[1] + height)).sum(axis=1).argmin()]
    x = np.linspace(left[0], -left[0], 9)
    return np.stack([x, left[1] + 2.5 * (1 - (x / left[0]) ** 2)], axis=1)


def _tube(
    path: FloatArray, radius: float, closed: bool, sides: int = 6
) -> tuple[FloatArray, IntArray]:
    """A tube of `sides` around a path (N, 3): vertices and triangles."""
    if not closed:  # evenly spaced, so that the rings do not shear
        length = np.append(0, np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum())
        keep = np.append(True, np.diff(length) > 1e-6)
        path = CubicSpline(length[keep], path[keep])(np.linspace(0, length[-1], 2 * len(path)))
    ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    # A fixed direction off the path gives frames that do not twist along it.
    guide = np.array([0, 0, 1.0]) if closed else np.array([0.1, 1.0, 0.1])
    side = np.cross(ahead, guide)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    third = np.cross(side, ahead)
    turn = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(turn)[:, None] * side[:, None] + np.sin(turn)[:, None] * third[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    count = len(path)
    i, j = (a.ravel() for a in np.mgrid[: count if closed else count - 1, :sides])
    after, other = (i + 1) % count, (j + 1) % sides
    a, b, c, d = i * sides + j, i * sides + other, after * sides + j, after * sides + other
    return vertices, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def _fan(rim: FloatArray) -> tuple[FloatArray, IntArray]:
    """A lens: the rim, a ring that bulges a little, and the middle."""
    centre = rim.mean(axis=0)
    inner = centre + 0.5 * (rim - centre) + (0, 0, 1.0)
    count, i = len(rim), np.arange(len(rim))
    j = (i + 1) % count
    middle = np.full(count, 2 * count)
    triangles = [(i, j, i + count), (j, j + count, i + count), (i + count, j + count, middle)]
    points = np.vstack([rim, inner, centre + np.array([0, 0, 1.4])])
    return points, np.concatenate([np.stack(t, axis=1) for t in triangles])


def _join(meshes: list[tuple[FloatArray, IntArray]]) -> tuple[FloatArray, IntArray]:
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    triangles = [faces + start for (_, faces), start in zip(meshes, starts, strict=False)]
    return np.concatenate([v for v, _ in meshes]), np.concatenate(triangles)


def _part(mesh: tuple[FloatArray, IntArray], material: Material) -> Part:
    vertices, triangles = mesh
    uv = np.full((1, 2), 0.5, np.float32)
    return Part(
        "glasses",
        vertices.astype(np.float32),
        triangles.astype(np.int32),
        uv,
        np.zeros_like(triangles, np.int32),
        material,
    )


def _lens_colour(g: np.random.Generator, sun: bool) -> tuple[tuple[int, int, int], int]:
    """sRGB and alpha of the glass."""
    if sun:
        return _TINTS[g.integers(len(_TINTS))], int(g.uniform(150, 245))
    return (170, 180, 184), int(g.uniform(3, 16))


def _solid(rgb: tuple[int, int, int], alpha: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 4), (*rgb, alpha), np.uint8)
