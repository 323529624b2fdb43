"""Photos to files: what `facerelief normals` writes, for one photo or a stream of them."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import pictures
from facerelief.apps import photos
from facerelief.apps.photos import Outcome
from facerelief.encode import to_jpeg, to_png
from facerelief.normal_png import encode_png
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


def stream(
    paths: Sequence[Path], folder: Path, estimator: Estimator, options: Options, workers: int = 1
) -> Iterator[Outcome]:
    """The normals of `paths` into `folder`; see `photos.stream`."""
    made = partial(render, options=options)
    return photos.stream(paths, folder, estimator, made, options.max_faces, workers)


def process(path: Path, stem: Path, estimator: Estimator, options: Options) -> Outcome:
    """Estimate the faces of the photo at `path` and write the files that begin with `stem`."""
    return photos.process(
        path, stem, estimator, partial(render, options=options), options.max_faces
    )


def render(
    path: Path,
    photo: NDArray[np.uint8],
    faces: Sequence[Face],
    stem: Path,
    estimator: Estimator,
    options: Options,
) -> tuple[list[dict[str, Any]], dict[Path, bytes]]:
    """The sidecars of `faces`, and the content of every file that `options` ask for.

    The overlay is one for the photo.
    """
    sidecars: list[dict[str, Any]] = []
    contents: dict[Path, bytes] = {}
    for face, face_stem in zip(faces, photos.face_stems(stem, len(faces)), strict=True):
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
    error = None if face.expected_error is None else face.expected_error[face.mask]
    return {
        **photos.describe_place(path, face),
        "frame": {
            "name": "opengl",
            "axes": "x right, y up, z towards the viewer, in the crop",
            "encoding": "round((n + 1) / 2 * 255), or * 65535 for 16 bits",
        },
        "mask_fraction": round(float(face.mask.mean()), 4),
        "mean_expected_error": (
            round(float(error.mean()), 2) if error is not None and error.size else None
        ),
        **photos.describe_model(estimator),
    }


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
