"""Eyes: the head's own meshes with textures and gloss.

The texture of an eye is a disc around its axis: the distance from the middle is the angle from the
axis. Irises are drawn, or taken from MakeHuman's eye pictures.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from facerelief.arrays import FloatArray
from facerelief.easing import smooth_step
from facerelief.geometry.morphable import MorphableModel
from facerelief.render.scene import Material, Part
from facerelief.synth.features.colours import opaque
from facerelief.synth.ties import proxies

_SIZE = 128  # pixels of a texture
_REACH = 75.0  # degrees from the axis at the edge of the disc
_IRIS = 24.5  # degrees from the axis to the edge of the iris: 6 mm on a ball of 14.5 mm
_BANK = 6  # patterns of fibres and veins drawn ahead

# Irises as (share, hue degrees, saturation, value) of the outer part, and the same of the inner.
_IRISES = (
    (0.42, (25, 0.62, 0.22), (28, 0.68, 0.30)),  # dark brown
    (0.20, (28, 0.62, 0.36), (32, 0.68, 0.48)),  # brown
    (0.08, (70, 0.30, 0.42), (36, 0.60, 0.50)),  # hazel
    (0.08, (95, 0.28, 0.42), (60, 0.35, 0.50)),  # green
    (0.14, (208, 0.38, 0.55), (205, 0.22, 0.68)),  # blue
    (0.08, (205, 0.12, 0.55), (200, 0.10, 0.65)),  # grey
)


class Eyes:
    """Both eyes of a head as one part."""

    def __init__(self, head: MorphableModel, assets: Path | None) -> None:
        triangles, self.uv, self.uv_triangles = _disc_mesh(head)
        self.vertices = np.unique(triangles)
        self.triangles = np.searchsorted(self.vertices, triangles).astype(np.int32)
        y, x = (np.mgrid[:_SIZE, :_SIZE] + 0.5) / _SIZE * 2 - 1
        self._angle = np.hypot(x, y).astype(np.float32) * _REACH  # degrees from the axis
        self._around = np.arctan2(-y, x).astype(np.float32)
        half = int(np.ceil((1.06 * _IRIS + 2) / _REACH * _SIZE / 2))
        self._middle = (slice(_SIZE // 2 - half, _SIZE // 2 + half),) * 2  # where the iris is
        g = np.random.default_rng(1)
        self._fibres = [_fibres(g, self._angle, self._around) for _ in range(_BANK)]
        self._veins = [_veins(g) for _ in range(_BANK)]
        self._pictures = []
        if assets is not None:
            for path in sorted((assets / "eyes" / "materials").glob("*_eye.png")):
                self._pictures.append(_picture(path))

    def draw(self, g: np.random.Generator, vertices: FloatArray, dark: float = 0.5) -> Part:
        """The eyes of the head with `vertices`; `dark` (0 to 1) is how likely brown irises are."""
        if self._pictures and g.random() < 0.25 * (1 - dark):
            texture = _recoloured(g, self._pictures[g.integers(len(self._pictures))])
        else:
            texture = self._drawn(g, dark)
        material = Material(texture, specular=0.03, roughness=float(g.uniform(0.08, 0.2)))
        return Part(
            "eye",
            vertices[self.vertices].astype(np.float32),
            self.triangles,
            self.uv,
            self.uv_triangles,
            material,
        )

    def _drawn(self, g: np.random.Generator, dark: float) -> NDArray[np.uint8]:
        """(size, size, 4) an eye of random colour."""
        share = np.array([s for s, *_ in _IRISES])
        share = share * np.where(np.arange(len(share)) < 2, 0.15 + dark, 1.15 - dark) + 1e-3
        _, *colours = _IRISES[g.choice(len(_IRISES), p=share / share.sum())]
        outer, inner = (_jittered(g, colour) for colour in colours)
        radius = _IRIS * g.uniform(0.94, 1.06)
        pupil = radius * g.uniform(0.24, 0.55)
        white = np.array([0.80, 0.775, 0.755]) * g.uniform(0.86, 1.06)
        white = white * (1, 1 - 0.05 * g.random(), 1 - 0.12 * g.random())
        red = np.clip((self._angle - 35) * np.float32(g.uniform(0.02, 0.25) / 40), 0, 1)
        red = np.minimum(red + self._veins[g.integers(_BANK)] * np.float32(g.uniform(0, 0.8)), 0.7)
        blood = np.array([0.62, 0.26, 0.22])
        eye = white.astype(np.float32) + red[..., None] * (blood - white).astype(np.float32)

        middle = self._middle
        angle, fibres = self._angle[middle], self._fibres[g.integers(_BANK)][middle]
        across = np.clip((angle - pupil) / (radius - pupil), 0, 1)
        mix = np.clip(across * 1.7 - 0.25 + 0.25 * fibres, 0, 1)[..., None]
        iris = inner + (outer - inner) * mix
        limbal = g.uniform(0.25, 0.75) * smooth_step(across, 0.72, 1.0)
        iris = iris * (1 + 0.28 * fibres - limbal)[..., None]
        iris = iris * smooth_step(angle, pupil - 1.0, pupil + 1.0)[..., None] + 0.015
        edge = smooth_step(angle, radius - 1.5, radius + 1.8)[..., None]
        eye[middle] = iris * (1 - edge) + eye[middle] * edge
        return opaque(eye)


def _disc_mesh(
    head: MorphableModel,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Triangles of both eyes (into the head), uv and triangles into uv."""
    mean = head.mean.astype(np.float64)
    triangles, uv, uv_triangles, count = [], [], [], 0
    for name in ("eye_left", "eye_right"):
        mask = head.regions[name]
        own = head.triangles[mask[head.triangles].all(axis=1)]
        used = np.unique(own)
        points = mean[used]
        centre = points.mean(axis=0)
        # The cornea bulges, so the farthest points ahead are around the axis.
        ahead = points[points[:, 2] > centre[2]] - centre
        far = np.linalg.norm(ahead, axis=1)
        axis = (ahead * np.exp((far - far.max()) / 0.2)[:, None]).sum(axis=0)
        axis /= np.linalg.norm(axis)
        direction = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
        right = np.cross([0, 1.0, 0], axis)
        right /= np.linalg.norm(right)
        planar = np.stack([direction @ right, direction @ np.cross(axis, right)], axis=1)
        angle = np.rad2deg(np.arccos(np.clip(direction @ axis, -1, 1)))
        planar /= np.maximum(np.linalg.norm(planar, axis=1, keepdims=True), 1e-9)
        uv.append(0.5 + 0.5 * planar * np.clip(angle / _REACH, 0, 1)[:, None])
        triangles.append(own)
        uv_triangles.append(np.searchsorted(used, own) + count)
        count += len(used)
    return (
        np.concatenate(triangles),
        np.concatenate(uv).astype(np.float32),
        np.concatenate(uv_triangles).astype(np.int32),
    )


def _fibres(g: np.random.Generator, angle: FloatArray, around: FloatArray) -> NDArray[np.float32]:
    """(size, size) radial fibres of an iris, about -1 to 1."""
    noise = g.standard_normal((12, 128))
    noise = gaussian_filter(noise, (1.5, 0.8), mode=("nearest", "wrap"))
    noise += 0.7 * gaussian_filter(g.standard_normal((12, 128)), (4, 0.6), mode=("nearest", "wrap"))
    rows = np.clip(angle / _IRIS * 11, 0, 11)
    columns = (around / (2 * np.pi) % 1) * 128
    values = map_coordinates(noise / noise.std(), [rows, columns], order=1, mode="grid-wrap")
    return np.clip(values * 0.6, -1, 1).astype(np.float32)


def _veins(g: np.random.Generator) -> NDArray[np.float32]:
    """(size, size) thin branching lines towards the rim of the disc, 0 to 1."""
    picture = np.zeros((_SIZE, _SIZE))
    for _ in range(g.integers(10, 26)):
        heading = g.uniform(0, 2 * np.pi)
        at = 0.5 + 0.5 * np.array([np.cos(heading), np.sin(heading)])
        heading += np.pi
        for _ in range(g.integers(30, 70)):
            heading += g.normal(0, 0.22)
            at = at + np.array([np.cos(heading), np.sin(heading)]) / _SIZE
            i, j = (at * _SIZE).astype(int).clip(0, _SIZE - 1)
            picture[i, j] += 0.7
    soft = gaussian_filter(picture, 0.6)
    y, x = (np.mgrid[:_SIZE, :_SIZE] + 0.5) / _SIZE * 2 - 1
    return np.clip(soft * smooth_step(np.hypot(x, y), 0.4, 0.8), 0, 1).astype(np.float32)


def _picture(path: Path) -> NDArray[np.uint8]:
    """(size, size, 3) one of MakeHuman's eyes on our disc. Two are in the file."""
    pixels = proxies.read_texture(path, 1024)
    scale = pixels.shape[0] / 1024
    # The pupils are the darkest spots, of the same size in all files; look at the lower left one.
    step = int(4 * scale)
    left = pixels[int(400 * scale) :: step, : int(600 * scale) : step, :3].astype(float)
    blurred = gaussian_filter(left.sum(axis=2), 12 * scale / step)
    row, column = np.unravel_index(blurred.argmin(), blurred.shape)
    centre = np.array([row + 0.5, column + 0.5]) * step + (400 * scale, 0)
    half = 118 * scale / _IRIS * _REACH  # the iris has a radius of 118 pixels of 1024
    box = (centre[1] - half, centre[0] - half, centre[1] + half, centre[0] + half)
    cut = Image.fromarray(pixels[..., :3]).transform(
        (_SIZE * 2, _SIZE * 2), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
    )
    disc = np.array(cut.resize((_SIZE, _SIZE), Image.Resampling.BOX))
    # The ball in the file ends at about 270 pixels; behind that all is like its rim.
    y, x = (np.mgrid[:_SIZE, :_SIZE] + 0.5) / _SIZE * 2 - 1
    reach = np.hypot(x, y) * _REACH
    rim = (reach > 50) & (reach < 54)
    disc[reach >= 54] = disc[rim].mean(axis=0)
    return disc


def _recoloured(g: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(size, size, 4) a picture with its brightness and tint moved a little."""
    colour = picture * np.float32(1 / 255)
    grey = colour.mean(axis=2, keepdims=True)
    colour = grey + (colour - grey) * np.float32(g.uniform(0.3, 0.8))
    tint = g.uniform(0.8, 1.05) * (1 + g.normal(0, 0.04, 3))
    return opaque(colour * tint.astype(np.float32))


def _jittered(g: np.random.Generator, colour: tuple[float, float, float]) -> FloatArray:
    """RGB (3,) near a hue (degrees), saturation and value."""
    hue, saturation, value = colour
    return np.array(
        colorsys.hsv_to_rgb(
            (hue + g.normal(0, 6)) / 360 % 1,
            float(np.clip(saturation * g.uniform(0.75, 1.2), 0, 1)),
            float(np.clip(value * g.uniform(0.75, 1.25), 0, 1)),
        )
    )
