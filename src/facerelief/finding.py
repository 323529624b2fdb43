"""From a photo to the places of its faces, for any number of systems that then say what they see.

places = fr.find(photo)
one.estimate(photo, places), another.estimate(photo, places)
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from facerelief.detect import Detection, Detector, crop_from_detection
from facerelief.images import load_photo
from facerelief.types import Place

_detectors: dict[int, Detector] = {}
_lock = Lock()


def find(
    photo: Any,
    max_faces: int | None = None,
    threads: int | None = None,
    thorough: bool = False,
    previous: Sequence[Place] = (),
) -> list[Place]:
    """Where the faces of a photo are, largest first, at most `max_faces`.

    Beside a face that is clear to see, those of less than 8 % of the photo's longer side may be
    overlooked.

    Args:
        photo: a path, a PIL image or an RGB uint8 array (H, W, 3).
        threads: the detector's; None leaves the choice to ONNX Runtime.
        thorough: look for small faces too, whatever else there is; several times as slow.
        previous: the places of the picture before this one in a film. If their faces are still
            there, nothing else is looked for: leave them out now and then.

    Raises PhotoError for a photo that cannot be read.
    """
    image = load_photo(photo)
    height, width = image.shape[:2]
    detector = shared_detector(threads)
    faces = detector.follow(image, [_detection(place) for place in previous]) if previous else None
    if faces is None:
        faces = detector(image, max_faces, thorough)
    places = [_place(face, (height, width)) for face in faces]
    return places if max_faces is None else places[:max_faces]


def shared_detector(threads: int | None = None) -> Detector:
    """The detector of this process for so many threads: loaded once, whoever asks."""
    with _lock:
        if (threads or 0) not in _detectors:
            _detectors[threads or 0] = Detector(threads=threads or 0)
        return _detectors[threads or 0]


def _detection(place: Place) -> Detection:
    return Detection(place.box, place.score, place.points, place.crop.angle)


def _place(face: Detection, photo_size: tuple[int, int]) -> Place:
    return Place(crop_from_detection(face), face.box, face.score, face.points, photo_size)
