"""What a detector says of a face, and how its landmark crop follows from that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, degrees, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.retinaface import Array
from facerelief.types import Crop

Vector = NDArray[np.float64]

TILT = 20.0  # degrees of roll up to which a crop stays upright

# A frontal face's five points, eye distance 1: the mean of detections under 20 degrees of yaw.
FRONTAL = np.array([[-0.5, -0.518], [0.5, -0.518], [0.0, 0.051], [-0.432, 0.492], [0.432, 0.492]])


# How the landmark crop follows from a detection: weights of `crop_features`, fitted by
# `benchmarks/crop_accuracy.py --fit` to 4,500 photos with known landmarks.
CROP_X = np.array([-0.08, -0.036])
CROP_Y = np.array([0.097, 0.156, 0.386])
CROP_SIDE = np.array([0.962, 0.123, 0.355])


@dataclass(frozen=True, eq=False)
class Detection:
    """A face: its box, the network's confidence, and five points.

    The face was found upright after the photo had been turned by `angle` clockwise; `size` is
    the box along the face's own axes then. A box may reach past the photo's border.
    """

    box: tuple[float, float, float, float]  # x0, y0, x1, y1, photo pixels
    score: float  # in [0, 1]
    points: NDArray[np.floating[Any]]  # (5, 2) photo pixels: eyes, nose, mouth corners
    angle: float = 0.0  # degrees, 0 where the face is less tilted than TILT
    size: tuple[float, float] | None = None  # width, height, photo pixels; None: the box's

    @property
    def centre(self) -> tuple[float, float]:
        """The box's centre, photo pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height along the face's own axes, photo pixels."""
        x0, y0, x1, y1 = self.box
        return self.size or (x1 - x0, y1 - y0)

    def enlarged(self, factor: float, corner: tuple[float, float] = (0.0, 0.0)) -> Detection:
        """It in a picture `factor` times larger, its own one's first corner at `corner`."""
        if (factor, *corner) == (1, 0, 0):
            return self
        x, y = corner
        x0, y0, x1, y1 = (factor * edge for edge in self.box)
        return replace(
            self,
            box=(x0 + x, y0 + y, x1 + x, y1 + y),
            points=factor * self.points + np.array(corner),
            size=self.size and (factor * self.size[0], factor * self.size[1]),
        )


def crop_from_detection(face: Detection) -> Crop:
    """The landmark crop (side 1.2 l round the 68 landmarks) that the box and points foretell.

    Upright up to TILT degrees of roll; beyond, turned so that the face is upright in the crop.
    """
    x, y, side = (
        float(row @ weights)
        for row, weights in zip(crop_features(face), (CROP_X, CROP_Y, CROP_SIDE), strict=True)
    )
    frame = Crop(face.centre, 1.0, face.angle, size=1)
    centre = frame.to_photo((x + 0.5, y + 0.5))
    return Crop((float(centre[0]), float(centre[1])), side, face.angle)


def crop_features(face: Detection) -> tuple[Vector, Vector, Vector]:
    """What the crop's x, y (from the box's centre, along the face's axes) and side depend on.

    Lengths in photo pixels: the mapping is linear in them and turns and scales with the face.
    """
    width, height = face.extent
    frame = Crop(face.centre, 1.0, face.angle, size=1)
    points = frame.to_crop(face.points) - 0.5
    eyes, nose, mouth = points[:2].mean(axis=0), points[2], points[3:].mean(axis=0)
    middle = (eyes + mouth) / 2
    return (
        np.array([nose[0], middle[0]]),
        np.array([max(width, height), nose[1], middle[1]]),
        np.array([width, height, hypot(*(mouth - eyes))]),
    )


def roll(points: NDArray[np.floating[Any]]) -> float:
    """Degrees in (-180, 180] by which a face's points (5, 2) are turned counter-clockwise.

    From the eye line and the line from eyes to mouth, which lasts when a profile shortens the
    first (as FFHQ aligns its faces: Karras et al., CVPR 2019).
    """
    across = points[1] - points[0]
    down = (points[3] + points[4] - points[0] - points[1]) / 2
    return degrees(atan2(down[0] - across[1], across[0] + down[1]))


def from_crop(crop: Crop, box: Array, score: Array, points: Array) -> Detection:
    """A face seen in `crop`, in the photo. Its box there bounds the turned ellipse in it."""
    centre = crop.to_photo((box[:2] + box[2:]) / 2)
    size = crop.scale * (box[2:] - box[:2]).astype(np.float64)
    half = np.hypot(*(crop.rotation * size / 2).T)
    corners = (*(centre - half), *(centre + half))
    return Detection(
        tuple(map(float, corners)),  # type: ignore[arg-type]
        float(score),
        crop.to_photo(points),
        crop.angle,
        (float(size[0]), float(size[1])),
    )


def misfit(points: NDArray[np.floating[Any]]) -> float:
    """Relative residual of the five points after the similarity that fits FRONTAL best."""
    measured = (points - points.mean(axis=0)) @ (1, 1j)
    expected = (FRONTAL - FRONTAL.mean(axis=0)) @ (1, 1j)
    fit = np.vdot(expected, measured) / np.vdot(expected, expected)
    size = float(np.linalg.norm(measured))
    return float(np.linalg.norm(measured - fit * expected)) / max(size, 1e-9)
