"""UV position maps of the built-in head for training: weights, the mean head, landmarks, mirroring.

Values are in half sides of the picture from its middle: x right, y down, and z nearer, from the
origin of the head. The layout is symmetric: its middle column is the face's.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from facerelief.data.sample import Shapes
from facerelief.geometry.head import builtin_head
from facerelief.geometry.position import SUBDIVISIONS, face_part
from facerelief.geometry.uv import UVLayout, filled, skin_layout
from facerelief.types import CROP_MARGIN

#: Weights of PRNet's loss (section 3.2): landmarks, eyes with nose and mouth, face, the rest.
LANDMARKS, FEATURES, FACE, REST = 16.0, 4.0, 3.0, 0.0
_FEATURE_REGIONS = ("eyelids", "nose", "nostrils", "lips_upper", "lips_lower", "philtrum")


def layout(size: int) -> UVLayout:
    """The layout of maps of ``size`` x ``size`` texels."""
    return skin_layout(SUBDIVISIONS, size)


@lru_cache(maxsize=4)
def weight_mask(size: int, rest: float = REST) -> Tensor:
    """(1, 1, size, size) how much each texel counts; ``rest`` is that of neck and scalp.

    Texels off the charts count nothing.
    """
    head = builtin_head(SUBDIVISIONS)
    kind = np.zeros(len(head.mean), int)
    kind[face_part(head.mean)] = 1
    kind[np.any([head.regions[name] for name in _FEATURE_REGIONS], axis=0)] = 2
    # Between regions a texel is of the one that it has most of.
    drawn = layout(size).write(np.eye(3)[kind]).argmax(-1)
    mask = np.array([rest, FACE, FEATURES], np.float32)[drawn]
    mask[~layout(size).mask] = 0
    index, share = landmark_texels(size)
    mask.reshape(-1)[index[share > 0.05]] = LANDMARKS
    return torch.from_numpy(mask)[None, None]


@lru_cache(maxsize=4)
def mean_head(size: int) -> Tensor:
    """(1, 3, size, size): the mean head's map, looking into the camera and cropped as faces are.

    Texels off the charts have the value of the nearest that is on one.
    """
    head = builtin_head(SUBDIVISIONS)
    points = head.mean[head.landmarks]
    low, high = points.min(0), points.max(0)
    half_side = CROP_MARGIN * (high - low)[:2].max() / 2
    centre = np.array([*(low + high)[:2] / 2, 0], np.float32)
    flat = (head.mean - centre) / half_side * (1, -1, 1)
    return _planes(filled(layout(size).write(flat)))


@lru_cache(maxsize=4)
def landmark_texels(size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where the 68 landmarks are read: (68, k) indices into the flat map, and their shares."""
    landmarks = builtin_head(SUBDIVISIONS).landmarks
    assert landmarks is not None
    return layout(size).texels(landmarks)


def landmarks(position: Tensor) -> Tensor:
    """(B, C, S, S) maps at the 68 landmarks: (B, 68, C)."""
    index, share = landmark_texels(position.shape[-1])
    read = position.flatten(2)[:, :, torch.from_numpy(index).to(position.device)]
    shares = torch.from_numpy(share).to(position.device)
    return (read * shares).sum(-1).transpose(1, 2)


def resized(position: Tensor, size: int) -> Tensor:
    """Filled maps (B, 3, S, S) with ``size`` texels a side."""
    if position.shape[-1] == size:
        return position
    if position.shape[-1] % size == 0:
        return F.avg_pool2d(position, position.shape[-1] // size)
    return F.interpolate(position, size=size, mode="bilinear")


def warped(position: Tensor, matrix: Tensor, offset: Tensor, relief: Tensor, size: int) -> Tensor:
    """Maps of pictures that `augment.Warp` has moved: pixels of the old to half sides of the new.

    Args:
        position: (B, 3, S, S), filled: pixel x and y from the old picture's middle, y down, and z.
        matrix, offset, relief: the warp's. size: of the new picture, pixels.

    A picture that is mirrored shows the left half of the face where the right one was: the map is
    mirrored too.
    """
    moved = torch.linalg.solve(matrix, (position[:, :2] - offset[..., None, None]).flatten(2))
    determinant = torch.linalg.det(matrix)
    depth = position[:, 2:] * (determinant.abs().rsqrt() * relief)[:, None, None, None]
    found = torch.cat([moved.view_as(position[:, :2]), depth], 1) / (size / 2)
    mirrored = (determinant < 0).view(-1, 1, 1, 1)
    return torch.where(mirrored, found.flip(-1), found)


def unknown(count: int, size: int) -> Shapes:
    """Of samples whose maps nobody knows."""
    return Shapes(torch.zeros(count, 3, size, size), torch.zeros(count))


def _planes(texels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(texels.transpose(2, 0, 1)))[None]
