"""Faces as rows of a table: the columns, what they mean, and how a face becomes one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.apps.batch.work import Found
from facerelief.coefficients import EXPRESSIONS
from facerelief.encode import to_png
from facerelief.normal_png import encode_png
from facerelief.types import Face

if TYPE_CHECKING:
    import pyarrow as pa

ENCODINGS = ("png", "float16")
ERROR_STEPS = 4  # values a degree, of the picture of the expected error
_QUALITY = 92  # of the crop's JPEG

#: Name, type, and what it is. A type is Arrow's, or one with how many of it a row has.
_PLACE = (
    ("key", "string", "the photo's name in this run"),
    ("face", "int32", "its number in the photo, from the largest face on"),
    ("faces", "int32", "how many faces of the photo have rows"),
    ("photo_size", "int32 2", "height, width"),
    ("box", "float32 4", "x0, y0, x1, y1, photo pixels"),
    ("score", "float32", "the detector's confidence in [0, 1]"),
    ("points", "float32 10", "5 x 2 photo pixels: eyes, nose, mouth corners; NaN if unknown"),
    ("crop_to_photo", "float64 6", "2 x 3: crop pixel (x, y, 1) to photo pixel"),
    ("crop", "binary", "the crop's picture, JPEG, 256 x 256"),
    ("warnings", "string *", "what is not to be relied on"),
)
_OF_WHAT = {
    "normals": (
        ("normals", "binary", "PNG, RGBA: round((n + 1) / 2 * 255); alpha is the mask"),
        ("expected_error", "binary", "PNG, grey: degrees times 4, at most 255; null if untold"),
        ("mask_fraction", "float32", "share of the crop's pixels that show the face"),
        ("mean_expected_error", "float32", "degrees, over the face; null if untold"),
    ),
    "landmarks": (
        ("landmarks", "float32 204", "68 x 3 of iBUG's scheme: photo pixels x, y (down), z"),
        ("landmarks_visible", "bool 68", "which of them are seen"),
    ),
    "mesh": (
        ("vertices", "float32 *", "V x 3 mm, of the triangles in mesh_triangles.npy"),
        ("camera_from_model", "float64 12", "3 x 4: photo pixel (x, -y) and depth of a vertex"),
        ("angles", "float32 3", "yaw, pitch, roll, degrees"),
    ),
    "coefficients": (
        ("identity", "float32 80", "standard deviations of the model's components"),
        ("expression", "float32 52", "ARKit's weights, in the order that the metadata has"),
        ("rotation", "float64 9", "3 x 3, head to camera"),
        ("translation", "float64 3", "mm, head to camera"),
        ("focal", "float64", "crop pixels"),
        ("light", "float32 27", "9 x 3 spherical harmonics of linear RGB"),
        ("albedo", "float32 80", "standard deviations of its components"),
    ),
}  # fmt: skip
_HALF = ("normals", "float16 196608", "256 x 256 x 3, unit; zero off the face")


@dataclass(frozen=True)
class Row:
    """A `Form`: one face to the values of its columns."""

    what: tuple[str, ...]
    encoding: str = "png"  # of ENCODINGS
    needs_photos = False

    def __call__(self, found: Found) -> dict[str, Any]:
        warnings = dict.fromkeys(w for face in found.faces.values() for w in face.warnings)
        place = found.place
        row = {
            "key": found.item.key,
            "face": found.number,
            "photo_size": place.photo_size,
            "box": place.box,
            "score": place.score,
            "points": place.points,
            "crop_to_photo": place.crop.matrix,
            "crop": _to_jpeg(found.crop),
            "warnings": list(warnings),
        }
        for what, face in found.faces.items():
            row |= _MAKERS[what](face)
        if self.encoding == "float16" and "normals" in self.what:
            face = found.faces["normals"]
            row["normals"] = np.where(face.mask[..., None], face.normals, 0).astype(np.float16)
        return row

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """Name, type and meaning."""
        columns = [*_PLACE, *(one for what in self.what for one in _OF_WHAT[what])]
        half = self.encoding == "float16"
        return [_HALF if half and one[0] == "normals" else one for one in columns]

    def table(self, made: Sequence[Sequence[dict[str, Any]]], said: Mapping[str, Any]) -> pa.Table:
        """Of the rows of some photos; `said` is for the schema's metadata."""
        import pyarrow as pa

        rows = [row | {"faces": len(photo)} for photo in made for row in photo]
        fields, arrays = [], []
        for name, kind, meaning in self.columns:
            array = _array([row.get(name) for row in rows], kind)
            arrays.append(array)
            fields.append(pa.field(name, array.type, metadata={"meaning": meaning}))
        metadata = {"facerelief": json.dumps(self.described(said))}
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))

    def described(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What a reader needs to know besides the columns."""
        more: dict[str, Any] = {"frame": "opengl: x right, y up, z towards the viewer, in the crop"}
        if "coefficients" in self.what:
            more["expression_order"] = list(EXPRESSIONS)
        return {**said, **more}


def _normals(face: Face) -> dict[str, Any]:
    error, mask = face.expected_error, face.mask
    told = error is not None and bool(mask.any())
    return {
        "normals": encode_png(face.normals, mask, "opengl"),
        "expected_error": None if error is None else _error_png(error, mask),
        "mask_fraction": mask.mean(),
        "mean_expected_error": error[mask].mean() if error is not None and told else None,
    }


def _error_png(error: NDArray[np.float32], mask: NDArray[np.bool_]) -> bytes:
    steps = np.minimum(error * np.float32(ERROR_STEPS) + np.float32(0.5), 255)
    return to_png(np.where(mask, steps, 0).astype(np.uint8))


def _landmarks(face: Face) -> dict[str, Any]:
    return {"landmarks": face.landmarks, "landmarks_visible": face.landmarks_visible}


def _mesh(face: Face) -> dict[str, Any]:
    return {
        "vertices": None if face.mesh is None else face.mesh.vertices,
        "camera_from_model": face.pose,
        "angles": face.angles,
    }


def _coefficients(face: Face) -> dict[str, Any]:
    told, view = face.coefficients, face.view
    if told is None or view is None:
        return {}
    return {
        "identity": told["identity"],
        "expression": told["expression"],
        "rotation": view.rotation,
        "translation": view.translation,
        "focal": view.camera.focal,
        "light": view.harmonics,
        "albedo": view.colours,
    }


_MAKERS = {
    "normals": _normals,
    "landmarks": _landmarks,
    "mesh": _mesh,
    "coefficients": _coefficients,
}


def _to_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Not marked as ours: it is a part of the photo."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _array(values: list[Any], kind: str) -> pa.Array:
    """Values of rows, None for none, as a column."""
    import pyarrow as pa

    name, _, many = kind.partition(" ")
    simple = getattr(pa, "bool_" if name == "bool" else name)()
    if not many:
        if name in ("string", "binary"):
            return pa.array(values, simple)
        return pa.array([None if v is None else simple_value(v) for v in values], simple)
    if name == "string":
        return pa.array(values, pa.list_(simple))
    flat = [None if v is None else np.asarray(v).ravel() for v in values]
    numbers = name if name != "bool" else "?"
    known = np.concatenate([v for v in flat if v is not None] or [np.zeros(0)]).astype(numbers)
    mask = np.array([v is None for v in flat])
    if many == "*":
        sizes = [0 if v is None else len(v) for v in flat]
        offsets = pa.array(np.append(0, np.cumsum(sizes)), pa.int32(), mask=np.append(mask, False))
        return pa.ListArray.from_arrays(offsets, pa.array(known, simple))
    size = int(many)
    full = np.zeros((len(flat), size), numbers)
    full[~mask] = known.reshape(-1, size)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(full.ravel(), simple), size, mask=pa.array(mask)
    )


def simple_value(value: Any) -> Any:
    """A Python number of a NumPy one."""
    return value.item() if isinstance(value, np.generic) else value
