"""Flat things between camera and head: hands, cups, microphones, scarves and masks as pictures.

Each is a height field drawn from distances to simple shapes, shaded by a random light, with a
texture of noise and soft edges; or a piece cut from another photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief.arrays import FloatArray
from facerelief.render.scene import Cutout
from facerelief.synth.worn.cloth import cloth, smooth_noise, turned

#: Skin of hands, sRGB from light to dark.
_SKINS = np.array([[236, 198, 176], [214, 164, 136], [176, 124, 94], [122, 80, 56], [78, 50, 36]])


@dataclass(frozen=True, eq=False)
class Shape:
    """A thing over a picture of `size` pixels; arrays are (size, size)."""

    inside: NDArray[np.float32]  # pixels from the outline, positive inside
    height: NDArray[np.float32]  # pixels towards the viewer
    colour: NDArray[np.float32]  # (size, size, 3) sRGB 0 to 1 before light


def draw_cutout(
    g: np.random.Generator,
    size: int,
    face_box: Sequence[float] | None = None,
    textures: Sequence[NDArray[np.uint8]] | None = None,
) -> Cutout:
    """A random thing that covers some of the face and leaves some of it free.

    Args:
        g: where chance comes from.
        size: pixels along each side of the picture.
        face_box: left, top, right and bottom of the face in pixels; None is the middle half.
        textures: photographs (H, W, 3) to cut pieces from.

    Raises:
        ValueError: an empty box, or a picture smaller than 8 pixels.
    """
    if size < 8:
        raise ValueError(f"a cut-out needs at least 8 pixels, got {size}")
    box = (
        np.array([0.2, 0.15, 0.8, 0.9]) * size if face_box is None else np.asarray(face_box, float)
    )
    if box.shape != (4,) or not (box[2:] > box[:2]).all():
        raise ValueError(f"face_box must be left, top, right, bottom, got {face_box}")
    kinds: list[Callable[..., Shape]] = [_hand, _hand, _cup, _microphone, _scarf, _mask, _blob]
    if textures is not None and len(textures):
        photo = textures[int(g.integers(len(textures)))]
        shape = (
            _blob(g, size, box, photo) if g.random() < 0.4 else kinds[g.integers(6)](g, size, box)
        )
    else:
        shape = kinds[g.integers(len(kinds))](g, size, box)
    return Cutout(_shaded(g, shape))


def _shaded(g: np.random.Generator, shape: Shape) -> NDArray[np.uint8]:
    """(size, size, 4) lit from a random side, its edge softened as by a camera."""
    down, right = np.gradient(shape.height)
    light = np.array([g.normal(0, 0.5), g.normal(0.35, 0.4), 1.0])
    light /= np.linalg.norm(light)
    facing = (-right * light[0] + down * light[1] + light[2]) / np.sqrt(1 + right**2 + down**2)
    shade = g.uniform(0.35, 0.6) + g.uniform(0.35, 0.6) * np.clip(facing, 0, 1)
    # Encoded values go with about the square root of light.
    lit = np.clip(shape.colour * np.sqrt(shade * g.uniform(0.8, 1.25))[..., None], 0, 1)
    soft = g.uniform(0.6, 2.0)
    picture = np.empty((*shape.inside.shape, 4), np.uint8)
    picture[..., :3] = lit * 255
    picture[..., 3] = np.clip(shape.inside / soft + 0.5, 0, 1) * 255
    return picture


def _axes(size: int) -> tuple[FloatArray, FloatArray]:
    """x and y (down) of the pixels' centres."""
    line = np.arange(size, dtype=np.float32) + 0.5
    return line[None].repeat(size, 0), line[:, None].repeat(size, 1)


def _capsule(
    x: FloatArray, y: FloatArray, start: FloatArray, end: FloatArray, r0: float, r1: float
) -> FloatArray:
    """Distance inside a finger-like shape whose radius goes from `r0` to `r1`."""
    along = end - start
    t = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-6)
    t = np.clip(t, 0, 1)
    away = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1])
    inside: FloatArray = r0 + (r1 - r0) * t - away
    return inside


def _dome(inside: FloatArray, radius: float) -> FloatArray:
    """Height of a round cross-section over the distance inside."""
    depth = np.clip(inside, 0, radius)
    result: FloatArray = np.sqrt(np.maximum(radius**2 - (radius - depth) ** 2, 0))
    return result


def _hand(g: np.random.Generator, size: int, box: FloatArray) -> Shape:
    """Four fingers, a thumb and an arm that leaves the picture."""
    x, y = _axes(size)
    width = box[2] - box[0]
    scale = width * g.uniform(0.11, 0.15)  # across a finger
    target = _on_box(g, box, 0.15, 0.85, 0.45, 1.0)
    outward = _outwards(g, target, size)
    across = np.array([-outward[1], outward[0]]) * g.choice([-1, 1])
    palm = target + outward * scale * 2.2
    parts = [
        (_capsule(x, y, palm, palm + outward * size * 1.5, 1.7 * scale, 1.5 * scale), 1.7 * scale),
        (_capsule(x, y, palm - across * 0.7 * scale, palm + across * 0.7 * scale,
                  1.5 * scale, 1.5 * scale), 1.5 * scale),
    ]  # fmt: skip
    spread, bent = g.uniform(0.0, 0.35), g.uniform(0.5, 1.0)
    for index, length in enumerate((2.9, 3.3, 3.1, 2.4)):
        place = (index - 1.5) * 0.95
        root = palm + across * place * scale - outward * scale
        heading = -outward + across * (place * spread + g.normal(0, 0.06))
        tip = root + heading * length * bent * scale
        parts.append((_capsule(x, y, root, tip, 0.52 * scale, 0.42 * scale), 0.5 * scale))
    thumb = palm - across * 1.6 * scale
    tip = thumb + (-outward * g.uniform(0.4, 1.4) - across * 0.8) * 1.6 * scale
    parts.append((_capsule(x, y, thumb, tip, 0.6 * scale, 0.48 * scale), 0.55 * scale))
    inside = np.max([part for part, _ in parts], axis=0)
    heights = [_dome(part, radius) * (part > 0) for part, radius in parts]
    height = gaussian_filter(np.max(heights, axis=0), max(0.6, 0.06 * scale))
    mixed = g.uniform(0, len(_SKINS) - 1)
    low = int(mixed)
    skin = (_SKINS[low] + (mixed - low) * (_SKINS[min(low + 1, 4)] - _SKINS[low])) / 255
    noise = 0.025 * smooth_noise(g, size, size / 14) + 0.006 * smooth_noise(g, size, 2.5)
    colour = skin + noise[..., None] * np.array([0.7, 1.0, 1.0])
    # Flesh is redder at the edges and between the fingers.
    rim = np.exp(-np.clip(inside, 0, None) / (0.2 * scale))[..., None]
    colour = colour * (1 - rim * np.array([0.10, 0.22, 0.24]))
    return Shape(inside, height, colour.astype(np.float32))


def _cup(g: np.random.Generator, size: int, box: FloatArray) -> Shape:
    """A mug or a glass before the mouth."""
    x, y = _axes(size)
    width, height = box[2] - box[0], box[3] - box[1]
    half, tall = width * g.uniform(0.14, 0.24), height * g.uniform(0.2, 0.34)
    centre = _on_box(g, box, 0.25, 0.75, 0.7, 1.0)
    u, v = turned(x - centre[0], y - centre[1], g.normal(0, 0.2))
    taper = half * (1 - 0.15 * v / tall)
    inside = np.minimum(taper - np.abs(u), tall - np.abs(v))
    if g.random() < 0.5:  # a handle
        side = g.choice([-1, 1])
        ring = np.hypot((u - side * half) / 0.8, v)
        inside = np.maximum(inside, 0.12 * half - np.abs(ring - 0.55 * tall))
    round_ = np.sqrt(np.clip(taper**2 - u**2, 0, None))
    return Shape(inside, round_ * 0.8, _plain(g, size, 0.03))


def _microphone(g: np.random.Generator, size: int, box: FloatArray) -> Shape:
    """A ball with a grille on a dark stick."""
    x, y = _axes(size)
    radius = (box[2] - box[0]) * g.uniform(0.10, 0.17)
    centre = _on_box(g, box, 0.25, 0.75, 0.72, 0.95)
    heading = np.array([g.normal(0, 0.5), 1.0])
    stick = _capsule(x, y, centre, centre + heading * size, 0.62 * radius, 0.45 * radius)
    ball = radius - np.hypot(x - centre[0], y - centre[1])
    height = np.maximum(_dome(stick, 0.6 * radius) * (stick > 0), _dome(ball, radius) * (ball > 0))
    grille = 0.5 + 0.5 * np.sin((x + y) * 2.2) * np.sin((x - y) * 2.2)
    metal = (0.25 + 0.35 * g.random() + 0.25 * grille)[..., None] * np.ones(3)
    dark = np.full((size, size, 3), g.uniform(0.04, 0.16))
    colour = np.where((ball > 0)[..., None], metal, dark)
    return Shape(np.maximum(stick, ball), height, colour.astype(np.float32))


def _scarf(g: np.random.Generator, size: int, box: FloatArray) -> Shape:
    """Cloth with folds across the lower face."""
    x, y = _axes(size)
    line = box[1] + (box[3] - box[1]) * g.uniform(0.55, 0.9)
    curve = g.normal(0, 0.15) * (x - size / 2) + g.uniform(0, 0.5) * (x - size / 2) ** 2 / size
    inside = y - line + curve + smooth_noise(g, size, size / 4) * 0.02 * size
    folds = smooth_noise(g, size, size / 5) * size * 0.02
    wave = np.sin((inside + 2 * folds) / size * g.uniform(20, 45)) * size * 0.012
    return Shape(inside, folds + wave, cloth(g, size))


def _mask(g: np.random.Generator, size: int, box: FloatArray) -> Shape:
    """A pleated mask over nose and mouth with bands to the ears."""
    x, y = _axes(size)
    middle = np.array([(box[0] + box[2]) / 2, box[1] + (box[3] - box[1]) * g.uniform(0.68, 0.76)])
    half, tall = (box[2] - box[0]) * 0.40, (box[3] - box[1]) * g.uniform(0.22, 0.28)
    u, v = turned(x - middle[0], y - middle[1], g.normal(0, 0.05))
    upper = tall * (0.75 + 0.35 * np.exp(-((u / (0.35 * half)) ** 2)))
    lower = tall * (1.0 - 0.25 * (u / half) ** 2)
    inside = np.minimum(np.minimum(v + upper, lower - v), half - np.abs(u))
    for sign in (-1, 1):
        start = middle + np.array([sign * half, -0.5 * tall])
        end = middle + np.array([sign * half * 1.35, -tall])
        inside = np.maximum(inside, _capsule(x, y, start, end, 0.012 * size, 0.010 * size))
    round_ = np.sqrt(np.clip(1.3 - (u / half) ** 2 - 0.3 * (v / tall) ** 2, 0.02, None)) * half
    pleats = np.sin(v / tall * g.uniform(8, 12)) * 0.012 * size
    base = np.array(((0.62, 0.78, 0.88), (0.93, 0.94, 0.95), (0.10, 0.10, 0.11))[g.integers(3)])
    noise = 0.006 * smooth_noise(g, size, 2)
    colour = base * g.uniform(0.9, 1.05, 3) + noise[..., None]
    return Shape(inside, round_ + pleats, colour.astype(np.float32))


def _blob(
    g: np.random.Generator, size: int, box: FloatArray, photo: NDArray[np.uint8] | None = None
) -> Shape:
    """An ellipse or a box of cloth, or cut from another photograph."""
    x, y = _axes(size)
    centre = _on_box(g, box, 0, 1, 0, 1)
    extent = (box[2:] - box[:2]) * g.uniform(0.12, 0.3, 2)
    u, v = turned(x - centre[0], y - centre[1], g.uniform(-0.6, 0.6))
    if g.random() < 0.5:
        inside = (1 - np.hypot(u / extent[0], v / extent[1])) * extent.min()
    else:
        inside = np.minimum(extent[0] - np.abs(u), extent[1] - np.abs(v))
    if photo is None:
        return Shape(inside, smooth_noise(g, size, size / 6) * size * 0.02, cloth(g, size))
    side = min(photo.shape[:2])
    cut = int(side * g.uniform(0.3, 0.9))
    top, left = (int(g.integers(0, n - cut + 1)) for n in photo.shape[:2])
    take = (np.arange(size) * cut // size).clip(0, cut - 1)
    piece = photo[top + take][:, left + take, :3] / 255.0
    return Shape(inside, np.zeros((size, size), np.float32), piece.astype(np.float32))


def _plain(g: np.random.Generator, size: int, rough: float) -> NDArray[np.float32]:
    noise = rough * smooth_noise(g, size, size / 8)
    return np.clip(g.random(3) * 0.9 + 0.05 + noise[..., None], 0, 1).astype(np.float32)


def _on_box(
    g: np.random.Generator, box: FloatArray, left: float, right: float, top: float, bottom: float
) -> FloatArray:
    """A point in a part of the box, given in shares of its sides."""
    share = np.array([g.uniform(left, right), g.uniform(top, bottom)])
    return box[:2] + share * (box[2:] - box[:2])


def _outwards(g: np.random.Generator, target: FloatArray, size: int) -> FloatArray:
    """(2,) unit, from a point of the face out of the picture: mostly down and to its side."""
    away = np.array([(target[0] - size / 2) / size * 2 + g.normal(0, 0.5), g.uniform(0.3, 1.2)])
    return away / np.linalg.norm(away)
