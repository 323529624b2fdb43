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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.cache import cache_folder, digest, locked
from facerelief.data import facemesh
from facerelief.data.folders import data_root
from facerelief.evaluate import protocol, report
from facerelief.evaluate.groups import mean_and_error
from facerelief.evaluate.predictors import Predictor
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

    name: str
    crop: NDArray[np.uint8]  # (256, 256, 3)
    points: NDArray[np.float32]  # (68, 2) crop pixels
    yaw: float | None = None  # degrees, without sign
    mesh: NDArray[np.float32] | None = None  # (68, 2) what FaceMesh says, if it was asked


#: Of faces to their landmarks in the crops, (68, 2 or 3) each; None where there are none.
Guess = Callable[[Sequence[MarkedFace]], Sequence[NDArray[np.float32] | None]]


def run_landmarks(
    systems: Sequence[str],
    out: Path,
    *,
    threads: int | None = None,
    progress: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Score the landmarks of systems that make position maps.

    Args:
        systems: names of the catalogue or .onnx files.
        out: folder for ``results.json``, ``results.md`` and ``faces.csv``; made if missing.
        threads, progress: as of `run_yaleb`.
        limit: take the first so many faces of each set.

    Returns:
        What ``results.json`` holds.

    Raises:
        EvaluationError: a system makes no position maps. FileNotFoundError: the data is not there.
        Else as `run_yaleb`.
    """
    root = data_root()
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(systems, root, None, threads, (MEAN_HEAD, FACEMESH))
    make_folder(out)
    sets = {
        name: list(track(faces(root, limit), name))
        for name, faces in (
            ("renderings", rendered), ("photographs", photographs), ("300w_lp", samples_300w_lp)
        )
    }  # fmt: skip
    guesses: dict[str, Guess] = {
        MEAN_HEAD: lambda faces: [mean_head()] * len(faces),
        FACEMESH: lambda faces: [face.mesh for face in faces],
        **{entrant.label: partial(predicted, entrant) for entrant in entrants},
    }
    rows = []
    for label in track(guesses, "systems"):
        for name, faces in sets.items():
            for face, points in zip(faces, guesses[label](faces), strict=True):
                if points is not None:
                    error = normalised_error(points, face.points)
                    rows.append({"system": label, "set": name, "face": face.name,
                                 "yaw": face.yaw, "error": error})  # fmt: skip
    about = {entrant.label: entrant.about for entrant in entrants}
    results: dict[str, Any] = {
        "protocol": "landmarks",
        "version": __version__,
        "faces": {name: len(faces) for name, faces in sets.items()},
        "floors": [MEAN_HEAD, FACEMESH],
        "systems": {
            label: {**about.get(label, {}), **summary([r for r in rows if r["system"] == label])}
            for label in guesses
        },
    }
    protocol.write_results(out, results, report.landmarks_markdown(results))
    protocol.write_rows(out / "faces.csv", rows)
    return results


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means of the normalised error, in percent: a set each, and ranges of the renderings' yaw."""

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
    }


def normalised_error(found: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Percent: mean distance of points (N, 2) over the root of the area of the true ones' box."""
    width, height = true.max(axis=0) - true.min(axis=0)
    distance = np.linalg.norm(found[:, :2] - true, axis=1).mean()
    return float(100 * distance / np.sqrt(width * height))


def predicted(predictor: Predictor, faces: Sequence[MarkedFace]) -> list[NDArray[np.float32]]:
    """A system's landmarks (68, 3) in the crops. Raises EvaluationError where it has none."""
    marks = skin_mesh().landmarks
    crops = [face.crop for face in faces]
    return [skin.points[marks] for skin in protocol.skins(crops, predictor)]


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
    folder.mkdir(parents=True, exist_ok=True)
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
        faces.append(_marked(f"{index:09d}", head.photo, head.landmarks[:, :2], float(yaw)))
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
            faces.append(_marked(path, load_photo(folder / path), stored[path], None, mesh))
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
        faces.append(_marked(name, load_photo(path.with_suffix(".jpg")), points, yaw))
    return faces


def _marked(
    name: str,
    photo: NDArray[np.uint8],
    points: NDArray[np.floating],
    yaw: float | None,
    mesh: NDArray[np.floating] | None = None,
) -> MarkedFace:
    crop = Crop.from_landmarks(points)
    there = crop.to_crop(points).astype(np.float32)
    theirs = None if mesh is None else crop.to_crop(mesh).astype(np.float32)
    return MarkedFace(name, crop.extract(photo), there, yaw, theirs)
