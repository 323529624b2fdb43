"""Photos to products, one or a stream of them: what every job that takes photos shares."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facerelief import __version__
from facerelief.apps.budget import Budget
from facerelief.apps.products import Photo, Produce, Sink
from facerelief.catalogue import Entry
from facerelief.inputs import PhotoError, in_line
from facerelief.photo_files import STDIN, PhotoFile
from facerelief.runtime import Estimator
from facerelief.types import Face, Place

#: Bytes that the photos of a stream take together while they are worked on, pixels and decoders.
MEMORY = 2**30


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    path: Path
    faces: list[dict[str, Any]] = field(default_factory=list)  # the sidecars, largest face first
    files: list[str] = field(default_factory=list)  # where the sink has them
    error: str | None = None  # one line, naming the input; of what is missing where there are files
    note: str | None = None  # one line that people should read although all is well


def stream(
    paths: Sequence[Path], produce: Produce, sink: Sink, workers: int = 1
) -> Generator[Outcome, None, None]:
    """Process `paths` into `sink`, in order, in memory that does not grow with their number.

    Each photo is one task of `workers` threads: decoding, the networks and compression all work
    outside Python's lock, so that photos overlap. A photo that fails gives an Outcome with
    `error`, and the others go on. Close the iterator to stop: what is begun is finished.
    """
    stems = output_stems(paths)
    budget = Budget(MEMORY)
    if workers == 1:
        for path, stem in zip(paths, stems, strict=True):
            yield process(path, stem, produce, sink, budget)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        tasks = (
            pool.submit(process, path, stem, produce, sink, budget)
            for path, stem in zip(paths, stems, strict=True)
        )
        ahead: deque[Future[Outcome]] = deque(islice(tasks, 2 * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(islice(tasks, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def process(
    path: Path, stem: str, produce: Produce, sink: Sink, budget: Budget | None = None
) -> Outcome:
    """Give `sink` what `produce` makes of the photo at `path`: all of it, or nothing.

    Its pixels are within a `budget` that other photos share.
    """
    budget = budget or Budget(MEMORY)
    try:
        file = PhotoFile(path)
        with budget.held(file.cost):
            product = produce(Photo(file.read(), stem, str(path), file))
            other = sink.put(product)
    except PhotoError as error:
        return Outcome(path, error=str(error))
    except OSError as error:
        place = sink.place(f"{stem}*")
        text = f"{path}: cannot write {place}: {error.strerror or error}"
        return Outcome(path, error=in_line(text))
    except MemoryError:
        return Outcome(path, error=in_line(f"{path}: not enough memory"))
    except Exception as error:  # whatever it is, the other photos must not suffer for it
        text = f"{path}: {type(error).__name__}: {error}"
        return Outcome(path, error=in_line(text.partition("\n")[0]))
    files = [sink.place(name) for name in product.files]
    place = sink.place(f"{stem}*")
    note = other and in_line(f"{path}: replaced what {place} held of another photo, {other}")
    missing = "; ".join(product.left_out)
    lacks = in_line(f"{path}: without {missing}; the rest is written") if missing else None
    return Outcome(path, product.sidecars, files, lacks, note)


@dataclass(frozen=True)
class Search:
    """Which faces of a photo are wanted, as `Estimator` and `facerelief.find` take it."""

    max_faces: int | None = None
    smallest: float | None = None  # pixels of a face
    whole: bool = False  # whether a photo without a face is taken for one
    order: str = "size"  # of finding.ORDERS
    crop_scale: float = 1.0
    is_crop: bool = False  # whether the photo is a face's crop already


def find_faces(photo: Photo, estimator: Estimator, search: Search = Search()) -> list[Face]:
    """The faces of `photo`, as the estimator finds them, or that of which it is the crop.

    Raises PhotoError where there is none, or the crop is no square.
    """
    if search.is_crop:
        height, width = photo.pixels.shape[:2]
        if height != width:
            text = f"{photo.source}: {width} x {height} pixels, but a crop is a square"
            raise PhotoError(f"{text}; without --crops the face is searched for")
        return estimator.estimate(photo.pixels, [Place.of_crop(side=width)])
    faces = estimator(
        photo.pixels,
        search.max_faces,
        search.smallest,
        search.whole,
        search.order,
        search.crop_scale,
    )
    if not faces:
        raise PhotoError(f"{photo.source}: no face found")
    return faces


def describe_place(photo: Photo, face: Face) -> dict[str, Any]:
    """Where a face is, for its JSON sidecar."""
    crop = face.crop
    height, width = face.photo_size
    was_found = bool(np.isfinite(face.points).all())  # not where the photo is the crop
    return {
        "photo": {"path": photo.source, "width": width, "height": height},
        "box": rounded(face.box),
        "score": round(float(face.score), 4),
        "points": rounded(face.points) if was_found else None,
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
    return {"model": describe_entry(estimator.entry), "facerelief": __version__}


def describe_entry(entry: Entry) -> dict[str, Any]:
    """Which weights, and on what terms."""
    return {
        "name": entry.name,
        "system": entry.system,
        "preset": entry.preset,
        "sha256": entry.sha256,
        "tier": entry.tier,
        "training_data": list(entry.training_data),
        "licence": entry.licence,
    }


def output_stems(paths: Sequence[Path]) -> list[str]:
    """A file stem for each of `paths`, unique where names repeat (then -2, -3, ... is added).

    A stem that another photo's numbered faces could take, as a_0 beside a, is also changed. Case
    does not tell stems apart, for file systems that ignore it.
    """
    own = [path.stem if str(path) != STDIN else "stdin" for path in paths]
    names = {stem.lower() for stem in own}
    taken: set[str] = set()
    stems = []
    for first in own:
        numbered = re.fullmatch(r"(.+)_\d+", first.lower())
        clash = numbered is not None and numbered[1] in names
        stem, count = first, 1
        while clash or stem.lower() in taken:
            count += 1
            stem = f"{first}-{count}"
            clash = stem.lower() in names
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def rounded(values: ArrayLike) -> list[Any]:
    """Nested lists for JSON, three digits behind the point."""
    lists: list[Any] = np.round(np.asarray(values, dtype=np.float64), 3).tolist()
    return lists


def to_json(sidecar: dict[str, Any]) -> bytes:
    """The content of a JSON sidecar; bytes of a name that are no text are \\udc80 to \\udcff."""
    text = json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
