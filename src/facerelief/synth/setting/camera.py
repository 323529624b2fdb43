"""Random poses and cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.camera import Perspective
from facerelief.types import Crop

_FRAME = 24.0  # mm, height of the film that focal lengths are given for
_NEAREST = 320.0  # mm from the camera to the head's origin


@dataclass(frozen=True)
class PoseRange:
    """How far heads turn, degrees, and which lenses look at them.

    Raises ValueError for a range that no head or lens has.
    """

    yaw: float = 90.0
    pitch: float = 45.0
    roll: float = 45.0
    focal: tuple[float, float] = (24.0, 200.0)  # mm on 24 x 36 mm film
    anywhere: float = 0.18  # share of heads that turn evenly within the limits; see `draw_pose`

    def __post_init__(self) -> None:
        for name, limit in (("yaw", 90), ("pitch", 60), ("roll", 180)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} must be 0 to {limit} degrees, got {getattr(self, name)}")
        if not 0 <= self.anywhere <= 1:
            raise ValueError(f"anywhere must be 0 to 1, got {self.anywhere}")
        low, high = self.focal
        if not 10 <= low <= high <= 2000:
            raise ValueError(f"focal lengths must be 10 to 2000 mm, low first, got {self.focal}")


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a head is, and what looks at it."""

    angles: tuple[float, float, float]  # yaw, pitch, roll in degrees
    rotation: NDArray[np.float32]  # (3, 3) head space to camera space
    translation: NDArray[np.float32]  # (3,) mm
    camera: Perspective


def rotation_matrix(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """(3, 3) head space to camera space, from degrees.

    Positive yaw turns the nose to the picture's right, positive pitch upwards, positive roll tips
    the crown to the picture's left. Roll last, about the viewing axis: R = Rz(roll) Rx Ry.
    """
    (cy, sy), (cp, sp), (cr, sr) = (
        (np.cos(np.radians(a)), np.sin(np.radians(a))) for a in (yaw, -pitch, roll)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def draw_pose(
    g: np.random.Generator,
    landmarks: NDArray[np.float32],
    size: int,
    limits: PoseRange,
    margin: float,
) -> Pose:
    """A pose as photographs hold them, and a camera that shows the design's crop.

    A share of the heads turns anywhere within the limits. Three in five of the others look about at
    the camera, the rest turn as people do in snapshots.

    Args:
        landmarks: (68, 3) of the head, mm.
        size: pixels along a side of the picture.
        margin: side of the picture over that of the crop round the landmarks.
    """
    like_photos = 1 - limits.anywhere
    kind = g.choice(3, p=[0.61 * like_photos, 0.39 * like_photos, limits.anywhere])
    if kind == 2:
        yaw, pitch, roll = (g.uniform(-x, x) for x in (limits.yaw, limits.pitch, limits.roll))
    else:
        spread = ((9, 6, 4), (35, 14, 12))[kind]
        drawn = g.normal(0, spread)
        bounds = (limits.yaw, limits.pitch, limits.roll)
        yaw, pitch, roll = (float(np.clip(x, -b, b)) for x, b in zip(drawn, bounds, strict=True))
    rotation = rotation_matrix(yaw, pitch, roll)
    # A lens, and how much of the frame's height the head fills, say how far away it is.
    lens = np.exp(g.uniform(*np.log(limits.focal)))
    height = 230.0 * lens / (_FRAME * g.uniform(0.25, 0.8))
    distance = max(height, _NEAREST)
    # Off the axis by up to some degrees, as in a frame that the head does not fill.
    aside = np.tan(np.radians(g.uniform(-1, 1, 2) * 6)) * distance
    translation = np.array([aside[0], aside[1], -distance])
    unit = Perspective(1.0, (0.0, 0.0))
    crop = Crop.from_landmarks(unit.project(landmarks @ rotation.T + translation)[:, :2])
    focal = size / (crop.side * margin)
    centre = (size / 2 - crop.centre[0] * focal, size / 2 - crop.centre[1] * focal)
    return Pose(
        (float(yaw), float(pitch), float(roll)),
        rotation.astype(np.float32),
        translation.astype(np.float32),
        Perspective(focal, centre),
    )
