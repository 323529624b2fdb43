"""Hair: MakeHuman's meshes, and a procedural cap that needs no assets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief.arrays import FloatArray
from facerelief.geometry.raster import rasterise
from facerelief.render.scene import Material, Part
from facerelief.synth.hair.strands import HairColour, resized, strands, tufted
from facerelief.synth.ties import proxies
from facerelief.synth.ties.binding import SpaceBinding
from facerelief.synth.ties.shell import HeadGrid, drape, grid_mesh
from facerelief.synth.ties.wearer import Wearer

#: MakeHuman's styles that are used. `afro01` is left out: the cap makes better ones.
MESHES = (
    "short01", "short02", "short03", "short04", "bob01", "bob02", "braid01", "long01", "ponytail01",
)  # fmt: skip
_TEXTURE = 512
_LOWEST = -330.0  # mm below the eyes at which long hair is cut off: no picture shows more


_GLOSS = 0.045  # reflectance of hair at normal incidence


@dataclass(frozen=True, eq=False)
class HairMesh:
    """One of MakeHuman's styles, bound to the head as it is and mirrored."""

    name: str
    triangles: NDArray[np.int32]
    uv: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]
    grey: NDArray[np.uint8]  # (H, W)
    alpha: NDArray[np.uint8]  # (H, W)
    bindings: tuple[SpaceBinding, SpaceBinding]

    @classmethod
    def load(cls, folder: Path, base: FloatArray, wearer: Wearer) -> HairMesh:
        """Read the style in `folder`; `base` is the base mesh on the mean head.

        Raises:
            FileNotFoundError: a file is missing; the message says where it is published.
        """
        mesh = proxies.read_proxy(folder, base).mesh
        keep = mesh.vertices[mesh.triangles][..., 1].max(axis=1) > _LOWEST
        used, triangles = np.unique(mesh.triangles[keep], return_inverse=True)
        points, mean = mesh.vertices[used], wearer.head.mean
        picture = folder / f"{folder.name}_diffuse.png"
        if picture.is_file():
            pixels = proxies.read_texture(picture, _TEXTURE)
            grey, alpha = _grey(pixels), pixels[..., 3]
        else:
            g = np.random.default_rng(len(points))
            grey = strands(g, _TEXTURE, _TEXTURE)
            alpha = tufted(_islands(mesh), g)
        return cls(
            folder.name,
            triangles.reshape(-1, 3).astype(np.int32),
            mesh.uv.astype(np.float32),
            mesh.uv_triangles[keep].astype(np.int32),
            grey,
            alpha,
            (
                SpaceBinding(wearer.controls, mean, points),
                SpaceBinding(wearer.controls, mean, points * (-1, 1, 1)),
            ),
        )

    def draw(
        self, g: np.random.Generator, vertices: FloatArray, centre: FloatArray, colour: HairColour
    ) -> Part:
        """The style on the head with `vertices`, a little larger and perhaps mirrored."""
        points = self.bindings[g.integers(2)](vertices) - centre
        points = points * (1.008 + np.abs(g.normal(0, 0.02, 3))).astype(np.float32)
        # Slow waves that no two heads share.
        for axis in range(3):
            wave, phase = g.normal(0, 1 / 40, 3).astype(np.float32), g.uniform(0, 2 * np.pi)
            points[:, axis] += g.uniform(0, 1.5) * np.sin(points @ wave + phase)
        return Part(
            "hair",
            (points + centre).astype(np.float32),
            self.triangles,
            self.uv,
            self.uv_triangles,
            Material(
                colour.paint(self.grey, self.alpha),
                specular=_GLOSS,
                roughness=float(g.uniform(0.3, 0.55)),
            ),
        )


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) brightness, stretched so that the hair of all textures spans the same levels."""
    grey = pixels[..., :3].astype(np.float32).mean(axis=2)
    low, middle, high = np.percentile(grey[pixels[..., 3] > 128], (2, 50, 98))
    below = (grey - middle) / max(middle - low, 1) * 90
    above = (grey - middle) / max(high - middle, 1) * 110
    return np.clip(110 + np.where(grey < middle, below, above), 0, 255).astype(np.uint8)


def _islands(mesh: proxies.Mesh) -> NDArray[np.bool_]:
    """(size, size) where a texture is used."""
    points = np.stack(
        [mesh.uv[:, 0] * _TEXTURE, (1 - mesh.uv[:, 1]) * _TEXTURE, np.zeros(len(mesh.uv))], axis=1
    )
    return rasterise(points, mesh.uv_triangles, (_TEXTURE, _TEXTURE)).mask


@dataclass(frozen=True)
class CapStyle:
    """A procedural hair style; lengths in mm, ranges are uniform."""

    name: str
    thickness: tuple[float, float]
    lumps: float  # share of the thickness that is uneven
    fringe: tuple[float, float] = (0.0, 0.0)  # over the forehead
    drop: tuple[float, float] = (0.0, 0.0)  # below the ears
    curl: float = 0.0
    fray: float = 5.0  # how far the hairline wanders


STYLES = (
    CapStyle("buzz", (1.2, 2.5), 0.1, fray=2),
    CapStyle("short", (5, 14), 0.4, (0, 10), fray=3),
    CapStyle("fringe", (7, 14), 0.3, (22, 42), fray=5),
    CapStyle("curly", (12, 26), 0.5, (0, 15), curl=0.8, fray=6),
    CapStyle("afro", (28, 60), 0.15, (4, 12), curl=1.0, fray=3),
    CapStyle("bob", (9, 16), 0.25, (-5, 35), (40, 110), fray=5),
    CapStyle("long", (7, 14), 0.25, (-5, 25), (140, 260), fray=5),
)
_HEIGHT, _WIDTH, _BANK = 192, 384, 4
_DROP_ROWS = 14


class CapHair:
    """Hair that grows from the scalp's outline; no assets are needed."""

    def __init__(self, grid: HeadGrid) -> None:
        self._grid = grid
        g = np.random.default_rng(2)
        self._strands = {
            curl: [strands(g, _HEIGHT, _WIDTH, curl) for _ in range(_BANK)]
            for curl in sorted({style.curl for style in STYLES})
        }
        shape = (grid.rows + _DROP_ROWS, grid.columns)
        self._lumps, self._fray = [], []
        for _ in range(_BANK):
            lumps = gaussian_filter(g.standard_normal(shape), (3, 3), mode=("nearest", "wrap"))
            self._lumps.append((lumps / lumps.std()).astype(np.float32))
            fray = np.zeros((_HEIGHT, _WIDTH))
            for wide in (0.7, 2.5, 8.0):  # single strands, locks and the whole outline
                noise = g.standard_normal((_HEIGHT, _WIDTH), dtype=np.float32)
                noise = gaussian_filter(noise, (9, wide), mode=("nearest", "wrap"), truncate=2.5)
                fray += noise / noise.std()
            self._fray.append((fray / fray.std()).astype(np.float32))
        # Degrees from the front, -180 to 180, with the first column repeated behind the last.
        self._side = np.abs((np.append(grid.azimuth, 180) + 180) % 360 - 180)
        self._meshes = {
            rows: grid_mesh(rows, grid.columns) for rows in (grid.rows, grid.rows + _DROP_ROWS)
        }

    def draw(
        self,
        g: np.random.Generator,
        vertices: FloatArray,
        colour: HairColour,
        style: CapStyle | None = None,
        flat: bool = False,
    ) -> Part:
        """A style, random unless given, on the head with `vertices`; `flat` fits under a hat."""
        style = style or STYLES[g.integers(len(STYLES))]
        grid, centre = self._grid, self._grid.centre(vertices)
        points = grid(vertices)
        outwards = points - centre
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        lumps = np.roll(self._lumps[g.integers(_BANK)], g.integers(grid.columns), axis=1)
        calm = np.clip(grid.polar / 40, 0, 1)[:, None]  # columns meet at the crown
        lumps = np.clip(lumps[: grid.rows], -1.5, 1.5) * calm
        thick = g.uniform(*style.thickness)
        thick = min(thick, 3.0) if flat else thick
        reach = np.clip(1.5 * thick, 12, 45)
        grown = np.clip((grid.hairline + 3) / reach, 0, 1) ** 0.8
        thickness = thick * grown * (1 + style.lumps * lumps)
        field, hairline = self._field(g, style)
        # A fringe stands off the forehead a little.
        thickness = np.maximum(thickness, np.clip(field / 8, 0, 1) * min(thick, 2.5))
        if style.drop[1] > 0:
            thickness = np.maximum(thickness, (4 + 0.3 * thick) * (self._side[:-1] > 55))
            points = grid(vertices, over_ears=True) + outwards * (0.8 + thickness[..., None])
            drop = np.linspace(0, g.uniform(*style.drop), _DROP_ROWS + 1)[1:]
            points = drape(points, centre, drop, grid.side_row)
        else:
            points = points + outwards * (0.8 + thickness[..., None])
        rows = len(points)
        uv, triangles, uv_triangles = self._meshes[rows]
        visible = np.maximum(hairline[:, :-1], hairline[:, 1:]).ravel() > -3 * style.fray
        kept = visible[triangles].any(axis=1)
        alpha = resized(hairline, _HEIGHT, _WIDTH)
        alpha = alpha + style.fray * np.roll(
            self._fray[g.integers(_BANK)], g.integers(_WIDTH), axis=1
        )
        alpha = np.clip(alpha * (255 / (1.2 * style.fray + 3)) + 128, 0, 255)
        bank = self._strands[style.curl]
        grey = np.roll(bank[g.integers(_BANK)], g.integers(_WIDTH), axis=1)
        texture = colour.paint(grey, alpha.astype(np.uint8))
        return Part(
            "hair",
            points.reshape(-1, 3).astype(np.float32),
            triangles[kept],
            uv,
            uv_triangles[kept],
            Material(texture, specular=_GLOSS, roughness=float(g.uniform(0.3, 0.55))),
        )

    def _field(self, g: np.random.Generator, style: CapStyle) -> tuple[FloatArray, FloatArray]:
        """Distance inside the hair in mm: (rows, columns), and (rows + hanging, columns + 1)."""
        grid = self._grid
        field = np.append(grid.hairline, grid.hairline[:, :1], axis=1)
        # Random outline: a receding or low forehead, temples, and the fringe.
        high = np.exp(-((self._side / g.uniform(25, 45)) ** 2))
        temples = np.exp(-(((self._side - 48) / 16) ** 2))
        fringe = g.uniform(*style.fringe)
        field = field + (g.normal(0, 4) + fringe) * high - g.uniform(-2, 10) * temples
        if style.drop[1] == 0:
            return field[:, :-1], field
        # Curtains at the sides and behind: everything below the ears beyond this azimuth.
        edge = g.uniform(58, 80) + g.normal(0, 5) * np.linspace(0, 1, grid.rows + _DROP_ROWS)
        inside = (self._side[None] - edge[:, None]) * 1.5  # mm, roughly
        row = np.arange(grid.rows + _DROP_ROWS)
        tips = (len(row) - 1 - row) * (g.uniform(*style.drop) / _DROP_ROWS)
        curtain = np.minimum(inside, tips[:, None])
        curtain[grid.polar.searchsorted(50) :: -1] = -99
        padded = np.concatenate([field, np.full((_DROP_ROWS, field.shape[1]), -99.0)])
        return field[:, :-1], np.maximum(padded, curtain)
