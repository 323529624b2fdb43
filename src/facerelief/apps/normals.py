"""Photos to normals: what `facerelief normals` makes of one photo."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from facerelief import pictures
from facerelief.apps import photos
from facerelief.apps.products import Photo, Product, face_stems
from facerelief.encode import MARK, to_jpeg, to_png
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
    smallest: float | None = None  # pixels of a face, as `facerelief.find` takes it
    whole: bool = False  # whether a photo without a face is taken for one


def produce(photo: Photo, estimator: Estimator, options: Options = Options()) -> Product:
    """The normals of the faces of `photo`: what `options` ask for, and nothing besides.

    Raises PhotoError for a photo without a face.
    """
    faces = photos.find_faces(photo, estimator, options.max_faces, options.smallest, options.whole)
    sidecars: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    for face, stem in zip(faces, face_stems(photo.stem, len(faces)), strict=True):
        made = {stem + OUTPUTS[key][0]: do() for key, do in _makers(face, options).items()}
        sidecar = describe_face(photo, face, estimator) | {"files": sorted(made)}
        if "json" in options.outputs:
            made[stem + OUTPUTS["json"][0]] = photos.to_json(sidecar)
        sidecars.append(sidecar)
        files |= made
    if "overlay" in options.outputs:  # one for the photo
        name = photo.stem + OUTPUTS["overlay"][0]
        files[name] = to_jpeg(pictures.overlay_image(photo.pixels, faces))
    return Product(sidecars, files, photo.stem, OUTPUTS["json"][0])


def describe_face(photo: Photo, face: Face, estimator: Estimator) -> dict[str, Any]:
    """The JSON sidecar of one face: where it is, in which frame, and by which weights."""
    error = None if face.expected_error is None else face.expected_error[face.mask]
    return {
        **photos.describe_place(photo, face),
        "frame": {
            "name": "opengl",
            "axes": "x right, y up, z towards the viewer, in the crop",
            "encoding": "round((n + 1) / 2 * 255), or * 65535 for 16 bits",
        },
        "mask_fraction": round(np.count_nonzero(face.mask) / face.mask.size, 4),
        "mean_expected_error": (
            round(float(error.mean()), 2) if error is not None and error.size else None
        ),
        "warnings": list(face.warnings),
        **photos.describe_model(estimator),
    }


def _makers(face: Face, options: Options) -> dict[str, Callable[[], bytes]]:
    """What makes the pictures and arrays of one face that are asked for, by key in OUTPUTS."""
    makers = {
        "normal": lambda: encode_png(face.normals, face.mask, "opengl", options.bits),
        "npy": lambda: _npy(face),
        "shading": lambda: to_png(pictures.shading_row(face.normals, face.mask), MARK),
    }
    if (error := face.expected_error) is not None:
        makers["error"] = lambda: to_png(pictures.error_picture(error, face.mask), MARK)
    return {key: make for key, make in makers.items() if key in options.outputs}


def _npy(face: Face) -> bytes:
    masked = face.normals.astype(np.float32, order="C")
    # Whole vectors at once: five times as fast as number by number.
    vectors = masked.view("V12")[..., 0]
    np.copyto(vectors, np.zeros((), vectors.dtype), where=~face.mask)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(masked))
    return b"".join([header.getvalue(), masked.data])
