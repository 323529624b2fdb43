"""68 landmarks: rendered heads in every pose, photographs, and samples of 300W-LP.

The normalised mean error is the mean distance of a face's landmarks in the picture, hidden ones
included, in percent of the root of the area of their true box: the protocol of AFLW2000-3D (Zhu et
al., CVPR 2016), which PRNet is measured by. Like there, crops are made from the true landmarks, and
"balanced" is the mean over the ranges of yaw.

Rendered heads have true 3D landmarks, also of what is hidden. Photographs (`youtube`) are annotated
in 2D: their outline is that of the picture, not of the jaw. 300W-LP's points are those of a fitted
model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.cache import cache_folder, digest, locked
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.report import labelled, spread, table
from facerelief.evaluate.scores import mean_and_error
from facerelief.files import make_folder
from facerelief.geometry import landmark_schemes
from facerelief.geometry.camera import camera_space
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import load_photo
from facerelief.types import Crop

MEAN_HEAD, FACEMESH = "mean-head", "facemesh"
HEADS, SEED = 300, 68_2026  # of renderings that nothing is trained on
YAWS = ((0, 30), (30, 60), (60, 90))  # degrees, of renderings


@dataclass(frozen=True, eq=False)
class MarkedFace:
    """A face whose 68 landmarks are known."""

    set: str  # of SETS
    name: str
    place: Crop  # in its photo
    crop: NDArray[np.uint8]  # (256, 256, 3)
    points: NDArray[np.float32]  # (68, 2) crop pixels
    yaw: float | None = None  # degrees, without sign
    mesh: NDArray[np.float32] | None = None  # (68, 2) what FaceMesh says, if it was asked

    @property
    def file(self) -> str:
        """The name of its predictions."""
        return f"{self.set}/{self.name}"


class Landmarks(Protocol[str, list[MarkedFace], dict[str, Any]]):
    """Of systems that make shapes, one set of faces after the other.

    Args: limit: take the first so many faces of each set.
    """

    name = "landmarks"
    reserved = (MEAN_HEAD, FACEMESH)
    csv = "faces.csv"
    answers = staticmethod(predictors.landmarks)
    everything = staticmethod(predictors.shape_systems)

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def keys(self) -> list[str]:
        return list(SETS)

    def load(self, key: str) -> list[MarkedFace]:
        return SETS[key](data_root(), self.limit)

    def pictures(self, subject: list[MarkedFace]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        return [face.file for face in subject], [face.crop for face in subject]

    def floors(self) -> dict[str, Floor[list[MarkedFace]]]:
        none = np.full((68, 2), np.nan, np.float32)
        return {
            MEAN_HEAD: lambda faces: [{"landmarks": mean_head()}] * len(faces),
            FACEMESH: lambda faces: [
                {"landmarks": none if face.mesh is None else face.mesh} for face in faces
            ],
        }

    def score(self, folder: Path, subject: list[MarkedFace]) -> list[dict[str, Any]]:
        """``error`` is None where there is no answer."""
        rows = []
        for face in subject:
            points = predictions.read_landmarks(folder, face.file, face.place)
            error = None if points is None else normalised_error(points, face.points)
            rows.append({"set": face.set, "face": face.name, "yaw": face.yaw, "error": error})
        return rows

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return summary(scores)

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        counts = {name: sum(row["set"] == name for row in scores) for name in SETS}
        return {"faces": counts, "floors": list(self.reserved)}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = labelled(results["systems"], results["floors"])
        ranges = list(next(iter(systems.values()))["yaws"])
        rows = (
            [
                label,
                *(spread(system["yaws"][name]) for name in ranges),
                "–" if system["balanced"] is None else f"{system['balanced']:.2f}",
                spread(system["photographs"]),
                spread(system["300w_lp"]),
            ]
            for label, system in systems.items()
        )
        counts = results["faces"]
        yaws = (f"Yaw {name}°" for name in ranges)
        headings = ["System", *yaws, "Balanced", "Photographs", "300W-LP"]
        return f"""\
Mean error of 68 landmarks in percent of the root of their box's area, ± standard errors: \
{counts["renderings"]} rendered heads by yaw and their balanced mean, {counts["photographs"]} \
photographs annotated in 2D, and {counts["300w_lp"]} samples of 300W-LP.

{table(headings, rows)}
"""


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means of the normalised error, in percent: a set each, and ranges of the renderings' yaw.

    And ``missed``: how many faces have no answer.
    """

    def mean(chosen: Iterable[dict[str, Any]]) -> dict[str, float] | None:
        return mean_and_error(row["error"] for row in chosen)

    ranges = {
        f"{low} to {high}": mean(
            r for r in rows if r["set"] == "renderings" and low <= r["yaw"] < high
        )
        for low, high in YAWS
    }
    known = [found["mean"] for found in ranges.values() if found]
    return {
        "yaws": ranges,
        "balanced": float(np.mean(known)) if len(known) == len(YAWS) else None,
        **{
            name: mean(row for row in rows if row["set"] == name)
            for name in ("photographs", "300w_lp")
        },
        "missed": sum(row["error"] is None for row in rows),
    }


def normalised_error(found: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Percent: mean distance of points (N, 2) over the root of the area of the true ones' box."""
    width, height = true.max(axis=0) - true.min(axis=0)
    distance = np.linalg.norm(found[:, :2] - true, axis=1).mean()
    return float(100 * distance / np.sqrt(width * height))


def mean_head() -> NDArray[np.float32]:
    """(68, 2): landmarks of the mean head that looks into the camera, cropped like everybody."""
    mesh = skin_mesh()
    points = camera_space(mesh.mean[mesh.landmarks])[:, :2]
    return Crop.from_landmarks(points).to_crop(points).astype(np.float32)


def rendered(root: Path, limit: int | None = None) -> list[MarkedFace]:
    """Heads of a seed that no training has, in the full range of poses; kept in the cache."""
    from facerelief.samples.files import to_files
    from facerelief.samples.shards import ShardReader, TarShards
    from facerelief.synth import assets, draw, produce

    count = min(limit or HEADS, HEADS)
    options = draw.SynthOptions(margin=1.2)
    made_with = json.dumps([SEED, repr(options), __version__])
    folder = cache_folder() / "landmarks" / f"{digest(made_with)}_{count}"
    make_folder(folder)
    with locked(folder):
        shards = TarShards(folder)
        pending = shards.pending(count)
        if pending:
            make = produce.random_heads(assets.Assets.find(root), options, SEED, "torch", 0)
            for shard in pending:
                shards.write(shard, (to_files(make(i)) for i in shard))
    faces = []
    for index, head in enumerate(ShardReader(folder)):
        # The nose's direction, as the camera sees it.
        yaw = abs(np.degrees(np.arctan2(head.rotation[0, 2], head.rotation[2, 2])))
        faces.append(
            _marked("renderings", f"{index:09d}", head.photo, head.landmarks[:, :2], float(yaw))
        )
    return faces


def photographs(root: Path, limit: int | None = None) -> list[MarkedFace]:
    """Annotated photographs of the test list, of people that no training has."""
    folder = root / "photos"
    tests = json.loads((folder / "landmark_splits.json").read_text())["test"]
    paths, meshes = facemesh.stored_points(root)
    number = {path: index for index, path in enumerate(paths)}
    faces = []
    with np.load(folder / "landmarks.npz") as stored:
        for path in [p for p in tests if p in stored.files and len(stored[p]) == 68][:limit]:
            mesh = None
            if path in number:
                mesh = meshes[number[path]][list(facemesh.TO_68), :2]
            faces.append(
                _marked("photographs", path, load_photo(folder / path), stored[path], None, mesh)
            )
    return faces


def samples_300w_lp(root: Path, limit: int | None = None) -> list[MarkedFace]:
    """The samples of 300W-LP that there are, but for those without landmarks in their file."""
    from scipy.io import loadmat

    faces = []
    contents = ((path, loadmat(path)) for path in sorted((root / "300w_lp").rglob("*.mat")))
    for path, content in islice((pair for pair in contents if "pt2d" in pair[1]), limit):
        points = np.asarray(content["pt2d"], np.float64).T
        if path.parent.name.endswith("_Flip"):  # mirrored pictures, whose points kept their order
            points = points[landmark_schemes.mirrored("ibug68")]
        yaw = abs(np.degrees(float(content["Pose_Para"].ravel()[1])))
        name = str(path.relative_to(root).with_suffix(""))
        faces.append(_marked("300w_lp", name, load_photo(path.with_suffix(".jpg")), points, yaw))
    return faces


def _marked(
    of: str,
    name: str,
    photo: NDArray[np.uint8],
    points: NDArray[np.floating],
    yaw: float | None,
    mesh: NDArray[np.floating] | None = None,
) -> MarkedFace:
    crop = Crop.from_landmarks(points)
    there = crop.to_crop(points).astype(np.float32)
    theirs = None if mesh is None else crop.to_crop(mesh).astype(np.float32)
    return MarkedFace(of, name, crop, crop.extract(photo), there, yaw, theirs)


#: How the faces of each set are read.
SETS = {"renderings": rendered, "photographs": photographs, "300w_lp": samples_300w_lp}
