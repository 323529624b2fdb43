"""UV position maps of the built-in head for training: weights, the mean head, points, mirroring.

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

from facerelief.data.augment import Warp
from facerelief.data.sample import Shapes
from facerelief.geometry import landmark_schemes
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, face_part
from facerelief.geometry.uv import UVLayout, filled, skin_layout
from facerelief.types import CROP_MARGIN

#: Weights of PRNet's loss (section 3.2): landmarks, eyes with nose and mouth, face, the rest.
LANDMARKS, FEATURES, FACE, REST = 16.0, 4.0, 3.0, 0.0
#: Schemes of the points in `Shapes.points`, one after the other.
POINTS = ("ibug68", "facemesh468")
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


def mean_head(size: int) -> Tensor:
    """(1, 3, size, size): the mean head's map, looking into the camera and cropped as faces are.

    Texels off the charts have the value of the nearest that is on one.
    """
    # A tensor that is first made while a network is traced belongs to the trace: none is kept.
    return torch.from_numpy(_mean_head(size))[None]


@lru_cache(maxsize=4)
def _mean_head(size: int) -> NDArray[np.float32]:
    head = builtin_head(SUBDIVISIONS)
    points = head.mean[head.landmarks]
    low, high = points.min(0), points.max(0)
    half_side = CROP_MARGIN * (high - low)[:2].max() / 2
    centre = np.array([*(low + high)[:2] / 2, 0], np.float32)
    flat = (head.mean - centre) / half_side * (1, -1, 1)
    return np.ascontiguousarray(filled(layout(size).write(flat)).transpose(2, 0, 1))


@lru_cache(maxsize=8)
def landmark_texels(
    size: int, scheme: str = "ibug68"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where the landmarks of a scheme are read: (n, k) indices into the flat map, and shares."""
    anchors = landmark_schemes.scheme(scheme)
    index, share = layout(size).texels(anchors.vertices.ravel())
    share = share * anchors.weights.reshape(-1, 1).astype(np.float32)
    return index.reshape(len(anchors), -1), share.reshape(len(anchors), -1)


def landmarks(position: Tensor, scheme: str = "ibug68") -> Tensor:
    """(B, C, S, S) maps at the landmarks of a scheme: (B, n, C)."""
    index, share = landmark_texels(position.shape[-1], scheme)
    read = position.flatten(2)[:, :, torch.from_numpy(index).to(position.device)]
    shares = torch.from_numpy(share).to(position.device)
    return (read * shares).sum(-1).transpose(1, 2)


def points(position: Tensor) -> Tensor:
    """(B, C, S, S) maps at the points of `Shapes.points`, those of all `POINTS`: (B, N, C)."""
    return torch.cat([landmarks(position, scheme) for scheme in POINTS], 1)


@lru_cache(maxsize=1)
def mirrored_points() -> Tensor:
    """(N,) which of `POINTS` each one is in a mirrored face."""
    orders = [landmark_schemes.mirrored(scheme) for scheme in POINTS]
    starts = np.cumsum([0, *map(len, orders)])
    return torch.from_numpy(np.concatenate([o + s for o, s in zip(orders, starts, strict=False)]))


def resized(position: Tensor, size: int) -> Tensor:
    """Filled maps (B, 3, S, S) with ``size`` texels a side."""
    if position.shape[-1] == size:
        return position
    if position.shape[-1] % size == 0:
        return F.avg_pool2d(position, position.shape[-1] // size)
    return F.interpolate(position, size=size, mode="bilinear")


def shapes(
    warp: Warp,
    size: int,
    maps: Tensor | None = None,
    known: Tensor | None = None,
    points: Tensor | None = None,
    points_known: Tensor | None = None,
) -> Shapes:
    """What is known of pictures that a warp has moved, from what is known of the old ones.

    Args:
        warp: what moved them. size: of the new pictures, pixels.
        maps: (B, 3, S, S), filled: pixel x and y from the old picture's middle, y down, and z.
        known: (B,), as `Shapes.known`; points: (B, N, 3), in the same axes, and points_known.

    What is not given is not known. A picture that is mirrored shows the left half of the face where
    the right one was: what belongs to which place of the face changes sides.
    """
    count = len(warp.matrix)
    mirrored = torch.linalg.det(warp.matrix) < 0
    if maps is None:
        position, known = torch.zeros(count, 3, size, size), torch.zeros(count)
    else:
        moved = _moved(resized(maps, size).flatten(2).mT, warp, size).mT
        position = moved.reshape(count, 3, size, size)
        position = torch.where(mirrored.view(-1, 1, 1, 1), position.flip(-1), position)
        known = torch.ones(count) if known is None else known
    order = mirrored_points()
    if points is None or points_known is None:
        places, believed = torch.zeros(count, len(order), 3), torch.zeros(count, len(order), 2)
    else:
        places, believed = _moved(points, warp, size), points_known
        places = torch.where(mirrored.view(-1, 1, 1), places[:, order], places)
        believed = torch.where(mirrored.view(-1, 1, 1), believed[:, order], believed)
    return Shapes(position, known, places, believed)


def _moved(points: Tensor, warp: Warp, size: int) -> Tensor:
    """Points (B, N, 3) of the old pictures, pixels from the middle, in half sides of the new."""
    flat = torch.linalg.solve(warp.matrix, (points[..., :2] - warp.offset[:, None]).mT).mT
    grown = torch.linalg.det(warp.matrix).abs().rsqrt() * warp.relief
    return torch.cat([flat, points[..., 2:] * grown[:, None, None]], -1) / (size / 2)
