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
from facerelief.images import Source, open_photo, seen_at
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
    height, width = image.shape[:2]
    quick = max_faces == 1 if quick is None else quick
    least = smallest or max(RESOLVED, RESOLVED * max(height, width) / LARGEST_SIDE)
    if smallest is None and not quick:
        least = min(least, SMALLEST)
    # `Picture.at` shrinks by a factor where it may by half as much again.
    scale = min(max(height, width) / SEARCHED, 1.5 * least / RESOLVED)
    small, factor, corner = seen_at(image, scale)
    detector = shared_detector(threads)
    faces = None
    if previous:
        origin = (-corner[0] / factor, -corner[1] / factor)
        known = [_detection(place).enlarged(1 / factor, origin) for place in previous]
        faces = detector.follow(small, known)
    followed = faces is not None
    if faces is None:
        faces = detector(small, max_faces, quick, least / factor)
    if isinstance(image, Picture):  # whose faces are decoded next
        detector.release()
    faces = [face.enlarged(factor, corner) for face in faces]
    if not followed:
        faces.sort(key=_by_size)
    faces = faces[:max_faces]
    if order == "left":
        faces.sort(key=lambda face: face.centre)
    places = [
        Place(crop_from_detection(face), face.box, face.score, face.points, (height, width))
        for face in faces
        if max(face.extent) >= (smallest or 0)
    ]
    if not places and whole and max_faces != 0:
        places = [Place.of_photo((height, width))]
    return places


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
