"""Where faces fold: the lines of age and of expression, as curves on the skin.

Points are millimetres from landmarks of the subject's left side on a face of usual size; the
other side mirrors them. Anatomy after Lemperle et al., *A classification of facial wrinkles*
(2001), whose named lines these are; expressions are the names of ARKit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.synth.skin.map import SkinMap

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Wrinkle:
    """One line. It sits where its family says and runs through its points."""

    family: str
    points: Points  # mm, x and y of the front view
    width: float  # mm, standard deviation of the groove
    depth: float  # mm, of a deep one at age 1
    onset: float = 0.3  # age where it appears, 0 to 1
    fold: float = 0.0  # bulge on the left of the curve, as a share of the depth
    posed: float = 0.0  # mm, depth that a full expression adds


#: Expressions that deepen a family, with the share of the posed depth that each gives.
DRIVERS: dict[str, dict[str, float]] = {
    "forehead": {"browInnerUp": 0.7, "browOuterUp": 0.7},
    "frown": {"browDown": 1.0, "noseSneer": 0.3},
    "nose root": {"browDown": 0.5, "noseSneer": 0.8},
    "bunny": {"noseSneer": 1.0, "mouthSmile": 0.2},
    "crow's feet": {"mouthSmile": 0.5, "eyeSquint": 0.8, "cheekSquint": 0.8, "eyeBlink": 0.15},
    "lower lid": {"mouthSmile": 0.3, "eyeSquint": 0.8, "cheekSquint": 0.6},
    "tear trough": {"mouthSmile": 0.3, "cheekSquint": 0.5},
    "lid crease": {},
    "nasolabial": {"mouthSmile": 1.0, "cheekSquint": 0.4, "noseSneer": 0.7, "mouthUpperUp": 0.5},
    "smile": {"mouthSmile": 1.0, "mouthDimple": 0.7, "mouthStretch": 0.3},
    "marionette": {"mouthFrown": 0.8, "mouthPress": 0.4, "mouthShrugLower": 0.3},
    "lip": {"mouthPucker": 1.0, "mouthFunnel": 0.5, "mouthRollUpper": 0.4},
    "chin": {"mouthShrugLower": 0.8, "mouthFrown": 0.4, "mouthPucker": 0.3},
    "jowl": {},
    "neck": {"jawOpen": 0.2},
}


def expression_strength(family: str, expression: Mapping[str, float]) -> tuple[float, float]:
    """How far an expression poses a family on the subject's left and right, 0 to 1 each.

    Names count whole (``mouthSmile``) or by side (``mouthSmileLeft``); others are ignored.
    """

    def side(ending: str) -> float:
        return sum(
            share * max(expression.get(name, 0.0), expression.get(name + ending, 0.0))
            for name, share in DRIVERS[family].items()
        )

    return min(side("Left"), 1.0), min(side("Right"), 1.0)


def wrinkles(skin: SkinMap) -> list[Wrinkle]:
    """All lines of the face and neck of `skin`."""
    marks, k = skin.landmarks[:, :2], skin.scale

    def at(landmark: int, *offsets: tuple[float, float]) -> Points:
        x, y = marks[landmark]
        return [(float(x + k * dx), float(y + k * dy)) for dx, dy in offsets]

    def level(y: float, *offsets: tuple[float, float]) -> Points:
        return [(k * dx, float(y + k * dy)) for dx, dy in offsets]

    lines: list[Wrinkle] = []
    brow = float(marks[22:27, 1].max())
    for i, rise in enumerate((12.0, 20.0, 28.5, 37.0, 45.0)):
        arch = 1 - 0.15 * i
        shape = [(0.0, -1.0), (12, 0.6), (25, 2.5 * arch), (38, 1.5 * arch), (49 - i, -3.0)]
        lines.append(Wrinkle("forehead", level(brow + rise * k, *shape), 1.5, 0.6, 0.3, posed=0.8))
    inner = float(marks[22, 1])
    for x, low, high in ((5.0, -11, 7), (9.0, -7, 4)):
        shape = [(x - 1.0, low), (x, 2.0), (x + 0.8, high)]
        lines.append(Wrinkle("frown", level(inner, *shape), 1.6, 0.6, 0.35, 0.2, posed=0.8))
    lines.append(
        Wrinkle(
            "nose root", level(marks[27, 1], (0, 3), (5, 3.3), (10, 1.0)), 1.5, 0.5, 0.4, posed=0.8
        )
    )
    for dy in (-2.0, 2.5, 7.0):
        shape = [(2.5, dy), (7, dy - 2.0), (12, dy - 6.0)]
        lines.append(Wrinkle("bunny", level(marks[28, 1], *shape), 1.2, 0.15, 0.5, posed=0.6))
    for i, turn in enumerate((38, 18, 0, -17, -34)):
        angle = np.radians(turn)
        run = np.array([np.cos(angle), np.sin(angle)])
        reach = (15, 19, 21, 20, 17)[i]
        shape = [
            tuple(np.array([5.5, 0.8]) + run * s * reach + [0, -1.2 * s**2]) for s in (0, 0.5, 1)
        ]
        lines.append(Wrinkle("crow's feet", at(45, *shape), 1.1, 0.45, 0.3, posed=0.7))
    lid_inner, lid_outer = marks[42], marks[45]
    for drop, depth in ((4.5, 0.22), (7.5, 0.25)):
        middle = (lid_inner + lid_outer) / 2
        shape = [
            (float(lid_inner[0] + k), float(lid_inner[1] - 0.7 * drop * k)),
            (float(middle[0]), float(middle[1] - (drop + 4.5) * k)),
            (float(lid_outer[0] - k), float(lid_outer[1] - 0.9 * drop * k)),
        ]
        lines.append(Wrinkle("lower lid", shape, 0.9, depth, 0.3, posed=0.4))
    trough = [
        *at(42, (0.5, -4.5), (6, -12.0)),
        *at(46, (1.0, -13.5)),
        *at(45, (0.0, -13.0), (7.0, -8.5)),
    ]
    lines.append(Wrinkle("tear trough", trough, 2.6, 1.0, 0.15, 0.9, posed=0.4))
    crease = [*at(42, (-0.5, 3.0)), *at(43, (0, 4.0)), *at(44, (0, 4.2)), *at(45, (3.5, 2.0))]
    lines.append(Wrinkle("lid crease", crease, 0.9, 0.55, 0.0, 0.5))
    fold = [
        *at(35, (3.0, 8.0), (8.0, 2.0), (13.0, -6.0)),
        *at(54, (8.0, 3.0), (8.0, -7.0)),
    ]
    lines.append(Wrinkle("nasolabial", fold, 2.4, 1.1, 0.1, 0.8, posed=0.9))
    for out in (9.0, 17.0):
        shape = [
            *at(35, (13.0 + out, 0.0)),
            *at(54, (9.0 + out, 6.0), (8.0 + 0.9 * out, -8.0)),
        ]
        lines.append(Wrinkle("smile", shape, 2.2, 0.35, 0.5, posed=0.6))
    lines.append(
        Wrinkle("marionette", at(54, (2.0, -3.0), (4.5, -12), (4.0, -23)), 1.9, 0.9, 0.4, 0.6, 0.6)
    )
    for aside in (2.5, 5.8, 9.2, 12.8, 16.5):
        top = float(np.interp(aside * k, marks[51:55, 0], marks[51:55, 1]))
        shape = [(aside, 1.0), (1.06 * aside, 4.5), (1.13 * aside, 8.0)]
        lines.append(Wrinkle("lip", level(top, *shape), 0.8, 0.28, 0.5, posed=0.45))
    for aside in (3.5, 8.0, 12.5):
        under = float(np.interp(aside * k, marks[57:53:-1, 0], marks[57:53:-1, 1]))
        shape = [(aside, -1.0), (1.05 * aside, -4.0), (1.12 * aside, -7.0)]
        lines.append(Wrinkle("lip", level(under, *shape), 0.8, 0.2, 0.55, posed=0.45))
    under = float(marks[57, 1])
    lines.append(
        Wrinkle(
            "chin", level(under, (0, -8.5), (9, -9.5), (17, -13.0)), 2.2, 0.8, 0.2, 0.3, posed=0.9
        )
    )
    jaw = [*at(54, (8.0, -20.0)), *at(10, (4.0, 3.0)), *at(11, (-2.0, -1.0))]
    lines.append(Wrinkle("jowl", jaw, 3.0, 0.9, 0.55, 0.7))
    chin = float(marks[8, 1])
    for i, drop in enumerate((26.0, 44.0, 58.0)):
        shape = [(0.0, -drop - 2), (16, -drop), (34, -drop + 6.0)]
        lines.append(Wrinkle("neck", level(chin, *shape), 1.8, (0.7, 1.0, 0.7)[i], 0.15, 0.2))
    return lines


#: Steps of a line's profile per width, and where it begins and ends, in widths.
_FINE, _LEFT, _RIGHT = 16, -5.0, 9.0
#: Steps along a line on either side of the face.
_STEPS = 64


def profile(fold: float) -> NDArray[np.float32]:
    """Relief across a line of depth 1 and width 1: a groove, raised shoulders, a fold.

    From `_LEFT` to `_RIGHT` widths to the left of the line, in steps of 1 / `_FINE`.
    """
    across = np.arange(_LEFT, _RIGHT, 1 / _FINE)
    relief = -np.exp(-0.5 * across**2) + 0.22 * np.exp(-0.5 * (np.abs(across) - 2.6) ** 2)
    relief += fold * np.exp(-0.5 * ((across - 3.6) / 1.9) ** 2)
    return relief.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Courses:
    """How lines run, each in 2 `_STEPS` steps from its right end over 0 to its left end."""

    depth: NDArray[np.float32]  # (L, 2 _STEPS) mm
    shift: NDArray[np.float32]  # (L, 2 _STEPS) widths to the left of where a line usually runs
    width: NDArray[np.float32]  # (L,) factor


class Crease:
    """A line and the texels that it shapes."""

    def __init__(self, skin: SkinMap, line: Wrinkle) -> None:
        strip = skin.strip(line.points, (8.0 if line.fold else 4.5) * line.width)
        self.line, self.index, self.length = line, strip.index, strip.length
        self._beside = strip.beside / np.float32(line.width)
        along = np.where(strip.right, -strip.along, strip.along)
        self._step = ((along + 1) * np.float32(_STEPS - 0.01)).astype(np.int32)
        # Past its end a line fades, and so it does where texels are too coarse for it.
        held = np.clip(4.0 / skin.coarse.ravel()[strip.index] - 1.0, 0, 1)
        past = np.exp(-0.5 * (strip.beyond / (2 * line.width)) ** 2)
        self._share = (held * past).astype(np.float32)
        self._profile = profile(line.fold)

    def press(
        self,
        height: NDArray[np.float32],
        depth: NDArray[np.float32],
        shift: NDArray[np.float32],
        width: float,
    ) -> None:
        """Adds the line to a flat relief; see `Courses` for the rest."""
        across = self._beside + shift.take(self._step)
        across *= np.float32(_FINE / width)
        across -= np.float32(_FINE * _LEFT)
        np.clip(across, 0, len(self._profile) - 1, out=across)
        relief = self._profile.take(across.astype(np.int32))
        relief *= depth.take(self._step)
        relief *= self._share
        height[self.index] += relief


def draw_courses(
    g: np.random.Generator,
    creases: Sequence[Crease],
    age: float,
    strength: float,
    expression: Mapping[str, float],
) -> Courses:
    """How the lines of one face run. The count of numbers drawn is always the same.

    Args:
        creases: the lines.
        age: 0 to 1.
        strength: factor on the depth that age gives.
        expression: weights by ARKit's names.
    """
    lines = [crease.line for crease in creases]
    onset, full, posed, fold, length = np.array(
        [(w.onset, w.depth, w.posed, w.fold, c.length) for w, c in zip(lines, creases, strict=True)]
    ).T
    over = np.array([line.points[0][0] == 0 for line in lines])  # goes on over the middle line
    families = {line.family: expression_strength(line.family, expression) for line in lines}
    pose = np.array([families[line.family] for line in lines])  # (L, 2)

    personal, tilt, width, start, end, sway = g.uniform(size=(6, len(lines)))
    phases = g.uniform(0, 2 * np.pi, (2, 3, len(lines), 1))
    longer = g.uniform(0.3, 1.3, (2, 3, len(lines), 1))
    grown = np.clip((age - onset) / (1.05 - onset), 0, 1) ** 0.8
    grown = np.where(onset == 0, 0.6 + 0.4 * grown, grown)
    aged = full * strength * grown * (0.25 + personal)
    pose *= (posed * (0.5 + 0.5 * age) * (0.6 + 0.5 * personal))[:, None]
    uneven = 0.25 * (tilt - 0.5)
    left, right = (aged + pose[:, 0]) * (1 + uneven), (aged + pose[:, 1]) * (1 - uneven)

    s = (np.arange(2 * _STEPS) + 0.5) / _STEPS - 1
    # Bends some 50 mm long, and breaks some 20.
    cycles = 2 * np.pi * longer * length[:, None] / np.array([40.0, 16.0])[:, None, None, None]
    bend, gap = np.cos(cycles * s + phases).sum(axis=1) / np.sqrt(1.5)  # (L, 2 _STEPS) each
    start, end, sway, fold = start[:, None], end[:, None], sway[:, None], fold[:, None]
    taper = np.clip((1.2 - 0.3 * end - np.abs(s)) / 0.3, 0, 1)
    begun = np.clip((np.abs(s) - 0.25 * start + 0.2) / 0.3, 0, 1)
    taper *= np.where(over[:, None], 1, begun)
    # Fine lines come and go along their way, deep folds do not.
    taper *= np.where(fold > 0.4, 1, np.clip(1 + 0.25 * gap, 0.3, 1.5))
    side = np.where(over[:, None], np.clip(6 * s, -1, 1), np.sign(s))
    depth = ((left + right)[:, None] / 2 + (left - right)[:, None] / 2 * side) * taper
    shift = bend * (sway - 0.5) * 1.6
    return Courses(*(a.astype(np.float32) for a in (depth, shift, 0.8 + 0.5 * width)))
