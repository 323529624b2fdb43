"""Photographs whose normals a network that is already trained says: a teacher's labels.

A teacher that is better than its pupil (larger, or the mean of several) labels photographs that
nobody has measured. What it says of several framings and exposures of the same picture is averaged,
and where these disagree it is not believed (Xie et al., "Self-training with noisy student",
CVPR 2020, of classes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from facerelief import runtime
from facerelief.cache import cached_rows, digest
from facerelief.crops import Crop
from facerelief.data.photos import MARGIN, PIXELS, SURFACE_PIXELS, Photos
from facerelief.data.sample import Sample
from facerelief.geometry.normals import angular_error, normalise

_BATCH = 8
_DOUBT = 8.0  # degrees that views are off their mean by, at which it is believed by e^-1
_VERSION = "1"


@dataclass(frozen=True)
class View:
    """How a picture is shown to the teacher."""

    scale: float  # of the crop's side
    gamma: float  # exponent of its values


VIEWS = (View(1.0, 1.0), View(1.15, 1.0), View(1.08, 0.65))


class TaughtPhotos:
    """A source of photograph samples with a teacher's normals and masks.

    Args:
        root: the data folder; cache: where labels are kept.
        teacher: a name of the catalogue.
        sources: names in the manifest's ``source`` column, of `facemesh.OPEN_SOURCES`.
        measured: the labels count as measured ones do; else only their low frequencies teach.
        options: of `Photos`.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        teacher: str,
        sources: list[str],
        measured: bool = True,
        **options: Any,
    ) -> None:
        self.photos = Photos(root, cache, sources, truth="aligned", **options)
        self.measured = measured
        chosen = self.photos.chosen.numpy()
        labels = _labelled(teacher, self.photos.pictures, chosen, cache)
        self.photos.pictures = self.photos.pictures[chosen]
        self.photos.surfaces = labels
        self.photos.chosen = torch.arange(len(chosen))

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        sample = self.photos.batch(count, size, g)
        yes = torch.ones(count, dtype=torch.bool)
        return replace(sample, weak=yes & (not self.measured), estimated=yes)


def label(
    estimator: runtime.Estimator, pictures: NDArray[np.uint8], views: tuple[View, ...] = VIEWS
) -> NDArray[np.int8]:
    """What a teacher says of kept pictures (N, 320, 320, 3), as `Photos` keeps surfaces.

    Returns: (N, 160, 160, 6) in steps of 1/127: the normal, how far it is believed, whether there
        is a face, and whether nothing is known of that.
    """
    size = SURFACE_PIXELS
    total = np.zeros((len(pictures), size, size, 3), np.float32)
    shown = np.zeros((len(pictures), size, size), np.float32)
    faces = np.zeros_like(shown)
    told = []
    for view in views:
        crop = Crop((PIXELS / 2, PIXELS / 2), PIXELS / MARGIN * view.scale)
        values = np.rint(255 * (np.arange(256) / 255) ** view.gamma).astype(np.uint8)
        found = estimator.estimate_crops([values[crop.extract(picture)] for picture in pictures])
        # The same crop in pixels of the surface.
        small = Crop((size / 2, size / 2), size / MARGIN * view.scale)
        everywhere = np.ones(found.mask.shape[1:], bool)
        for index in range(len(pictures)):
            normals, inside = small.paste(found.normals[index], everywhere, (size, size))
            face, _ = small.paste(found.mask[index].astype(np.float32), everywhere, (size, size))
            total[index] += normals * inside[..., None]
            faces[index] += face * inside
            shown[index] += inside
            told.append((index, normals, inside))
    mean = normalise(total)
    off = np.zeros_like(shown)
    for index, normals, inside in told:
        off[index] += np.where(inside, np.nan_to_num(angular_error(normals, mean[index])), 0)
    off /= np.maximum(shown, 1)
    share = faces / np.maximum(shown, 1)
    believed = np.exp(-((off / _DOUBT) ** 2)) * (share > 0.5)
    undecided = (shown == 0) | (abs(share - 0.5) < 0.4)
    surface = np.concatenate(
        [mean, np.stack([believed, share > 0.5, undecided & (share <= 0.5)], -1)], -1
    )
    labels: NDArray[np.int8] = np.rint(surface * 127).astype(np.int8)
    return labels


def _labelled(
    teacher: str, pictures: NDArray[np.uint8], chosen: NDArray[np.int64], cache: Path
) -> NDArray[np.int8]:
    estimator = runtime.load(teacher, threads=1)

    def rows() -> Iterator[dict[str, NDArray[np.int8]]]:
        for start in range(0, len(chosen), _BATCH):
            for surface in label(estimator, pictures[chosen[start : start + _BATCH]]):
                yield {"surfaces": surface}

    weights = digest(estimator.entry.path.read_bytes())
    key = digest(pictures[chosen[::16]], weights, _VERSION, str(VIEWS))
    return cached_rows(cache, f"taught_{key}", ["surfaces"], rows, len(chosen))["surfaces"]
