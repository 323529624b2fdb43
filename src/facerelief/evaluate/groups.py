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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.detect import Detection, Detector, crop_from_detection
from facerelief.evaluate import protocol, report
from facerelief.evaluate.predictors import Predictor, network
from facerelief.files import make_folder
from facerelief.geometry.normals import angular_error
from facerelief.images import load_photo
from facerelief.runtime import CROP_SIZE
from facerelief.types import Crop

SOURCE = "utkface"
AGES = ((0, 2), (3, 12), (13, 19), (20, 39), (40, 59), (60, 120))  # years, both ends included
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
    ranges = [f"{low}–{high}" for low, high in AGES[:-1]] + [f"{AGES[-1][0]} and over"]
    for (low, high), text in zip(AGES, ranges, strict=True):
        if low <= age <= high:
            return text, SEXES[int(match[2])], ANCESTRIES[int(match[3])]
    return None


def run_groups(
    systems: Sequence[str],
    out: Path,
    *,
    threads: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Detect, estimate and compare every labelled photograph.

    Args:
        systems: names of the catalogue or .onnx files.
        out: folder for ``results.json``, ``results.md`` and ``photographs.csv``; made if missing.
        threads, progress: as of `evaluate.yaleb.run_yaleb`.

    Returns:
        What ``results.json`` holds: figures by system and group, see `tabulate`.

    Raises:
        FileNotFoundError: the data is not there. UnknownSystemError, WeightsError: as
            `facerelief.load`.
    """

    root = data_root()
    make_folder(out)
    photos = labelled_photos(root)
    networks = [network(name, threads) for name in dict.fromkeys(systems)]
    track = protocol.bar if progress else protocol.silent
    find = finder(root, threads)
    rows: dict[str, list[Row]] = {one.label: [] for one in networks}
    starts = range(0, len(photos), _BATCH)
    for start in track(starts, "photographs"):
        batch = photos[start : start + _BATCH]
        faces = [find(one.path) for one in batch]
        for one in networks:
            rows[one.label] += measure(batch, faces, one)
    results = {
        "protocol": "groups",
        "version": __version__,
        "source": SOURCE,
        "photographs": len(photos),
        "systems": {one.label: {**one.about, **tabulate(rows[one.label])} for one in networks},
    }
    lines = [_line(label, row) for label, made in rows.items() for row in made]
    protocol.write_results(out, results, report.groups_markdown(results))
    protocol.write_rows(out / "photographs.csv", lines)
    return results


def finder(root: Path, threads: int | None = None) -> Callable[[str], Found | None]:
    """A function from a path under ``photos/`` to the face in its middle, or None."""
    paths, points = facemesh.stored_points(root)
    index = {path: i for i, path in enumerate(paths)}
    triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))
    detector = Detector(threads=threads or 0)

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


def measure(
    photos: Sequence[Labelled], faces: Sequence[Found | None], predictor: Predictor
) -> list[Row]:
    """What a network makes of some photographs, found faces or not."""
    if predictor.predict is None:
        raise ValueError(f"{predictor.label} only has files; it cannot predict")
    found = [face for face in faces if face is not None]
    crops = np.array([face.picture for face in found], np.uint8)
    estimate = predictor.predict(crops.reshape(-1, CROP_SIZE, CROP_SIZE, 3))
    rows, index = [], -1
    for photo, face in zip(photos, faces, strict=True):
        if face is None:
            rows.append(Row(photo, found=False))
            continue
        index += 1
        mask = estimate.mask[index] & face.inside
        errors = estimate.expected_error
        both = mask & face.smooth.any(axis=-1)
        angle = angular_error(estimate.normals[index][both], face.smooth[both])
        expected = None if errors is None else _mean(errors[index][mask])
        rows.append(Row(photo, True, expected, _mean(angle)))
    return rows


def tabulate(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of all photographs and by ``age``, ``sex`` and ``ancestry``: see `summarise`."""
    groups: dict[str, Sequence[str]] = {
        "age": list(dict.fromkeys(_sorted_ages(row.labels.age for row in rows))),
        "sex": SEXES,
        "ancestry": ANCESTRIES,
    }
    return {
        "all": summarise(rows),
        **{
            kind: {
                name: summarise(chosen)
                for name in names
                if (chosen := [row for row in rows if getattr(row.labels, kind) == name])
            }
            for kind, names in groups.items()
        },
    }


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


def _line(label: str, row: Row) -> dict[str, Any]:
    degrees = {"expected_error": row.expected_error, "disagreement": row.disagreement}
    rounded = {key: "" if v is None else round(v, 3) for key, v in degrees.items()}
    return {"system": label, **asdict(row.labels), "found": row.found, **rounded}


def mean_and_error(values: Iterable[float | None]) -> dict[str, float] | None:
    """``mean``, ``error`` (its standard error) and ``count`` of what is known; None for nothing."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else 0.0
    return {
        "mean": round(float(known.mean()), 4),
        "error": round(float(error), 4),
        "count": len(known),
    }


def _mean(values: NDArray[np.floating[Any]]) -> float | None:
    return float(values.mean(dtype=np.float64)) if values.size else None


def _sorted_ages(ages: Iterable[str]) -> list[str]:
    return sorted(ages, key=lambda text: int(re.split(r"\D", text)[0]))
