"""Caps, beanies, hats with a brim, headbands and head scarves, cut from the grid over a head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from facerelief.arrays import FloatArray, IntArray
from facerelief.render.scene import Material, Part
from facerelief.synth.hair.strands import resized
from facerelief.synth.ties.shell import HeadGrid, drape, grid_mesh
from facerelief.synth.ties.wearer import Wearer
from facerelief.synth.worn.cloth import cloth

KINDS = ("cap", "beanie", "brim", "band", "scarf")
_SHARES = (0.34, 0.26, 0.12, 0.08, 0.2)
_ROWS, _SIZE, _DROP_ROWS = 18, 128, 10
_VISOR = 58.0  # degrees to either side that a visor spans


class Hats:
    """Draws hats for the heads of one topology."""

    def __init__(self, wearer: Wearer, grid: HeadGrid) -> None:
        self._marks, self._grid = wearer.head.marks, grid
        self._side = (grid.azimuth + 180) % 360 - 180  # degrees from the front to the left
        self._dome = grid_mesh(_ROWS, grid.columns)
        self._hood = grid_mesh(grid.rows + _DROP_ROWS, grid.columns)

    def draw(
        self, g: np.random.Generator, vertices: FloatArray, kind: str | None = None
    ) -> tuple[list[Part], bool]:
        """A hat, of a random kind unless given, and whether all hair is under it."""
        kind = kind or KINDS[g.choice(len(KINDS), p=_SHARES)]
        texture = np.full((_SIZE, _SIZE, 4), 255, np.uint8)
        colours = cloth(g, _SIZE)
        if kind == "beanie":  # ribs of knitting
            ribs = np.sin(np.arange(_SIZE) * 2 * np.pi * g.integers(24, 42) / _SIZE)
            colours *= (0.9 + 0.1 * ribs[None, :, None]).astype(np.float32)
        texture[..., :3] = np.clip(colours, 0, 1) * 255
        if kind == "scarf":
            return self._scarf(g, vertices, texture), True
        return self._hat(g, vertices, kind, texture), False

    def _hat(
        self, g: np.random.Generator, vertices: FloatArray, kind: str, texture: NDArray[np.uint8]
    ) -> list[Part]:
        grid, centre = self._grid, self._grid.centre(vertices)
        points = grid(vertices, over_ears=kind == "beanie")
        outwards = points - centre
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        loose = g.uniform(2, 4) if kind == "band" else g.uniform(8, 12)
        points = points + outwards * loose
        # Worn down to a plane through the forehead that falls off backwards.
        brows = vertices[self._marks[17:27]].mean(axis=0)
        low, high = {"cap": (22, 45), "beanie": (10, 45), "brim": (25, 45), "band": (30, 50)}[kind]
        fall = np.tan(np.deg2rad(g.uniform(6, 16)))
        height = points[..., 1] - brows[1] - g.uniform(low, high)
        height = height - (points[..., 2] - brows[2]) * fall
        end = _crossing(height)
        start = np.zeros_like(end)
        if kind == "band":
            start = end - g.uniform(15, 45) / 135 * 36 * 0.6
        dome = _resampled(points, np.maximum(start, 0), end, _ROWS)
        rise = np.linspace(1, 0, _ROWS)[:, None]
        if kind == "cap":
            dome[..., 1] += 10 * np.sqrt(rise) * g.uniform(0.5, 1.2)
        elif kind == "brim":
            dome[..., 1] += g.uniform(15, 40) * np.minimum(1, 4 * rise)
        elif kind == "beanie":
            dome = dome + (0, 1, -0.6) * (g.uniform(0, 30) * rise**2)[..., None]
            if g.random() < 0.6:  # a cuff
                dome[-5:] = dome[-5:] + 3.0 * _ahead(dome[-5:], centre)
        uv, triangles, uv_triangles = self._dome
        material = Material(texture, specular=0.02, roughness=float(g.uniform(0.6, 0.9)))
        parts = [_part(dome.reshape(-1, 3), triangles, uv, uv_triangles, material)]
        if kind == "cap" and g.random() < 0.85:
            parts.append(self._visor(g, dome[-1], material))
        if kind == "brim":
            parts.append(self._brim(g, dome[-1], centre, material))
        return parts

    def _visor(self, g: np.random.Generator, rim: FloatArray, material: Material) -> Part:
        """A stiff sheet ahead of the front of the rim."""
        order = np.argsort(self._side)
        order = order[np.abs(self._side[order]) <= _VISOR]
        edge, side = rim[order], self._side[order]
        reach = g.uniform(55, 75) * np.sqrt(np.maximum(0.0, 1 - (side / (_VISOR + 1)) ** 2))
        t = np.linspace(0, 1, 6)[:, None, None]
        droop = np.tan(np.deg2rad(g.uniform(5, 22)))
        sheet = edge + t * reach[:, None] * np.array([0, -droop, 1.0])
        sheet[..., 1] -= 14 * g.uniform(0.3, 1.2) * t[..., 0] * (side / _VISOR) ** 2
        return _sheet(sheet, material)

    def _brim(
        self, g: np.random.Generator, rim: FloatArray, centre: FloatArray, material: Material
    ) -> Part:
        """A ring around the rim."""
        t = np.linspace(0, 1, 6)[:, None, None]
        width, tilt = g.uniform(35, 80), g.normal(-0.1, 0.2)
        outwards = _ahead(rim[None], centre)[0]
        ring = rim + t * width * np.add(outwards, (0, tilt, 0))
        wave = np.cos(np.deg2rad(self._side) * 2 + g.uniform(0, 6))
        ring[..., 1] += 6 * g.random() * t[..., 0] ** 2 * wave
        uv, triangles, uv_triangles = grid_mesh(6, len(rim))
        return _part(ring.reshape(-1, 3), triangles, uv, uv_triangles, material)

    def _scarf(
        self, g: np.random.Generator, vertices: FloatArray, texture: NDArray[np.uint8]
    ) -> list[Part]:
        """A scarf over head and ears that hangs at the sides, and its turn below the chin."""
        grid, centre = self._grid, self._grid.centre(vertices)
        points = grid(vertices, over_ears=True)
        outwards = points - centre
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        drop = np.linspace(0, g.uniform(60, 160), _DROP_ROWS + 1)[1:]
        points = drape(points + outwards * g.uniform(4, 9), centre, drop, grid.side_row)
        away = np.abs(np.append(self._side, self._side[:1]))
        top = np.append(grid.hairline, grid.hairline[:, :1], axis=1) + g.uniform(8, 26)
        edge = g.uniform(56, 66)
        sides = (away[None] - edge) * 1.3 * np.ones((len(points), 1))
        field = np.maximum(np.concatenate([top, np.full((_DROP_ROWS, len(away)), -99.0)]), sides)
        # Folds run down and around.
        row, column = np.mgrid[: len(points), : grid.columns]
        phase = g.uniform(0, 6, 3)
        folds = np.sin(row * g.uniform(0.3, 0.6) + np.abs(self._side[column]) / 20 + phase[0])
        folds = folds + np.sin(
            row * g.uniform(0.7, 1.1) - np.abs(self._side[column]) / 12 + phase[1]
        )
        points = points + _ahead(points, centre) * (g.uniform(0.3, 1.4) * folds)[..., None]
        texture = texture.copy()
        texture[..., 3] = np.clip(resized(field, _SIZE, _SIZE) * 60 + 128, 0, 255)
        uv, triangles, uv_triangles = self._hood
        visible = np.maximum(field[:, :-1], field[:, 1:]).ravel() > -12
        kept = visible[triangles].any(axis=1)
        material = Material(texture, specular=0.02, roughness=0.8)
        hood = _part(points.reshape(-1, 3), triangles[kept], uv, uv_triangles[kept], material)
        texture = texture.copy()
        texture[..., 3] = 255
        return [hood, self._wrap(g, vertices, Material(texture, specular=0.02, roughness=0.8))]

    def _wrap(self, g: np.random.Generator, vertices: FloatArray, material: Material) -> Part:
        """Cloth that follows the line of the jaw and falls over the neck."""
        jaw = vertices[self._marks[:17]].astype(float)
        line = CubicSpline(range(17), jaw)(np.linspace(0, 16, 41))
        middle = np.array([0, line[:, 1].mean(), jaw[[0, 16], 2].mean()])
        away = line - middle
        away[:, 1] = 0
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        t = np.linspace(0, 1, 10)[:, None, None]
        sheet = (
            line + away * (4 + 10 * np.sin(t * 4) - 8 * t) + (0, -1, 0) * (t * g.uniform(170, 230))
        )
        sheet = sheet + (0, 3.0, 0) * np.sin(t * 9 + np.linspace(0, 3, 41)[:, None])
        return _sheet(sheet, material)


def _crossing(height: FloatArray) -> FloatArray:
    """(columns,) the fraction of rows at which each column first falls below zero."""
    below = height < 0
    row = np.where(below.any(axis=0), below.argmax(axis=0), len(height) - 1).clip(1)
    columns = np.arange(height.shape[1])
    upper, lower = height[row - 1, columns], height[row, columns]
    share = np.clip(upper / np.maximum(upper - lower, 1e-6), 0, 1)
    fractions: FloatArray = row - 1 + share
    return fractions


def _resampled(points: FloatArray, start: FloatArray, end: FloatArray, rows: int) -> FloatArray:
    """(rows, columns, 3) points evenly between two fractional rows of every column."""
    at = start + np.linspace(0, 1, rows)[:, None] * (end - start)
    low = np.floor(at).astype(int).clip(0, len(points) - 2)
    share = (at - low)[..., None]
    columns = np.arange(points.shape[1])[None]
    result: FloatArray = points[low, columns] * (1 - share) + points[low + 1, columns] * share
    return result


def _ahead(points: FloatArray, centre: FloatArray) -> FloatArray:
    """Unit horizontal directions away from the middle of the head."""
    flat = points - centre
    flat = flat * (1, 0, 1)
    unit: FloatArray = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
    return unit


def _sheet(points: FloatArray, material: Material) -> Part:
    """A part of an open grid of points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(1, 0, rows))
    i, j = (a.ravel() for a in np.mgrid[: rows - 1, : columns - 1])
    a, b = i * columns + j, i * columns + j + 1
    triangles = np.concatenate(
        [np.stack([a, a + columns, b + columns], 1), np.stack([a, b + columns, b], 1)]
    ).astype(np.int32)
    uv = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float32)
    return _part(points.reshape(-1, 3), triangles, uv, triangles, material)


def _part(
    points: FloatArray,
    triangles: IntArray,
    uv: NDArray[np.float32],
    uv_triangles: IntArray,
    material: Material,
) -> Part:
    return Part(
        "hat",
        points.astype(np.float32),
        triangles.astype(np.int32),
        uv,
        uv_triangles.astype(np.int32),
        material,
    )
