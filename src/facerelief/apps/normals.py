"""Photos to normals: what `facerelief normals` makes of one photo."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

import numpy as np

from facerelief import photo_frame, pictures
from facerelief.apps import photos
from facerelief.apps.products import Photo, Product, face_stems
from facerelief.encode import MARK, to_jpeg, to_png
from facerelief.exr import to_exr
from facerelief.normal_png import encode_png
from facerelief.runtime import Estimator
from facerelief.types import Face

#: What is written: the file's ending, and what it is. The overlay is one a photo, not a face.
OUTPUTS = {
    "normal": ("_normal.png", "normals as colours; transparent off the face"),
    "npy": ("_normal.npy", "normals, float32 (size, size, 3), zero off the face"),
    "shading": ("_shading.png", "the shape in white under seven lights"),
    "error": ("_expected_error.png", "degrees that the normals are expected to be off"),
    "overlay": ("_overlay.jpg", "normals in the photo, boxes round the faces"),
    "json": (".json", "frame, crop, box, score, model, terms of the weights"),
}
#: What is written where it is asked for.
MORE = {"exr": ("_normal.exr", "normals as R, G, B, half floats; alpha is the mask")}
#: What is written once a photo, of all its faces, with the photo as their frame.
IN_PHOTO = {
    "normal": ("_photo_normal.png", "normals of all faces, over the photo; alpha ends softly"),
    "exr": ("_photo_normal.exr", "the same as R, G, B and A, half floats"),
}
FRAMES = ("crop", "photo")
NATIVE: Literal["native"] = "native"
#: Pixels of all faces of a photo together at their native sizes; a crowd's are made smaller.
TOGETHER = 3_500_000
_FRAMELESS = ("overlay", "json")


@dataclass(frozen=True)
class Options:
    """What to write."""

    outputs: Collection[str] = tuple(OUTPUTS)  # keys of OUTPUTS and MORE
    bits: int = 8  # of _normal.png: 8 or 16
    search: photos.Search = field(default_factory=photos.Search)
    frames: Collection[str] = ("crop",)  # of FRAMES
    # Pixels of a crop's side: other than 256 with detail of the photo, see `fine`. NATIVE is the
    # photo's own; None is 256 for crops and NATIVE in the photo's frame.
    size: int | Literal["native"] | None = None


def written(outputs: Collection[str], frames: Collection[str]) -> dict[str, str]:
    """The endings of what is written of `outputs` in `frames`, and what they hold."""
    return {
        ending: meaning
        for key in outputs
        for frame, table in (("crop", OUTPUTS | MORE), ("photo", IN_PHOTO))
        if key in table and (frame in frames or key in _FRAMELESS)
        for ending, meaning in (table[key],)
    }


def produce(
    photo: Photo,
    estimator: Estimator,
    options: Options = Options(),
    found: list[Face] | None = None,
) -> Product:
    """The normals of the faces of `photo`: what `options` ask for, and nothing besides.

    `found` are those that `estimator` has found already; it searches without.

    Raises PhotoError for a photo without a face.
    """
    faces = found or photos.find_faces(photo, estimator, options.search)
    sidecars: list[dict[str, Any]] = []
    files = {}
    sized: Iterable[Face] = faces
    if "photo" in options.frames and IN_PHOTO.keys() & options.outputs:
        sized = list(at_sizes(photo, faces, options.size or NATIVE))
        files = _in_photo(photo, faces, sized, estimator, options)
    if "overlay" in options.outputs:
        picture = pictures.overlay_image(photo.pixels, faces)
        files[photo.stem + OUTPUTS["overlay"][0]] = to_jpeg(picture)
    if options.size is None:
        sized = faces
    elif sized is faces:
        sized = at_sizes(photo, faces, options.size)  # one at a time: a crowd of large ones
    shared = sorted(files)
    for face, stem in zip(sized, face_stems(photo.stem, len(faces)), strict=True):
        made = {stem + ending: do() for ending, do in _makers(face, options).items()}
        sidecar = describe_face(photo, face, estimator) | {"files": sorted(made) + shared}
        if "photo" in options.frames:
            sidecar["photo_frame"] = PHOTO_FRAME
        if "json" in options.outputs:
            made[stem + OUTPUTS["json"][0]] = photos.to_json(sidecar)
        sidecars.append(sidecar)
        files |= made
    return Product(sidecars, files, photo.stem, OUTPUTS["json"][0])


#: What the sidecars of faces say of the files in their photo's frame.
PHOTO_FRAME = {
    "name": "opengl",
    "axes": "x right, y up, z towards the viewer, in the photo; a pixel is the photo's",
    "alpha": "1 on the face, falling to 0 before the edges of its crop; normals are unit wherever "
    "it is above 0, and not multiplied by it",
}


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


def _in_photo(
    photo: Photo, faces: list[Face], sized: list[Face], estimator: Estimator, options: Options
) -> dict[str, bytes]:
    """What is made in the photo's frame, by file name; `sized` are the faces at their sizes."""
    search = options.search
    around = [] if search.is_crop else _around(photo, faces, estimator, search.crop_scale)
    around = list(at_sizes(photo, around, options.size or NATIVE, detail=False))
    files = {}
    if "normal" in options.outputs:
        files[IN_PHOTO["normal"][0]] = photo_frame.to_photo_png(sized, around, options.bits)
    if "exr" in options.outputs:
        files[IN_PHOTO["exr"][0]] = photo_frame.to_photo_exr(sized, around)
    return {photo.stem + ending: content for ending, content in files.items()}


def at_sizes(
    photo: Photo, faces: list[Face], size: int | Literal["native"], detail: bool = True
) -> Iterator[Face]:
    """The faces at a size; all together at their native sizes are no more than TOGETHER."""
    from facerelief import fine  # SciPy: what is as networks answer need not wait for it

    sizes = [fine.native_size(face) if size == NATIVE else size for face in faces]
    if size == NATIVE:
        share = min(1.0, sqrt(TOGETHER / max(sum(side**2 for side in sizes), 1)))
        sizes = [max(int(share * side), fine.LEAST) for side in sizes]
    for face, side in zip(faces, sizes, strict=True):
        same = side == face.crop.size
        yield face if same else fine.at_size(face, photo.pixels, side, detail)


def _around(photo: Photo, faces: list[Face], estimator: Estimator, crop_scale: float) -> list[Face]:
    """The faces in larger crops, where theirs are smaller than those."""
    factor = photo_frame.AROUND / crop_scale
    if factor <= 1:
        return []
    return estimator.estimate(photo.pixels, [face.place.enlarged(factor) for face in faces])


def _makers(face: Face, options: Options) -> dict[str, Callable[[], bytes]]:
    """What makes the pictures and arrays of one face that are asked for, by their ending."""
    if "crop" not in options.frames:
        return {}
    makers = {
        "normal": lambda: encode_png(face.normals, face.surface.opacity, "opengl", options.bits),
        "exr": lambda: _exr(face),
        "npy": lambda: _npy(face),
        "shading": lambda: to_png(pictures.shading_row(face.normals, face.mask), MARK),
    }
    if (error := face.expected_error) is not None:
        makers["error"] = lambda: to_png(pictures.error_picture(error, face.mask), MARK)
    endings = OUTPUTS | MORE
    return {endings[key][0]: make for key, make in makers.items() if key in options.outputs}


def _exr(face: Face) -> bytes:
    alpha = face.surface.opacity[..., None]
    picture = np.concatenate([face.normals * (alpha > 0), alpha], axis=-1)
    return to_exr([picture], face.mask.shape, "RGBA", {"normalFrame": "opengl"})


def _npy(face: Face) -> bytes:
    masked = face.normals.astype(np.float32, order="C")  # a copy
    # Whole vectors at once: five times as fast as number by number.
    vectors = masked.view("V12")[..., 0]
    np.copyto(vectors, np.zeros((), vectors.dtype), where=~face.mask)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(masked))
    return b"".join([header.getvalue(), masked.data])
