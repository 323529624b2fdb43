"""From a photo to the places of its faces, for any number of systems that then say what they see.

places = fr.find(photo)
one.estimate(photo, places), another.estimate(photo, places)
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from facerelief.detect import Detection, Detector, crop_from_detection
from facerelief.images import load_photo
from facerelief.types import Place

_detectors: dict[int, Detector] = {}
_lock = Lock()


def find(photo: Any, max_faces: int | None = None, threads: int | None = None) -> list[Place]:
    """Where the faces of a photo are, largest first, at most `max_faces`.

    `photo` is a path, a PIL image or an RGB uint8 array (H, W, 3); `threads` are the detector's,
    None leaves the choice to ONNX Runtime. No face gives an empty list.

    Raises PhotoError for a photo that cannot be read.
    """
    image = load_photo(photo)
    height, width = image.shape[:2]
    detections = shared_detector(threads)(image, max_faces=max_faces)
    return [_place(detection, (height, width)) for detection in detections]


def shared_detector(threads: int | None = None) -> Detector:
    """The detector of this process for so many threads: loaded once, whoever asks."""
    with _lock:
        if (threads or 0) not in _detectors:
            _detectors[threads or 0] = Detector(threads=threads or 0)
        return _detectors[threads or 0]


def _place(detection: Detection, photo_size: tuple[int, int]) -> Place:
    return Place(
        crop_from_detection(detection), detection.box, detection.score, detection.points, photo_size
    )
