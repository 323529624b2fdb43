"""The protocol on renderings of five real scans: see `basel_pictures` for how they are made.

Two parts: ``yaw``, five yaws under seven lights each, and ``random``, turns about random axes by
up to 45 degrees, as the papers' test on the Florence scans has them. A pixel counts on the face,
away from its outline. Prediction and scoring share nothing but files, as for `yaleb`.

Two floors say what no photo is needed for. ``mean-map`` is the mean normal map of the training
people of Extended Yale B, frontal whatever the pose. ``posed-mean`` is the mean of the *other*
scans' true normals in the very same pose: it knows the pose exactly and nothing of the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.data import basel
from facerelief.data.folders import cache_folder, data_root
from facerelief.evaluate import pictures, predictions, predictors, protocol, report
from facerelief.evaluate.basel_pictures import Shown, load
from facerelief.evaluate.predictors import MEAN_MAP, Predictor
from facerelief.evaluate.scores import ImageScore, figures, score_image
from facerelief.files import make_folder

POSED_MEAN = "posed-mean"
PARTS = ("yaw", "random")

# Of the lights of each pose, the one that a sheet shows.
_SHOWN_LIGHT = 2


@dataclass(frozen=True, eq=False)
class PictureScore:
    """How a system did on one picture."""

    name: str
    scan: str
    part: str  # one of PARTS
    pose: str  # the group of poses
    light: str  # the group of lights
    score: ImageScore


def run_basel(
    systems: Sequence[str],
    out: Path,
    *,
    peer_python: Path | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Predict, score and report; arguments and errors as of `evaluate.yaleb.run_yaleb`.

    The first run renders the pictures, some minutes; they are kept in the cache. The floor
    ``mean-map`` is added where the data folder holds Extended Yale B.

    Returns:
        What ``results.json`` holds.
    """
    root, cache = data_root(), cache_folder()
    names = basel.scan_names(root)
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(
        systems, root, peer_python, threads, reserved=(MEAN_MAP, POSED_MEAN)
    )
    make_folder(out)

    scans = {name: load(root, name, cache / "basel") for name in track(names, "renderings")}
    floors = [predictors.files(out / "predictions" / POSED_MEAN)]
    write_posed_means(out / "predictions" / POSED_MEAN, scans)
    if (root / "yaleb").is_dir():
        floors.insert(0, predictors.mean_map(predictors.training_mean(root, cache / "yaleb")))
    entrants = [*floors, *entrants]
    for entrant in entrants:
        if entrant.folder is None:
            for scan in track(scans.values(), f"{entrant.label}: predictions"):
                write_predictions(out / "predictions" / entrant.label, scan, entrant)

    results: dict[str, Any] = {
        "protocol": "basel",
        "version": __version__,
        "scans": names,
        "pictures": {
            part: sum(len(one.names) for scan in scans.values() for one in scan if _in(one, part))
            for part in PARTS
        },
        "floors": [floor.label for floor in floors],
        "systems": {},
    }
    rows = []
    for entrant in entrants:
        folder = entrant.folder or out / "predictions" / entrant.label
        scores = []
        for name, scan in track(scans.items(), f"{entrant.label}: scores"):
            scores += score(folder, scan)
            path = out / "pictures" / entrant.label / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(folder, scan).save(path)
        results["systems"][entrant.label] = {**entrant.about, **tabulate(scores)}
        rows += [_row(entrant.label, one) for one in scores]
    markdown = report.basel_markdown(results)
    protocol.write_results(out, results, markdown)
    protocol.write_rows(out / "pictures.csv", rows)
    return results


def write_predictions(folder: Path, scan: Sequence[Shown], predictor: Predictor) -> None:
    """Step one for one scan: a file for each picture into `folder`, made if missing."""
    names = [name for one in scan for name in one.names]
    crops = [photo for one in scan for photo in one.photos]
    protocol.write_predictions(folder, names, crops, predictor)


def write_posed_means(folder: Path, scans: dict[str, list[Shown]]) -> None:
    """The floor ``posed-mean`` as predictions; all scans must be in the same poses."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scan in scans.items():
        for index, one in enumerate(scan):
            others = [shown[index] for other, shown in scans.items() if other != name]
            mean = predictors.average((other.normals, other.mask) for other in others)
            for picture in one.names:
                predictions.write(folder, picture, mean)


def score(folder: Path, scan: Sequence[Shown]) -> list[PictureScore]:
    """Step two for one scan, from the files in `folder`. Raises EvaluationError."""
    scores = []
    for one in scan:
        for name, light in zip(one.names, one.pose.lights, strict=True):
            normals, expected = predictions.read(folder, name, one.mask.shape)
            image = score_image(normals, expected, one.normals, one.mask)
            pose = one.pose
            scores.append(
                PictureScore(name, one.scan, pose.protocol, pose.group, light.group, image)
            )
    return scores


def tabulate(scores: Sequence[PictureScore]) -> dict[str, Any]:
    """Figures of a system: each part pooled, by pose, by light (of ``yaw``) and by scan."""

    def by(key: str, chosen: Sequence[PictureScore]) -> dict[str, Any]:
        groups: dict[str, list[ImageScore]] = {}
        for one in chosen:
            groups.setdefault(getattr(one, key), []).append(one.score)
        return {name: figures(group) for name, group in groups.items()}

    parts = {part: [one for one in scores if one.part == part] for part in PARTS}
    return {
        **{part: figures([one.score for one in parts[part]]) for part in PARTS},
        "poses": {part: by("pose", parts[part]) for part in PARTS},
        "lights": by("light", parts["yaw"]),
        "scans": by("scan", scores),
    }


def draw(folder: Path, scan: Sequence[Shown]) -> Image.Image:
    """Photo, estimate, truth and error for one picture of each yaw of a scan."""
    rows: list[NDArray[np.uint8]] = []
    for one in scan:
        if _in(one, "yaw"):
            index = min(_SHOWN_LIGHT, len(one.names) - 1)
            normals, expected = predictions.read(folder, one.names[index], one.mask.shape)
            rows.append(pictures.row(one.photos[index], normals, expected, one.normals, one.mask))
    return pictures.sheet(rows)


def _in(one: Shown, part: str) -> bool:
    return one.pose.protocol == part


def _row(label: str, one: PictureScore) -> dict[str, Any]:
    errors = one.score.errors
    return {
        "system": label,
        "picture": one.name,
        "scan": one.scan,
        "pose": one.pose,
        "light": one.light,
        "mean_error": round(float(errors.mean(dtype=np.float64)), 4) if errors.size else "",
        "coverage": round(one.score.coverage, 2),
    }
