"""Beards and moustaches: a fringe of strands over the skin of the lower face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter

from facerelief.arrays import FloatArray
from facerelief.geometry.mesh import vertex_normals
from facerelief.render.scene import Material, Part
from facerelief.synth.hair.strands import HairColour, strands
from facerelief.synth.ties.wearer import Wearer

_HEIGHT, _WIDTH, _BANK = 256, 384, 4
_PIXEL = 0.65  # mm that a pixel of the texture is about wide on the face
STYLES = ("full", "goatee", "moustache", "strap", "circle")


class Beards:
    """Draws beards for the heads of one topology."""

    def __init__(self, wearer: Wearer) -> None:
        head = wearer.head
        mean = head.mean.astype(np.float64)
        marks = mean[head.marks]
        # A sphere around a point within the jaw, at the height of the mouth, unrolls the face.
        back = marks[[0, 16], 2].mean()
        self._middle = np.array([0, marks[48:60, 1].mean(), 0.55 * back + 0.45 * marks[8, 2]])
        uv = self._unrolled(mean)
        self._fields = {style: self._field(marks, style) for style in STYLES}
        everything = np.max(list(self._fields.values()), axis=0)
        triangles = wearer.bare_triangles[
            (_read(everything, uv)[wearer.bare_triangles] > -6).any(axis=1)
            & (mean[wearer.bare_triangles][..., 2] > back - 12).all(axis=1)
        ]
        # The inside of the mouth lies nearer to the middle than the face does.
        outside = mean[triangles].mean(axis=1) - self._middle
        normals = vertex_normals(mean, wearer.skin_triangles)
        facing = (normals[triangles].mean(axis=1) * outside).sum(axis=1) > 0
        outer = np.linalg.norm(outside, axis=1) > 28
        triangles = triangles[facing & outer]
        self._used, local = np.unique(triangles, return_inverse=True)
        self._triangles = local.reshape(-1, 3).astype(np.int32)
        self._uv = uv[self._used].astype(np.float32)
        self._normals = normals[self._used].astype(np.float32)
        chin = np.linalg.norm(mean[self._used] - marks[8], axis=1)
        self._chin = np.exp(-((chin / 28) ** 2)).astype(np.float32)
        g = np.random.default_rng(4)
        self._strands = [strands(g, _HEIGHT, _WIDTH, 0.7) for _ in range(_BANK)]
        self._fray = []
        for _ in range(_BANK):
            fine = gaussian_filter(g.standard_normal((_HEIGHT, _WIDTH)), (2.5, 0.5))
            broad = gaussian_filter(g.standard_normal((_HEIGHT, _WIDTH)), (9, 7))
            self._fray.append((fine / fine.std() + 0.7 * broad / broad.std()).astype(np.float32))

    def draw(
        self,
        g: np.random.Generator,
        vertices: FloatArray,
        colour: HairColour,
        style: str | None = None,
    ) -> Part:
        """A beard, of a random style unless given, on the head with `vertices`."""
        name = STYLES[g.choice(len(STYLES), p=(0.45, 0.15, 0.15, 0.1, 0.15))]
        field = self._fields[style or name] + np.float32(g.uniform(-3, 2))
        length = 1.0 + g.exponential(2.5)
        depth = np.clip(_read(field, self._uv) / 12, 0, 1)
        points = vertices[self._used] + self._normals * (0.4 + length * depth)[:, None]
        points = points + np.outer(self._chin * depth * length * g.uniform(0, 3), (0, -1.0, 0.15))
        # Growth thins out towards the outline, strand by strand.
        fray = np.roll(self._fray[g.integers(_BANK)], g.integers(_WIDTH), axis=1)
        alpha = np.clip((field + 3.5) / g.uniform(8, 14), 0, g.uniform(1.1, 1.7)) + 0.22 * fray
        alpha = np.clip(alpha - 0.1, 0, 1) * (field > -6)
        grey = np.roll(self._strands[g.integers(_BANK)], g.integers(_WIDTH), axis=1)
        texture = colour.darker(0.9).paint(grey, (255 * alpha).astype(np.uint8))
        return Part(
            "hair",
            points.astype(np.float32),
            self._triangles,
            self._uv,
            self._triangles,
            Material(texture, specular=0.03, roughness=0.6),
        )

    def _unrolled(self, points: FloatArray) -> FloatArray:
        """(..., 2) texture coordinates: azimuth within 115 degrees, and elevation."""
        x, y, z = np.moveaxis(points - self._middle, -1, 0)
        azimuth = np.rad2deg(np.arctan2(x, z))
        elevation = np.rad2deg(np.arctan2(y, np.hypot(x, z)))
        return np.clip(np.stack([azimuth / 230 + 0.5, (elevation + 90) / 150], axis=-1), 0, 1)

    def _field(self, marks: FloatArray, style: str) -> NDArray[np.float32]:
        """(H, W) pixels inside the outline of a style."""
        jaw, mouth = marks[:17], marks[48:60]
        chin, width = marks[8], np.abs(marks[54, 0] - marks[48, 0])
        # The lower outline runs over the neck, and up to the jaw's line before the ears.
        ends = np.sin(np.linspace(0, np.pi, 17))[:, None] ** 0.7
        under = jaw + np.multiply((0, -14, -16), ends)
        lip_top, nose = marks[51], marks[33]
        moustache = [
            marks[48] + (-4, -4, 0), marks[31] + (-3, -3, 0), np.add(nose, (0, -2, 0)),
            marks[35] + (3, -3, 0), marks[54] + (4, -4, 0), lip_top,
        ]  # fmt: skip
        tuft = [marks[48] * (0.7, 1, 1), mouth[9], marks[54] * (0.7, 1, 1)]
        outlines = {
            "full": [
                [jaw[0], jaw[1] * (0.9, 1, 1) + (0, 0, 8), marks[48] + (-14, 3, 0), marks[31],
                 nose, marks[35], marks[54] + (14, 3, 0), jaw[15] * (0.9, 1, 1) + (0, 0, 8),
                 jaw[16], *under[::-1]]
            ],
            "moustache": [moustache],
            "goatee": [
                [*tuft, *(np.add(chin, (x, -14, -8)) for x in (0.5 * width, 0, -0.5 * width))]
            ],
            "strap": [[*(0.97 * (jaw - chin) + chin + (0, 10, 2)), *under[::-1]]],
        }  # fmt: skip
        outlines["circle"] = [
            *outlines["moustache"],
            [marks[48] + (-6, 0, 0), marks[54] + (6, 0, 0),
             *(np.add(chin, (x, -12, -8)) for x in (0.55 * width, 0, -0.55 * width))],
        ]  # fmt: skip
        picture = Image.new("L", (_WIDTH, _HEIGHT))
        pen = ImageDraw.Draw(picture)
        for outline in outlines[style]:
            pen.polygon(self._pixels(np.array(outline)), fill=1)
        pen.polygon(self._pixels(mouth), fill=0)
        inside = np.asarray(picture) > 0
        field = distance_transform_edt(inside) - distance_transform_edt(~inside)
        return (gaussian_filter(field, 2.0) * _PIXEL).astype(np.float32)

    def _pixels(self, points: FloatArray) -> list[tuple[float, float]]:
        u, v = self._unrolled(points).T
        return [(float(x), float(y)) for x, y in zip(u * _WIDTH, (1 - v) * _HEIGHT, strict=True)]


def _read(field: FloatArray, uv: FloatArray) -> FloatArray:
    """(N,) the nearest values of a texture (H, W)."""
    rows = ((1 - uv[:, 1]) * _HEIGHT).astype(int).clip(0, _HEIGHT - 1)
    values: FloatArray = field[rows, (uv[:, 0] * _WIDTH).astype(int).clip(0, _WIDTH - 1)]
    return values
