"""From a photo to the places of its faces, for any number of systems that then say what they see.

places = fr.find(photo)
one.estimate(photo, places), another.estimate(photo, places)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock

from facerelief.detect import ENLARGEMENT, LARGEST_SIDE, RESOLVED, Detector
from facerelief.detections import Detection, crop_from_detection
from facerelief.images import Pixels, Source, open_photo, seen_at
from facerelief.photo_files import Picture
from facerelief.types import Place

#: Pixels of the longer side that a large photo has at least when it is searched.
SEARCHED = 2000
#: Pixels of the smallest face that is looked for in a large photo, unless another is asked for.
SMALLEST = 48.0

#: In which order faces come: the largest first, or from the picture's left to its right.
ORDERS = ("size", "left")

#: By process and threads: a forked process has none of the threads of the one that it came from.
_detectors: dict[tuple[int, int], Detector] = {}
_lock = Lock()


def find(
    photo: Source,
    max_faces: int | None = None,
    threads: int | None = None,
    quick: bool | None = None,
    previous: Sequence[Place] = (),
    smallest: float | None = None,
    whole: bool = False,
    order: str = "size",
) -> list[Place]:
    """Where the faces of a photo are, the largest `max_faces` at most.

    Args:
        photo: what `load_photo` takes.
        threads: the detector's; None leaves the choice to ONNX Runtime.
        quick: search a small picture first, several times as fast: beside a face that is clear to
            see, those of less than 8 % of the photo's longer side may be overlooked. None: where
            `max_faces` is one.
        previous: the places of the picture before this one in a film. If their faces are still
            there, nothing else is looked for: leave them out now and then.
        smallest: pixels of the smallest face that is looked for, by the longer side of its box,
            at least 12: smaller ones are left out. A search takes as long as the photo's area over
            its square. None: 1.5 % of the photo's longer side, but from 24 to 48 pixels (no more
            than 48 is not for a quick search), and whatever smaller ones show.
        whole: take the photo as a whole for a face where none is found. Such a place has the score
            0, no points (NaN), and a warning.
        order: "size", the largest first, and of those that are as large to the pixel the one that
            is farther left, then higher; or "left", by the centres of their boxes from left to
            right, whatever their size.

    Raises PhotoError for a photo that cannot be read, ValueError for a smallest face below 12 and
    for an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"order is {' or '.join(ORDERS)}, not {order}")
    if smallest is not None and not smallest >= RESOLVED / ENLARGEMENT:
        raise ValueError(f"faces of {smallest:g} pixels are too small: the least is 12")
    image = open_photo(photo)
    quick = max_faces == 1 if quick is None else quick
    least = smallest or max(RESOLVED, RESOLVED * max(image.shape[:2]) / LARGEST_SIDE)
    if smallest is None and not quick:
        least = min(least, SMALLEST)
    seen = _Seen(image, least)
    detector = shared_detector(threads)
    followed = seen.follow(previous, detector) if previous else []
    if previous and None not in followed:
        faces = [face for face in followed if face is not None]
    else:
        faces = detector(seen.picture, max_faces, quick, least / seen.factor)
        faces = sorted(map(seen.in_photo, faces), key=_by_size)
    if isinstance(image, Picture):  # whose faces are decoded next
        detector.release()
    faces = faces[:max_faces]
    if order == "left":
        faces.sort(key=lambda face: face.centre)
    places = [seen.place(face) for face in faces if max(face.extent) >= (smallest or 0)]
    if not places and whole and max_faces != 0:
        places = [Place.of_photo(image.shape[:2])]
    return places


def follow(
    photo: Source, previous: Sequence[Place], threads: int | None = None
) -> list[Place | None]:
    """Each face of the picture before this one in a film, in this one; None for each that is lost.

    Looks near its last place alone, in a tenth of the time of a search: `find` is for those that
    were lost, and for new ones. Raises PhotoError for a photo that cannot be read.
    """
    image = open_photo(photo)
    least = max(RESOLVED, RESOLVED * max(image.shape[:2]) / LARGEST_SIDE)
    seen = _Seen(image, min(least, SMALLEST))
    faces = seen.follow(previous, shared_detector(threads))
    return [None if face is None else seen.place(face) for face in faces]


class _Seen:
    """A photo, no larger than a search for faces of `least` pixels needs, and the way back."""

    def __init__(self, image: Pixels | Picture, least: float) -> None:
        self._size: tuple[int, int] = image.shape[:2]
        # `Picture.at` shrinks by a factor where it may by half as much again.
        scale = min(max(self._size) / SEARCHED, 1.5 * least / RESOLVED)
        self.picture, self.factor, self._corner = seen_at(image, scale)

    def follow(self, places: Sequence[Place], detector: Detector) -> list[Detection | None]:
        """In photo pixels."""
        factor, (x, y) = self.factor, self._corner
        known = [
            _detection(place).enlarged(1 / factor, (-x / factor, -y / factor)) for place in places
        ]
        faces = detector.follow(self.picture, known)
        return [None if face is None else self.in_photo(face) for face in faces]

    def in_photo(self, face: Detection) -> Detection:
        return face.enlarged(self.factor, self._corner)

    def place(self, face: Detection) -> Place:
        return Place(crop_from_detection(face), face.box, face.score, face.points, self._size)


def shared_detector(threads: int | None = None) -> Detector:
    """The detector of this process for so many threads: loaded once, whoever asks."""
    key = os.getpid(), threads or 0
    with _lock:
        if key not in _detectors:
            _detectors[key] = Detector(threads=threads or 0)
        return _detectors[key]


def _detection(place: Place) -> Detection:
    return Detection(place.box, place.score, place.points, place.crop.angle)


def _by_size(face: Detection) -> tuple[float, float, float]:
    width, height = face.extent
    return -round(width) * round(height), *face.centre
