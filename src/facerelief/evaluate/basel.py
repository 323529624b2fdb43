"""The protocol on renderings of five real scans: see `basel_pictures` for how they are made.

Two parts: ``yaw``, five yaws under seven lights each, and ``random``, turns about random axes by
up to 45 degrees, as the papers' test on the Florence scans has them. A pixel counts on the face,
away from its outline. Prediction and scoring share nothing but files, as for `yaleb`.

Two floors say what no photo is needed for. ``mean-map`` is the mean normal map of the training
people of Extended Yale B, frontal whatever the pose. ``posed-mean`` is the mean of the *other*
scans' true normals in the very same pose: it knows the pose exactly and nothing of the person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.cache import cache_folder
from facerelief.data import basel
from facerelief.data.folders import data_root
from facerelief.evaluate import bands, pictures, predictions, predictors, report
from facerelief.evaluate.basel_pictures import Shown, load
from facerelief.evaluate.predictors import MEAN_MAP, Arrays
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.scores import ImageScore, figures, grouped, score_image

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
    bands: dict[str, float] | None = None


class Basel(Protocol[str, Sequence[Shown], PictureScore]):
    """The first run renders the pictures, some minutes; they are kept in the cache.

    The floor ``mean-map`` is added where the data folder holds Extended Yale B.
    """

    name = "basel"
    reserved = (MEAN_MAP, POSED_MEAN)
    csv = "pictures.csv"

    def keys(self) -> list[str]:
        return basel.scan_names(data_root())

    @cached_property
    def scans(self) -> dict[str, Sequence[Shown]]:
        """All scans, which must be in the same poses."""
        return {name: load(data_root(), name, cache_folder() / "basel") for name in self.keys()}

    def load(self, key: str) -> Sequence[Shown]:
        return self.scans[key]

    def pictures(self, subject: Sequence[Shown]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        names = [name for one in subject for name in one.names]
        return names, [photo for one in subject for photo in one.photos]

    def floors(self) -> dict[str, Floor[Sequence[Shown]]]:
        floors: dict[str, Floor[Sequence[Shown]]] = {}
        if (data_root() / "yaleb").is_dir():
            floors[MEAN_MAP] = lambda scan: predictors.mean_map(sum(len(one.names) for one in scan))
        return floors | {POSED_MEAN: lambda scan: posed_means(scan, self.scans)}

    def score(self, folder: Path, subject: Sequence[Shown]) -> list[PictureScore]:
        scores = []
        for one in subject:
            for name, light in zip(one.names, one.pose.lights, strict=True):
                normals, expected = predictions.read(folder, name, one.mask.shape)
                image = score_image(normals, expected, one.normals, one.mask)
                split = bands.bands(normals, one.normals, one.mask)
                pose = (one.pose.protocol, one.pose.group)
                scores.append(PictureScore(name, one.scan, *pose, light.group, image, split))
        return scores

    def tabulate(self, scores: Sequence[PictureScore]) -> dict[str, Any]:
        """Figures: each part pooled, by pose, by light (of ``yaw``) and by scan, and ``bands``."""
        parts = {part: [one for one in scores if one.part == part] for part in PARTS}
        return {
            **{part: _figures(parts[part]) for part in PARTS},
            "poses": {part: _by("pose", parts[part]) for part in PARTS},
            "lights": _by("light", parts["yaw"]),
            "scans": _by("scan", scores),
            "bands": {part: bands.figures([one.bands for one in parts[part]]) for part in PARTS},
        }

    def facts(self, scores: Sequence[PictureScore]) -> dict[str, Any]:
        return {
            "scans": list(dict.fromkeys(one.scan for one in scores)),
            "pictures": {part: sum(one.part == part for one in scores) for part in PARTS},
            "floors": list(self.floors()),
        }

    def row(self, score: PictureScore) -> dict[str, Any]:
        place = {"picture": score.name, "scan": score.scan, "pose": score.pose}
        return {**place, "light": score.light, **score.score.row}

    def draw(self, out: Path, subject: Sequence[Shown], folders: Mapping[str, Path]) -> None:
        """Photo, estimate, truth and error for one picture of each yaw of a scan."""
        rows = []
        for one in subject:
            if one.pose.protocol == "yaw":
                index = min(_SHOWN_LIGHT, len(one.names) - 1)
                rows.append((one.names[index], one.photos[index], one.normals, one.mask))
        name = next(name for name, scan in self.scans.items() if scan is subject)
        pictures.draw_sheets(out, name, folders, rows)

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        """A table of each part, then by pose, by light and by scan, then bands."""
        systems = report.labelled(results["systems"], results["floors"])
        counts = results["pictures"]
        return f"""\
Renderings of {len(results["scans"])} real scans (Basel): angular error in degrees on the face, \
and the share of pixels below each limit. `posed-mean` is the mean of the other scans in the same \
pose: it knows the pose and nothing of the person.

Turned about random axes by up to 45°, as the papers render the Florence scans: \
{counts["random"]} pictures.

{report.pooled(systems, "random")}

Yaws of -60° to 60° under seven lights each: {counts["yaw"]} pictures.

{report.pooled(systems, "yaw")}

Mean by yaw (positive turns the face to the subject's left).

{report.means(systems, "poses", "yaw")}

Mean by angle, random axes.

{report.means(systems, "poses", "random")}

Mean by light, all yaws: far lamps at that angle off the camera axis with a little fill, and \
environments.

{report.means(systems, "lights")}

Mean by scan, all pictures.

{report.means(systems, "scans")}
{report.band_table(systems, "random axes", "bands", "random")}"""


def posed_means(scan: Sequence[Shown], scans: Mapping[str, Sequence[Shown]]) -> Iterator[Arrays]:
    """The floor ``posed-mean`` of each picture of `scan`, one of `scans`."""
    for index, one in enumerate(scan):
        others = [shown[index] for shown in scans.values() if shown is not scan]
        mean = predictors.average((other.normals, other.mask) for other in others)
        yield from [{"normals": mean}] * len(one.names)


def _figures(scores: Sequence[PictureScore]) -> dict[str, Any]:
    return figures([one.score for one in scores])


def _by(key: str, scores: Sequence[PictureScore]) -> dict[str, Any]:
    groups = grouped(scores, lambda one: str(getattr(one, key)))
    return {name: _figures(group) for name, group in groups.items()}
