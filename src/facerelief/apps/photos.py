"""Photos to files, one or a stream of them: what every command that takes photos shares."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief import __version__
from facerelief.files import write_files
from facerelief.images import PhotoError, load_photo
from facerelief.runtime import Estimator
from facerelief.types import Face

#: Of a photo's path, its pixels, its faces, the stem of its files and the estimator: a sidecar for
#: each face, and the contents of all files.
Render = Callable[
    [Path, NDArray[np.uint8], Sequence[Face], Path, Estimator],
    tuple[list[dict[str, Any]], dict[Path, bytes]],
]


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    path: Path
    faces: list[dict[str, Any]] = field(default_factory=list)  # the sidecars, largest face first
    files: list[Path] = field(default_factory=list)
    error: str | None = None  # one line, naming the input


def stream(
    paths: Sequence[Path],
    folder: Path,
    estimator: Estimator,
    render: Render,
    max_faces: int | None = None,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Process `paths` into `folder`, in order, in memory that does not grow with their number.

    Each photo is one task of `workers` threads: decoding, the networks and compression all work
    outside Python's lock, so that photos overlap. A photo that fails gives an Outcome with
    `error`, and the others go on.
    """
    stems = output_stems(paths)
    if workers == 1:
        for path, stem in zip(paths, stems, strict=True):
            yield process(path, folder / stem, estimator, render, max_faces)
        return
    with ThreadPoolExecutor(workers) as pool:
        tasks = (
            pool.submit(process, path, folder / stem, estimator, render, max_faces)
            for path, stem in zip(paths, stems, strict=True)
        )
        ahead: deque[Future[Outcome]] = deque(islice(tasks, 2 * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(islice(tasks, 1))


def process(
    path: Path, stem: Path, estimator: Estimator, render: Render, max_faces: int | None = None
) -> Outcome:
    """Estimate the faces of the photo at `path` and write what `render` makes of them.

    All files of a photo are written or none.
    """
    try:
        photo = load_photo(path)
        faces = estimator(photo, max_faces)
        if not faces:
            return Outcome(path, error=f"{path}: no face found")
        sidecars, contents = render(path, photo, faces, stem, estimator)
        write_files(contents)
    except PhotoError as error:
        return Outcome(path, error=str(error))
    except OSError as error:
        return Outcome(path, error=f"{path}: cannot write {stem}*: {error.strerror or error}")
    except MemoryError:
        return Outcome(path, error=f"{path}: not enough memory")
    return Outcome(path, sidecars, list(contents))


def face_stems(stem: Path, count: int) -> list[str]:
    """The stem itself for one face; followed by _0, _1, ... from the largest on for several."""
    return [stem.name] if count == 1 else [f"{stem.name}_{index}" for index in range(count)]


def describe_place(path: Path, face: Face) -> dict[str, Any]:
    """Where a face is, for its JSON sidecar."""
    crop = face.crop
    height, width = face.photo_size
    return {
        "photo": {"path": str(path), "width": width, "height": height},
        "box": rounded(face.box),
        "score": round(float(face.score), 4),
        "points": rounded(face.points),
        "crop": {
            "centre": rounded(crop.centre),
            "side": round(crop.side, 3),
            "angle": round(crop.angle, 3),
            "size": crop.size,
            "crop_to_photo": np.round(crop.matrix, 6).tolist(),
        },
    }


def describe_model(estimator: Estimator) -> dict[str, Any]:
    """By which weights, for JSON sidecars."""
    entry = estimator.entry
    return {
        "model": {
            "name": entry.name,
            "system": entry.system,
            "preset": entry.preset,
            "sha256": entry.sha256,
            "tier": entry.tier,
            "training_data": list(entry.training_data),
            "licence": entry.licence,
        },
        "facerelief": __version__,
    }


def output_stems(paths: Sequence[Path]) -> list[str]:
    """A file stem for each of `paths`, unique where names repeat (then -2, -3, ... is added).

    A stem that another photo's numbered faces could take, as a_0 beside a, is also changed. Case
    does not tell stems apart, for file systems that ignore it.
    """
    names = {path.stem.lower() for path in paths}
    taken: set[str] = set()
    stems = []
    for path in paths:
        numbered = re.fullmatch(r"(.+)_\d+", path.stem.lower())
        clash = numbered is not None and numbered[1] in names
        stem, count = path.stem, 1
        while clash or stem.lower() in taken:
            count += 1
            stem = f"{path.stem}-{count}"
            clash = stem.lower() in names
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def rounded(values: ArrayLike) -> list[Any]:
    """Nested lists for JSON, three digits behind the point."""
    lists: list[Any] = np.round(np.asarray(values, dtype=np.float64), 3).tolist()
    return lists
