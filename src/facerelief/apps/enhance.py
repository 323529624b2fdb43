"""A coarse mesh and a photo of the face that it shows: what `facerelief enhance` makes of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.apps import photos
from facerelief.apps.products import Photo, Product
from facerelief.enhancement import Enhanced, enhance
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import angular_error
from facerelief.inputs import PhotoError
from facerelief.mesh_reading import MeshError
from facerelief.mesh_writing import WRITERS, Asset
from facerelief.normal_png import encode_png
from facerelief.placement import Placement, place, placed_by
from facerelief.runtime import Estimator

GEOMETRIES = ("coarse", "displaced")
SIZES = (512, 1024, 2048, 4096)
SIDECAR = "_enhanced.json"
_LONGEST = 2**24  # bytes of a pose file


@dataclass(frozen=True)
class Options:
    """What to write."""

    formats: Collection[str] = ("glb",)  # of mesh_writing.WRITERS
    geometry: str = "displaced"  # of GEOMETRIES: relief in the vertices too, or the map alone
    size: int = 1024  # of the normal map, pixels
    pose: NDArray[np.float64] | None = None  # (3, 4) as `_pose.json` has it, if it is known


def endings(formats: Collection[str]) -> dict[str, str]:
    """The endings of the files, and what they hold."""
    return {f"_enhanced.{name}": "the mesh with its relief" for name in formats} | {
        "_enhanced_tangent_normal.png": "the photo's normals in its texture space, green up "
        "(meshes with texture coordinates)",
        SIDECAR: "where the mesh lies in the photo, what moved and how far",
    }


def read_pose(path: Path) -> NDArray[np.float64]:
    """The `camera_from_model` of a JSON file. Raises MeshError."""
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError("too long")
        return np.array(json.loads(path.read_bytes())["camera_from_model"], np.float64)
    except OSError as error:
        raise MeshError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MeshError(f"{path}: no pose ({error})") from None


def produce(
    photo: Photo,
    asset: Asset,
    source: str,
    normals: Estimator,
    shapes: Estimator,
    options: Options = Options(),
) -> Product:
    """The mesh with the relief of the largest face of `photo`.

    Args:
        asset: the mesh, of the file `source`.
        normals: the estimator whose normals are carried over.
        shapes: one that finds landmarks, on photo and mesh.

    Raises PhotoError for a photo without a face, and for meshes that cannot be enhanced.
    """
    (face,) = photos.find_faces(photo, normals, photos.Search(max_faces=1))
    try:
        (shape,) = shapes.estimate(photo.pixels, [face.place])
        if options.pose is None:
            placement = place(asset, shape, shapes)
        else:
            placement = placed_by(options.pose, asset.mesh)
        made = enhance(asset.mesh, face, placement, shape.landmarks)
        return _product(photo, asset, source, made, placement, normals, options)
    except MeshError as error:
        raise PhotoError(f"{source}: {error}") from None


def _product(
    photo: Photo,
    asset: Asset,
    source: str,
    made: Enhanced,
    placement: Placement,
    normals: Estimator,
    options: Options,
) -> Product:
    displaced = options.geometry == "displaced"
    name = photo.stem + "_enhanced"
    bumps = None
    if made.coarse.uv is not None:
        bumps = made.normal_map(displaced, options.size)
    elif not displaced:
        raise MeshError("no texture coordinates, which --geometry coarse needs for its normal map")
    mesh = made.displaced if displaced else made.coarse
    picture = asset.base_colour if mesh.uv is not None else None
    files = {} if bumps is None else {
        f"{name}_tangent_normal.png": encode_png(bumps.normals, bumps.mask, "tangent")
    }  # fmt: skip
    for format in options.formats:
        files |= WRITERS[format](Asset(mesh, picture, bumps), name)
    sidecar = describe(photo, source, made, placement, normals) | {"files": sorted(files)}
    files[photo.stem + SIDECAR] = photos.to_json(sidecar)
    return Product([sidecar], files, photo.stem, SIDECAR)


def describe(
    photo: Photo, source: str, made: Enhanced, placement: Placement, normals: Estimator
) -> dict[str, Any]:
    """The JSON sidecar."""
    height, width = photo.pixels.shape[:2]
    believed = made.seen > 0.5
    turned = _angles(made, believed)
    return {
        "photo": {"path": photo.source, "width": width, "height": height},
        "mesh": {
            "path": source,
            "vertices": [len(made.mesh.vertices), len(made.displaced.vertices)],
            "triangles": [len(made.mesh.triangles), len(made.displaced.triangles)],
            "texture_coordinates": made.mesh.uv is not None,
            "mm": round(placement.millimetre, 6),
        },
        "camera_from_model": np.round(placement.pose.matrix, 6).tolist(),
        "landmarks_off": round(placement.off, 4),
        "seen": round(float(believed.mean()), 4),
        "displacement_mm": [round(float(v), 3) for v in np.quantile(
            made.displacement[believed] if believed.any() else [0.0], (0.01, 0.5, 0.99))],
        "angle_to_photo": turned,
        "conventions": {
            "camera_from_model": "3 x 4, takes the vertices as they were read (glTF in mm) to "
            "photo pixel x, minus photo pixel y, and depth in pixels, nearer is larger",
            "vertices": "of the mesh as it was read, and of what was made",
            "mm": "that the mesh's unit is, by the size of a mean head",
            "landmarks_off": "RMS distance of its landmarks from the photo's, over their extent",
            "seen": "share of the vertices whose normals the photo tells",
            "displacement_mm": "1st, 50th and 99th percentile of these, outwards",
            "angle_to_photo": "degrees between these and the photo's, before and after",
        },
        "warnings": [],
        **photos.describe_model(normals),
    }  # fmt: skip


def _angles(made: Enhanced, believed: NDArray[np.bool_]) -> list[float] | None:
    """Mean angles of the coarse and of the displaced mesh to the photo's normals, where seen."""
    if not believed.any():
        return None
    told = made.photo_normals[believed]
    angles = []
    for mesh in (made.coarse, made.displaced):
        own = vertex_normals(mesh.vertices, mesh.triangles)[believed]
        angles.append(round(float(np.nanmean(angular_error(own, told))), 3))
    return angles
