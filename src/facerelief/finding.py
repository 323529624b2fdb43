"""From a photo to the places of its faces, for any number of systems that then say what they see.

places = fr.find(photo)
one.estimate(photo, places), another.estimate(photo, places)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np

from facerelief.detect import Detection, Detector, crop_from_detection
from facerelief.images import Source, open_photo, seen_at
from facerelief.photo_files import Picture
from facerelief.types import Place

#: Pixels of the longer side that a large photo has at least when it is searched.
SEARCHED = 2000

_detectors: dict[int, Detector] = {}
_lock = Lock()


def find(
    photo: Source,
    max_faces: int | None = None,
    threads: int | None = None,
    quick: bool | None = None,
    previous: Sequence[Place] = (),
) -> list[Place]:
    """Where the faces of a photo are, largest first, at most `max_faces`.

    Args:
        photo: what `load_photo` takes.
        threads: the detector's; None leaves the choice to ONNX Runtime.
        quick: search a small picture first, several times as fast: beside a face that is clear to
            see, those of less than 8 % of the photo's longer side may be overlooked. None: where
            `max_faces` is one.
        previous: the places of the picture before this one in a film. If their faces are still
            there, nothing else is looked for: leave them out now and then.

    Raises PhotoError for a photo that cannot be read.
    """
    image = open_photo(photo)
    height, width = image.shape[:2]
    small, factor, corner = seen_at(image, max(height, width) / SEARCHED)
    detector = shared_detector(threads)
    faces = None
    if previous:
        origin = (-corner[0] / factor, -corner[1] / factor)
        known = [_enlarged(_detection(place), 1 / factor, origin) for place in previous]
        faces = detector.follow(small, known)
    if faces is None:
        faces = detector(small, max_faces, quick)
    if isinstance(image, Picture):  # whose faces are decoded next
        detector.release()
    places = [_place(_enlarged(face, factor, corner), (height, width)) for face in faces]
    return places if max_faces is None else places[:max_faces]


def shared_detector(threads: int | None = None) -> Detector:
    """The detector of this process for so many threads: loaded once, whoever asks."""
    with _lock:
        if (threads or 0) not in _detectors:
            _detectors[threads or 0] = Detector(threads=threads or 0)
        return _detectors[threads or 0]


def _detection(place: Place) -> Detection:
    return Detection(place.box, place.score, place.points, place.crop.angle)


def _enlarged(face: Detection, factor: float, corner: tuple[float, float]) -> Detection:
    """`face` in a picture `factor` times larger, where the first corner of its own is `corner`."""
    if factor == 1:
        return face
    x, y = corner
    x0, y0, x1, y1 = (factor * edge for edge in face.box)
    return replace(
        face,
        box=(x0 + x, y0 + y, x1 + x, y1 + y),
        points=factor * face.points + np.array(corner),
        size=face.size and (factor * face.size[0], factor * face.size[1]),
    )


def _place(face: Detection, photo_size: tuple[int, int]) -> Place:
    return Place(crop_from_detection(face), face.box, face.score, face.points, photo_size)
