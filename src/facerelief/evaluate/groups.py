"""Does it work for everybody? Photographs with labels of age, sex and ancestry, group by group.

Those of ``photos/utkface`` (Zhang, Song & Qi, "Age Progression/Regression by Conditional
Adversarial Autoencoder", CVPR 2017): the labels are in the file names. Ages were estimated by an
algorithm and checked by annotators, and the names of the groups are the data set's own. There is no
true shape, so three things are compared: whether the face is found, the error that the network
expects, and how far its normals lie from those of MediaPipe's FaceMesh, which is itself a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.detections import Detection, crop_from_detection
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.protocol import Protocol
from facerelief.evaluate.report import spread, table
from facerelief.evaluate.scores import grouped, mean_and_error
from facerelief.finding import shared_detector
from facerelief.geometry.normals import angular_error
from facerelief.images import load_photo
from facerelief.runtime import CROP_SIZE
from facerelief.types import Crop

SOURCE = "utkface"
AGES = ((0, 2), (3, 12), (13, 19), (20, 39), (40, 59), (60, 120))  # years, both ends included
RANGES = (*(f"{low}–{high}" for low, high in AGES[:-1]), f"{AGES[-1][0]} and over")
SEXES = ("male", "female")
ANCESTRIES = ("White", "Black", "Asian", "Indian", "other")  # in the order of the labels' numbers

_LABELS = re.compile(r"(\d+)_([01])_([0-4])_\d+\.jpg")
_BATCH = 64  # faces at a time


@dataclass(frozen=True)
class Labelled:
    """A photograph and what its label says."""

    path: str  # under photos/
    age: str  # a range of years
    sex: str
    ancestry: str


@dataclass(frozen=True, eq=False)
class Found:
    """The labelled face of a photograph, as the detector sees it."""

    picture: NDArray[np.uint8]  # (256, 256, 3) the crop
    inside: NDArray[np.bool_]  # (256, 256) crop pixels that the photo has
    smooth: NDArray[np.float32]  # (256, 256, 3) FaceMesh's normals in the crop's frame, or zero


@dataclass(frozen=True)
class Row:
    """What a system made of one photograph."""

    labels: Labelled
    found: bool
    expected_error: float | None = None  # degrees, mean over the network's mask
    disagreement: float | None = None  # degrees, mean angle to FaceMesh's normals where both are


#: Photographs and the faces found in them.
Batch = Sequence[tuple[Labelled, Found | None]]


def labelled_photos(root: Path) -> list[Labelled]:
    """The photographs whose names hold labels, in order. Raises FileNotFoundError for none."""
    found = []
    for path in sorted((Path(root) / "photos" / SOURCE).glob("*.jpg")):
        labels = parse_labels(path.name)
        if labels is not None:
            found.append(Labelled(f"{SOURCE}/{path.name}", *labels))
    if not found:
        raise FileNotFoundError(f"{root} holds no photographs with labels (photos/{SOURCE})")
    return found


def parse_labels(name: str) -> tuple[str, str, str] | None:
    """Age range, sex and ancestry of ``AGE_SEX_ANCESTRY_DATE.jpg...``; None if it is no such."""
    match = _LABELS.match(name)
    if match is None:
        return None
    age = int(match[1])
    for (low, high), text in zip(AGES, RANGES, strict=True):
        if low <= age <= high:
            return text, SEXES[int(match[2])], ANCESTRIES[int(match[3])]
    return None


class Groups(Protocol[Sequence[Labelled], Batch, Row]):
    """Every labelled photograph. Where a network sees no face is no answer."""

    name = "groups"
    kept = False
    answers = partial(predictors.normals, masked=True)

    def keys(self) -> list[Sequence[Labelled]]:
        photos = labelled_photos(data_root())
        return [photos[start : start + _BATCH] for start in range(0, len(photos), _BATCH)]

    @cached_property
    def find(self) -> Callable[[str], Found | None]:
        return finder(data_root(), self.threads)

    def load(self, key: Sequence[Labelled]) -> Batch:
        return [(photo, self.find(photo.path)) for photo in key]

    def pictures(self, subject: Batch) -> tuple[list[str], list[NDArray[np.uint8]]]:
        found = [(photo.path, face.picture) for photo, face in subject if face is not None]
        return [path for path, _ in found], [picture for _, picture in found]

    def score(self, folder: Path, subject: Batch) -> list[Row]:
        rows = []
        for photo, face in subject:
            if face is None:
                rows.append(Row(photo, found=False))
                continue
            normals, errors = predictions.read(folder, photo.path, face.inside.shape)
            mask = normals.any(axis=-1) & face.inside
            both = mask & face.smooth.any(axis=-1)
            expected = None if errors is None else _mean(errors[mask])
            angle = angular_error(normals[both], face.smooth[both])
            rows.append(Row(photo, True, expected, _mean(angle)))
        return rows

    def tabulate(self, scores: Sequence[Row]) -> dict[str, Any]:
        """Figures of all photographs and by ``age``, ``sex`` and ``ancestry``: see `summarise`."""
        orders = {"age": RANGES, "sex": SEXES, "ancestry": ANCESTRIES}
        table: dict[str, Any] = {"all": summarise(scores)}
        for kind, names in orders.items():
            of = grouped(scores, lambda row: getattr(row.labels, kind))  # noqa: B023
            table[kind] = {name: summarise(of[name]) for name in names if name in of}
        return table

    def facts(self, scores: Sequence[Row]) -> dict[str, Any]:
        return {"source": SOURCE, "photographs": len(scores)}

    def row(self, score: Row) -> dict[str, Any]:
        degrees = {"expected_error": score.expected_error, "disagreement": score.disagreement}
        rounded = {key: "" if v is None else round(v, 3) for key, v in degrees.items()}
        return {**asdict(score.labels), "found": score.found, **rounded}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        """A table a system, its groups below one another."""
        headings = ["Group", "Photographs", "Found", "Expected error", "From FaceMesh"]
        parts = (
            f"`{name}`\n\n{table(headings, _lines(system))}\n"
            for name, system in results["systems"].items()
        )
        return f"""\
{results["photographs"]:,} photographs with labels ({results["source"]}), ± standard errors: faces \
found, the error that the network itself expects, and the mean angle between its normals and the \
smooth normals of MediaPipe's FaceMesh, both in degrees. None of it is an error against truth.

{chr(10).join(parts)}"""


def _lines(system: dict[str, Any]) -> Iterable[list[str]]:
    kinds = [(f"{kind} ", system[kind]) for kind in ("age", "sex", "ancestry")]
    for before, groups in [("", {"all": system["all"]}), *kinds]:
        for name, group in groups.items():
            found = group["detected"]
            share = f"{100 * found['mean']:.1f} ± {100 * found['error']:.1f} %"
            both = (spread(group[key]) for key in ("expected_error", "disagreement"))
            yield [f"{before}{name}", f"{group['photographs']:,}", share, *both]


def finder(root: Path, threads: int | None = None) -> Callable[[str], Found | None]:
    """A function from a path under ``photos/`` to the face in its middle, or None."""
    paths, points = facemesh.stored_points(root)
    index = {path: i for i, path in enumerate(paths)}
    triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))
    detector = shared_detector(threads)

    def find(path: str) -> Found | None:
        photo = load_photo(root / "photos" / path)
        face = middle_face(detector(photo), photo.shape[:2])
        if face is None:
            return None
        crop = crop_from_detection(face)
        smooth = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
        if path in index:
            normals, mask = mesh_normals(points[index[path]], triangles, crop)
            smooth = np.where(mask[..., None], normals, 0)
        return Found(crop.extract(photo), crop.inside(photo.shape[:2]), smooth)

    return find


def middle_face(detections: Sequence[Detection], size: tuple[int, int]) -> Detection | None:
    """The labelled face: that nearest to the picture's middle, at most half a crop from it."""
    middle = np.array([size[1], size[0]]) / 2
    crops = [crop_from_detection(face) for face in detections]
    distances = [np.hypot(*(crop.centre - middle)) / crop.side for crop in crops]
    best = min(range(len(distances)), key=distances.__getitem__, default=None)
    return None if best is None or distances[best] > 0.5 else detections[best]


def mesh_normals(
    points: NDArray[np.float32], triangles: NDArray[np.integer[Any]], crop: Crop
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """FaceMesh's smooth normals and outline in the frame of `crop`, from photo `points`."""
    moved = np.concatenate([crop.to_crop(points[:, :2]), points[:, 2:] / crop.scale], axis=1)
    return facemesh.smooth_normals(moved, triangles, crop.size)


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """``photographs``; ``detected`` (share), ``expected_error`` and ``disagreement`` (degrees),
    each with ``mean``, ``error`` (its standard error) and ``count``; None without any.
    """
    return {
        "photographs": len(rows),
        "detected": mean_and_error([float(row.found) for row in rows]),
        "expected_error": mean_and_error([row.expected_error for row in rows]),
        "disagreement": mean_and_error([row.disagreement for row in rows]),
    }


def _mean(values: NDArray[np.floating[Any]]) -> float | None:
    return float(values.mean(dtype=np.float64)) if values.size else None
