"""Photos to files: what `facerelief normals` writes, for one photo or a stream of them."""

from __future__ import annotations

import io
import json
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.apps import pictures
from facerelief.apps.encode import to_jpeg, to_png
from facerelief.apps.files import write_files
from facerelief.apps.normal_png import encode_png
from facerelief.images import PhotoError, load_photo
from facerelief.runtime import Estimator
from facerelief.types import Face

#: What can be written: the file's ending, and what it is. The overlay is one a photo, not a face.
OUTPUTS = {
    "normal": ("_normal.png", "normals as colours; transparent off the face"),
    "npy": ("_normal.npy", "normals, float32 (256, 256, 3), zero off the face"),
    "shading": ("_shading.png", "the shape in white under seven lights"),
    "error": ("_expected_error.png", "degrees that the network itself expects to be off"),
    "overlay": ("_overlay.jpg", "normals in the photo, boxes round the faces"),
    "json": (".json", "frame, crop, box, score, model, terms of the weights"),
}


@dataclass(frozen=True)
class Options:
    """What to write."""

    outputs: Collection[str] = tuple(OUTPUTS)  # keys of OUTPUTS
    bits: int = 8  # of _normal.png: 8 or 16
    max_faces: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    path: Path
    faces: list[dict[str, Any]] = field(default_factory=list)  # the sidecars, largest face first
    files: list[Path] = field(default_factory=list)
    error: str | None = None  # one line, naming the input


def stream(
    paths: Sequence[Path], folder: Path, estimator: Estimator, options: Options, workers: int = 1
) -> Iterator[Outcome]:
    """Process `paths` into `folder`, in order, in memory that does not grow with their number.

    Each photo is one task of `workers` threads: decoding, the networks and compression all work
    outside Python's lock, so that photos overlap. A photo that fails gives an Outcome with
    `error`, and the others go on.
    """
    stems = output_stems(paths)
    if workers == 1:
        for path, stem in zip(paths, stems, strict=True):
            yield process(path, folder / stem, estimator, options)
        return
    with ThreadPoolExecutor(workers) as pool:
        tasks = (
            pool.submit(process, path, folder / stem, estimator, options)
            for path, stem in zip(paths, stems, strict=True)
        )
        ahead: deque[Future[Outcome]] = deque(islice(tasks, 2 * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(islice(tasks, 1))


def process(path: Path, stem: Path, estimator: Estimator, options: Options) -> Outcome:
    """Estimate the faces of the photo at `path` and write the files that begin with `stem`.

    All files of a photo are written or none.
    """
    try:
        photo = load_photo(path)
        faces = estimator(photo, options.max_faces)
        if not faces:
            return Outcome(path, error=f"{path}: no face found")
        sidecars, contents = render(path, photo, faces, stem, estimator, options)
        write_files(contents)
    except PhotoError as error:
        return Outcome(path, error=str(error))
    except OSError as error:
        return Outcome(path, error=f"{path}: cannot write {stem}*: {error.strerror or error}")
    except MemoryError:
        return Outcome(path, error=f"{path}: not enough memory")
    return Outcome(path, sidecars, list(contents))


def render(
    path: Path,
    photo: NDArray[np.uint8],
    faces: Sequence[Face],
    stem: Path,
    estimator: Estimator,
    options: Options,
) -> tuple[list[dict[str, Any]], dict[Path, bytes]]:
    """The sidecars of `faces`, and the content of every file that `options` ask for.

    With several faces, `stem` is followed by _0, _1, ... from the largest face on; the overlay is
    one for the photo.
    """
    sidecars: list[dict[str, Any]] = []
    contents: dict[Path, bytes] = {}
    for index, face in enumerate(faces):
        face_stem = stem.name if len(faces) == 1 else f"{stem.name}_{index}"
        files = {
            stem.with_name(face_stem + OUTPUTS[key][0]): content
            for key, content in _face_files(face, options).items()
        }
        sidecar = describe_face(path, face, estimator)
        sidecar["files"] = sorted(file.name for file in files)
        sidecars.append(sidecar)
        contents |= files
        if "json" in options.outputs:
            text = json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n"
            contents[stem.with_name(face_stem + OUTPUTS["json"][0])] = text.encode()
    if "overlay" in options.outputs:
        name = stem.name + OUTPUTS["overlay"][0]
        contents[stem.with_name(name)] = to_jpeg(pictures.overlay(photo, faces))
    return sidecars, contents


def describe_face(path: Path, face: Face, estimator: Estimator) -> dict[str, Any]:
    """The JSON sidecar of one face: where it is, in which frame, and by which weights."""
    crop, entry = face.crop, estimator.entry
    height, width = face.photo_size
    error = None if face.expected_error is None else face.expected_error[face.mask]
    return {
        "photo": {"path": str(path), "width": width, "height": height},
        "box": _rounded(face.box),
        "score": round(float(face.score), 4),
        "points": _rounded(face.points),
        "crop": {
            "centre": _rounded(crop.centre),
            "side": round(crop.side, 3),
            "angle": round(crop.angle, 3),
            "size": crop.size,
            "crop_to_photo": np.round(crop.matrix, 6).tolist(),
        },
        "frame": {
            "name": "opengl",
            "axes": "x right, y up, z towards the viewer, in the crop",
            "encoding": "round((n + 1) / 2 * 255), or * 65535 for 16 bits",
        },
        "mask_fraction": round(float(face.mask.mean()), 4),
        "mean_expected_error": (
            round(float(error.mean()), 2) if error is not None and error.size else None
        ),
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


def _face_files(face: Face, options: Options) -> dict[str, bytes]:
    """The content of the pictures and arrays of one face, by their key in OUTPUTS."""
    makers = {
        "normal": lambda: encode_png(face.normals, face.mask, "opengl", options.bits),
        "npy": lambda: _npy(face),
        "shading": lambda: to_png(pictures.shading_row(face.normals, face.mask)),
    }
    if face.expected_error is not None:
        error = face.expected_error
        makers["error"] = lambda: to_png(pictures.error_picture(error, face.mask))
    return {key: make() for key, make in makers.items() if key in options.outputs}


def _npy(face: Face) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.where(face.mask[..., None], face.normals, 0).astype(np.float32))
    return buffer.getvalue()


def _rounded(values: Iterable[Any]) -> list[Any]:
    return np.round(np.asarray(values, dtype=np.float64), 3).tolist()
