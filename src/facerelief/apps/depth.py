"""A photo and the depth that was taken with it: what `facerelief depth` makes of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facerelief.apps import photos
from facerelief.apps.products import Photo, Product
from facerelief.arrays import BoolArray, FloatArray
from facerelief.depth_cameras import Calibration
from facerelief.depth_files import DepthMap, encode_depth
from facerelief.depth_refinement import RefinedDepth, refine_depth
from facerelief.geometry.normals import normalise
from facerelief.geometry.pinhole import Pinhole
from facerelief.mesh_writing import WRITERS, Asset
from facerelief.normal_png import encode_png
from facerelief.runtime import Estimator

#: What is written, by the ending of the file.
OUTPUTS = {
    "_depth": "the face's depth over the photo, as DEPTH is: a kind of file, a unit",
    "_depth_normal.png": "its normals over the photo, camera space, green up",
    "_depth.json": "cameras, how both were laid over each other, what was filled",
}
SIDECAR = "_depth.json"
_TEXTURE = 1024  # pixels of the mesh's texture, at most


@dataclass(frozen=True)
class Options:
    """What to write, and how depth and photo come together."""

    formats: Collection[str] = ("glb",)  # of mesh_writing.WRITERS
    registration: str | None = None  # of depth_refinement.REGISTRATIONS; None: by the calibration
    bits: int = 8  # of the normals' channels


def endings(suffix: str, formats: Collection[str]) -> dict[str, str]:
    """The endings of the files of a face, and what they hold; `suffix` is the depth's."""
    meshes = {f"_depth.{name}": "the face's surface, textured, mm before the camera"
              for name in formats}  # fmt: skip
    return {key + suffix * (key == "_depth"): text for key, text in OUTPUTS.items()} | meshes


def produce(
    photo: Photo,
    depth: DepthMap,
    calibration: Calibration,
    estimator: Estimator,
    options: Options = Options(),
) -> Product:
    """The refined depth of the largest face of `photo`.

    Raises PhotoError for a photo without a face, DepthError for depth that does not show it.
    """
    (face,) = photos.find_faces(photo, estimator, photos.Search(max_faces=1))
    made = refine_depth(face, depth, calibration, options.registration)
    name = photo.stem + "_depth"
    over, mask = over_photo(made, made.distance)
    normals = normalise(over_photo(made, made.normals)[0])
    files = {
        name + depth.suffix: encode_depth(np.where(mask, over, np.nan), depth),
        name + "_normal.png": encode_png(normals, mask, "opengl", options.bits),
    }
    crop = replace(face.crop, size=min(max(round(face.crop.side), face.crop.size), _TEXTURE))
    asset = Asset(made.mesh, crop.extract(photo.pixels))
    for format in options.formats:
        files |= WRITERS[format](asset, name)
    sidecar = describe(photo, made, depth, estimator) | {"files": sorted(files)}
    files[photo.stem + SIDECAR] = photos.to_json(sidecar)
    return Product([sidecar], files, photo.stem, SIDECAR)


def over_photo(made: RefinedDepth, values: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Values (S, S, ...) of the crop's pixels and the mask at the photo's size."""
    return made.face.crop.paste(values, made.mask, made.face.photo_size)


def describe(
    photo: Photo, made: RefinedDepth, depth: DepthMap, estimator: Estimator
) -> dict[str, Any]:
    """The JSON sidecar."""
    height, width = depth.distance.shape
    matrix = np.column_stack([made.rig.rotation, made.rig.translation])
    return {
        **photos.describe_place(photo, made.face),
        "depth": {
            "path": depth.path,
            "width": width,
            "height": height,
            "unit_mm": depth.unit,
            "distance_mm": round(made.middle, 1),
            "filled": round(float(made.filled.sum() / made.mask.sum()), 4),
            "residual_mm": round(made.residual, 3),
        },
        "registration": {
            "by": made.registration,
            "agreement": round(made.agreement, 4),
            "photo_camera": _numbers(made.rig.photo),
            "depth_camera": _numbers(made.rig.depth),
            "depth_to_photo": np.round(matrix, 5).tolist(),
        },
        "conventions": {
            "cameras": "pixels; the first one's centre is (0.5, 0.5)",
            "depth_to_photo": "3 x 4, mm, takes (x, y, z, 1); x right, y up, z towards the viewer",
            "depth": "along the photo's axis, pixel for pixel over the photo; 0 off the face",
            "mesh": "mm, glTF metres, x right, y up, z towards the viewer; the camera is the "
            "origin",
            "filled": "share of the face that the sensor did not see, or not in the right place",
            "residual_mm": "median distance of the other measurements from the surface",
        },
        "warnings": list(made.face.warnings),
        **photos.describe_model(estimator),
    }


def _numbers(camera: Pinhole) -> dict[str, float]:
    height, width = camera.size
    keys = ("fx", "fy", "cx", "cy", "width", "height")
    values = (*camera.focal, *camera.centre, width, height)
    return {key: round(float(value), 3) for key, value in zip(keys, values, strict=True)}
