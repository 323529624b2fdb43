"""Rendered heads, as `facerelief synth` writes them: errors by pose, light, cover and band.

Everything about a rendering is known, so what a network finds hard can be told apart: against the
mesh alone (``smooth``) and against the surface with its wrinkles and pores (``detailed``). Whether
the heads are like those of the training is for whoever runs it to know.

The floor ``posed-mean`` is the mean head in the very same place and pose, through the same lens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from facerelief.evaluate import bands, pictures, predictions, report
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.scores import ImageScore, figures, grouped, score_image
from facerelief.geometry.camera import Perspective, camera_space
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.geometry.skin_mesh import skin_mesh, skin_normals
from facerelief.samples.files import SampleError
from facerelief.samples.rendering import Rendering
from facerelief.samples.shards import ShardReader
from facerelief.types import Crop

POSED_MEAN = "posed-mean"
TRUTHS = ("smooth", "detailed")
YAWS = (0, 15, 30, 45, 60, 90)  # degrees, edges of the groups
COVERED = 0.1  # of the landmarks' hull, from which on something is before a face
SHADED = 0.25  # of the face's 90th percentile of irradiance, under which a pixel is in the shade
SHADES = {"even light": 0.1, "partly shaded": 0.4, "mostly shaded": 1.01}  # up to this share

_BATCH = 16  # heads at a time
_DRAWN = 4  # of each batch


@dataclass(frozen=True, eq=False)
class Head:
    """A rendering, cropped by its landmarks."""

    name: str
    groups: dict[str, str]  # of ``yaw``, ``cover`` and ``light``
    photo: NDArray[np.uint8]  # (256, 256, 3)
    truths: dict[str, NDArray[np.float32]]  # (256, 256, 3) of TRUTHS
    mask: NDArray[np.bool_]  # (256, 256), the face that is seen
    mean: NDArray[np.float32]  # (256, 256, 3) the mean head's normals, zero beside it


@dataclass(frozen=True, eq=False)
class HeadScore:
    """How a system did on one head, by truth."""

    name: str
    groups: dict[str, str]
    scores: dict[str, ImageScore]
    bands: dict[str, dict[str, float] | None]


class Renderings(Protocol[Sequence[int], list[Head], HeadScore]):
    """Args: folder: that `facerelief synth` wrote; limit: take the first so many heads.

    Raises EvaluationError for a folder without heads, or that lacks some of their files.
    """

    name = "renderings"
    reserved = (POSED_MEAN,)
    csv = "heads.csv"

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self.limit = folder, limit

    @cached_property
    def reader(self) -> ShardReader:
        try:
            return ShardReader(self.folder)
        except SampleError as error:
            raise EvaluationError(str(error)) from None

    def keys(self) -> list[Sequence[int]]:
        places = range(len(self.reader))[: self.limit]
        return [places[start : start + _BATCH] for start in range(0, len(places), _BATCH)]

    def load(self, key: Sequence[int]) -> list[Head]:
        try:
            return [cropped(f"{self.reader.indices[i]:09d}", self.reader[i]) for i in key]
        except SampleError as error:
            raise EvaluationError(str(error)) from None

    def pictures(self, subject: list[Head]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        return [head.name for head in subject], [head.photo for head in subject]

    def floors(self) -> dict[str, Floor[list[Head]]]:
        return {POSED_MEAN: lambda heads: [{"normals": head.mean} for head in heads]}

    def score(self, folder: Path, subject: list[Head]) -> list[HeadScore]:
        scores = []
        for head in subject:
            normals, expected = predictions.read(folder, head.name, head.mask.shape)
            truths = head.truths.items()
            scores.append(
                HeadScore(
                    head.name,
                    head.groups,
                    {n: score_image(normals, expected, truth, head.mask) for n, truth in truths},
                    {n: bands.bands(normals, truth, head.mask) for n, truth in truths},
                )
            )
        return scores

    def tabulate(self, scores: Sequence[HeadScore]) -> dict[str, Any]:
        """Against each truth: figures of ``all``, by yaw, cover and light, and ``bands``."""
        return {
            truth: {
                "all": _figures(truth, scores),
                **{
                    kind: {n: _figures(truth, chosen) for n, chosen in _by(kind, scores).items()}
                    for kind in ("yaw", "cover", "light")
                },
                "bands": bands.figures([one.bands[truth] for one in scores]),
            }
            for truth in TRUTHS
        }

    def facts(self, scores: Sequence[HeadScore]) -> dict[str, Any]:
        return {"heads": len(scores), "floors": [POSED_MEAN]}

    def row(self, score: HeadScore) -> dict[str, Any]:
        errors = {f"{truth}_error": one.row["mean_error"] for truth, one in score.scores.items()}
        coverage = score.scores["smooth"].row["coverage"]
        return {"head": score.name, **score.groups, **errors, "coverage": coverage}

    def draw(self, out: Path, subject: list[Head], folders: Mapping[str, Path]) -> None:
        """Photo, estimate, smooth truth and error of some heads."""
        shown = [(h.name, h.photo, h.truths["smooth"], h.mask) for h in subject[:_DRAWN]]
        pictures.draw_sheets(out, subject[0].name, folders, shown)

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = report.labelled(results["systems"], results["floors"])
        parts = (
            f"""\
Against the {"mesh alone" if truth == "smooth" else "surface with wrinkles and pores"}.

{report.pooled(systems, truth, "all")}

Mean by yaw, by cover (a tenth of the face and more) and by light.

{report.means({n: _columns(system[truth]) for n, system in systems.items()})}
{report.band_table(systems, "all heads", truth, "bands")}"""
            for truth in TRUTHS
        )
        return f"""\
{results["heads"]} rendered heads: angular error in degrees on the face that is seen. `posed-mean` \
is the mean head in the very same pose: it knows the pose and nothing of the person.

{chr(10).join(parts)}"""


def cropped(name: str, head: Rendering) -> Head:
    """A rendering in the crop of its landmarks."""
    crop = Crop.from_landmarks(head.landmarks[:, :2])
    truths = dict(zip(TRUTHS, (head.normals_smooth, head.normals), strict=True))
    moved = {n: _moved(crop, np.where(head.mask[..., None], t, 0)) for n, t in truths.items()}
    mask = crop.extract(head.mask.astype(np.float32)) > 0.5
    mask &= np.all([truth.any(axis=-1) for truth in moved.values()], axis=0)
    return Head(
        name,
        groups(head),
        crop.extract(head.photo),
        {n: np.where(mask[..., None], truth, 0) for n, truth in moved.items()},
        mask,
        _moved(crop, posed_mean(head)),
    )


def groups(head: Rendering) -> dict[str, str]:
    """Of a rendering: ``yaw``, ``cover`` and ``light``."""
    # The nose's direction, as the camera sees it.
    yaw = abs(np.degrees(np.arctan2(head.rotation[0, 2], head.rotation[2, 2])))
    edge = min(int(np.searchsorted(YAWS, yaw, "right")), len(YAWS) - 1)
    rows, columns = np.indices(head.mask.shape) + 0.5
    hull = Delaunay(head.landmarks[:, :2]).find_simplex(np.stack([columns, rows], -1)) >= 0
    covered = bool((head.occluder & hull).sum() >= COVERED * max(hull.sum(), 1))
    light = head.shading[head.mask].astype(np.float32).mean(axis=-1)
    shaded = (light < SHADED * np.quantile(light, 0.9)).mean() if light.size else 0.0
    return {
        "yaw": f"{YAWS[edge - 1]} to {YAWS[edge]}°",
        "cover": "covered" if covered else "uncovered",
        "light": next(name for name, most in SHADES.items() if shaded < most),
    }


def posed_mean(head: Rendering) -> NDArray[np.float32]:
    """The mean head's normals (H, W, 3) in the place of a rendering's, zero beside it."""
    mesh = skin_mesh()
    lens = Perspective(head.focal, (float(head.centre[0]), float(head.centre[1])))
    placed = lens.project(mesh.mean @ head.rotation.T + head.translation)
    raster = rasterise(placed, mesh.triangles, head.mask.shape, perspective=True)
    own = skin_normals(camera_space(mesh.mean)) @ head.rotation.T
    normals = normalise(raster.interpolate(own))
    return np.where(raster.mask[..., None], normals, 0).astype(np.float32)


def _moved(crop: Crop, normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normals (H, W, 3), zero beside the face, in an upright crop."""
    moved = crop.extract(normals)
    length = np.linalg.norm(moved, axis=-1, keepdims=True)
    return np.where(length > 0.5, moved / np.maximum(length, 1e-6), 0).astype(np.float32)


def _figures(truth: str, scores: Sequence[HeadScore]) -> dict[str, Any]:
    return figures([one.scores[truth] for one in scores])


def _by(kind: str, scores: Sequence[HeadScore]) -> dict[str, list[HeadScore]]:
    """The groups that there are, in order."""
    found = grouped(scores, lambda one: one.groups[kind])
    order = [f"{low} to {high}°" for low, high in pairwise(YAWS)]
    order += ["uncovered", "covered", *SHADES]
    return {name: found[name] for name in order if name in found}


def _columns(found: dict[str, Any]) -> dict[str, Any]:
    return {f"yaw {n}": one for n, one in found["yaw"].items()} | found["cover"] | found["light"]
