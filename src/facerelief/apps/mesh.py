"""Photos to meshes: what `facerelief mesh` makes of one photo.

A GLB opens with its texture in any viewer. The mesh is in the head's own space: upright, looking
along +z, millimetres (of a mean head, unless the distance of the eyes is known); glTF has metres.
`_pose.json` says how it lies in the photo.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.apps import photos
from facerelief.apps.landmark_vertices import landmark_vertices
from facerelief.apps.overlay import overlay
from facerelief.apps.products import Photo, Product, face_stems
from facerelief.apps.texture import Texture, unwrap
from facerelief.arrays import BoolArray
from facerelief.coefficients import EXPRESSIONS
from facerelief.correspondence import landmarks
from facerelief.detail import Detail, Maker
from facerelief.detailed import DetailedFace
from facerelief.encode import MARK, to_jpeg, to_png
from facerelief.exr import to_exr
from facerelief.images import Pixels
from facerelief.mesh_writing import TEXTURE, WRITERS, Asset
from facerelief.normal_png import encode_png
from facerelief.reconstruction import check_eye_distance
from facerelief.runtime import Estimator
from facerelief.types import Face, Shape

DEPTH_STEP = 1 / 128  # crop pixels, of `_depth.png`
DISPLACEMENT_SPAN = 32.0  # mm from 0 to 65535 of `_displacement.png`; 0 mm is in the middle
DISPLACEMENT_TEXT = (
    f"mm = (value / 65535 - 0.5) * {DISPLACEMENT_SPAN:g}, outwards along the smooth mesh's normals"
)
#: What `Options.invented` multiplies colours by, of what symmetry invented: linear, of 255.
INVENTED = (255, 64, 64)
HEADS = ("face", "full")
GEOMETRIES = ("coarse", "displaced")

#: What can be written beside the meshes: the file's ending, and what it is.
SIDECARS = {
    "texture": (TEXTURE, "the skin, in the layout of the built-in head"),
    "source": ("_texture_source.png", "255 seen in the photo, 128 its mirror image, 0 made up"),
    "landmarks": ("_landmarks.json", "points in the photo, and whether they are seen"),
    "vertices": ("_landmark_vertices.json", "where the mesh has the points of each scheme"),
    "depth": ("_depth.png", "16 bits, in the crop's frame; _pose.json has its scale"),
    "coefficients": (
        "_coefficients.json",
        "expression by ARKit's names, identity, camera, light (systems of coefficients)",
    ),
    "displacement": ("_displacement.png", "relief, 16 bits, -16 to 16 mm along the normals"),
    "displacement_exr": ("_displacement.exr", "the same in mm, half floats"),
    "tangent": ("_tangent_normal.png", "the relief as a normal map in tangent space, green up"),
    "detail_source": ("_detail_source.png", "255 relief seen, 128 its mirror image, 0 none"),
    "overlay": ("_mesh_overlay.jpg", "the face with its landmarks and the layout's lines"),
    "pose": ("_pose.json", "angles, the 3 x 4 camera, crop, model, warnings"),
}

#: Of these, what relief adds.
RELIEF = ("displacement", "displacement_exr", "tangent", "detail_source")


@dataclass(frozen=True)
class Options:
    """What to write. Raises ValueError for eyes that nobody has."""

    formats: Collection[str] = ("glb",)  # of mesh_writing.WRITERS
    head: str = "face"  # of HEADS
    texture: int = 1024  # pixels, a multiple of 256
    landmarks: str = "ibug68"  # of geometry.landmark_schemes.SCHEMES
    overlay: bool = False
    search: photos.Search = field(default_factory=photos.Search)
    eye_distance: float | None = None  # mm from pupil to pupil, if it is known
    geometry: str = "coarse"  # of GEOMETRIES: whether relief is in the mesh, or on it
    mirrored: bool = False  # whether the farther side has the nearer one's relief, mirrored
    invented: bool = False  # whether GLBs have `INVENTED` as the colour of what symmetry invented

    def __post_init__(self) -> None:
        if self.eye_distance is not None:
            check_eye_distance(self.eye_distance)


def produce(
    photo: Photo,
    estimator: Estimator,
    options: Options = Options(),
    maker: Maker | None = None,
    kind: str = "none",
    found: list[Face] | None = None,
) -> Product:
    """The meshes of the faces of `photo`, and what lies beside them.

    `maker` is that of a `kind` of `detail.DETAILS`; the meshes are smooth without. `found` are the
    faces that `estimator` has found already; it searches without.

    A face whose position map is no face has its `_pose.json` alone, which says so. Raises
    PhotoError for a photo without a face.
    """
    faces = found or photos.find_faces(photo, estimator, options.search)
    sidecars: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    for face, stem in zip(faces, face_stems(photo.stem, len(faces)), strict=True):
        shaped = face.whole() if options.head == "full" else face
        if options.eye_distance is not None:
            shaped = shaped.metric(options.eye_distance)
        texture, relief = _skin(photo, shaped, options.texture, maker, estimator.threads != 1)
        if relief is not None and options.mirrored:
            relief = relief.mirrored()
        made = _files(photo.pixels, shaped, stem, options, texture, relief)
        sidecar = describe_face(photo, shaped, estimator) | {"files": sorted(made)}
        if relief is not None:
            sidecar["detail"] = describe_detail(relief, kind, options)
            sidecar["warnings"] = [*sidecar["warnings"], *relief.warnings]
        sidecars.append(sidecar)
        files |= made | {stem + SIDECARS["pose"][0]: photos.to_json(sidecar)}
    return Product(sidecars, files, photo.stem, SIDECARS["pose"][0])


def describe_face(photo: Photo, face: Face, estimator: Estimator) -> dict[str, Any]:
    """`_pose.json`: where the face is, how it lies, and what is not to be relied on."""
    sized = face.mesh is not None and face.mesh.scale == "metric"
    size = "the distance of the eyes" if sized else "the mean head's size"
    angles = face.angles and dict(zip(("yaw", "pitch", "roll"), face.angles, strict=True))
    return {
        **photos.describe_place(photo, face),
        "angles": angles and {name: round(angle, 2) for name, angle in angles.items()},
        "camera_from_model": None if face.pose is None else np.round(face.pose, 6).tolist(),
        "conventions": {
            "angles": "degrees, R_y(yaw) R_x(pitch) R_z(roll); positive is towards the picture's "
            "right, down, and leaning to the picture's left",
            "camera_from_model": "3 x 4, takes mesh vertices (mm, 1) to (x, y, z): photo pixel x, "
            "minus photo pixel y, and depth in pixels, nearer is larger",
            "depth": "_depth.png is 0 where there is no face, else 32768 + depth / "
            "(step * crop side / crop size), in the frame of the crop; depth in photo pixels, "
            "nearer is larger, zero at the head's origin",
            "invented": "share of the mesh that the photo does not show, but the other side of it: "
            "texture and mirrored relief are the mirror image there",
            "mesh": "x to the subject's left, y up, z out of the face; mm, "
            f"by {size}; eye_distance is from pupil to pupil of it",
        },
        "depth_step": DEPTH_STEP,
        "scale": face.mesh and face.mesh.scale,
        "eye_distance": face.eye_distance and round(face.eye_distance, 3),
        "visible": None if face.visible is None else round(float(face.visible.mean()), 4),
        "invented": None if face.invented is None else round(float(face.invented.mean()), 4),
        "warnings": list(face.warnings),
        **photos.describe_model(estimator),
    }


def describe_detail(detail: Detail, kind: str, options: Options) -> dict[str, Any]:
    """What `_pose.json` says of relief."""
    relief = detail.displacement
    return {
        "kind": kind,
        "made": bool(relief.any()),
        "geometry": options.geometry,
        "range": [round(float(relief.min()), 3), round(float(relief.max()), 3)],
        "seen": round(float((detail.seen > 0.5).mean()), 4),
        "invented": round(float(detail.invented.mean()), 4),
        "conventions": DISPLACEMENT_TEXT,
    }


def describe_landmarks(face: Face, scheme: str = "ibug68") -> dict[str, Any]:
    """`_landmarks.json`. Raises ValueError for a face without, or an unknown scheme."""
    points, visible = landmarks(face, scheme)
    return {
        "scheme": scheme,
        "axes": "photo pixels x right, y down, the first pixel's centre is (0.5, 0.5); z in "
        "pixels, nearer is larger",
        "points": photos.rounded(points),
        "visible": visible.tolist(),
    }


def describe_coefficients(shape: Shape) -> dict[str, Any]:
    """`_coefficients.json`. Raises ValueError for a shape that no coefficients made."""
    told, view = shape.coefficients, shape.view
    if told is None or view is None:
        raise ValueError("the face has no coefficients; systems such as full_pose give them")
    crop = shape.place.crop
    weights = (round(float(weight), 4) for weight in told["expression"])
    return {
        "model": "facerelief.geometry.face_model",
        "expression": dict(zip(EXPRESSIONS, weights, strict=True)),
        "expression_order": list(EXPRESSIONS),
        "identity": np.round(told["identity"], 4).tolist(),
        "head_to_camera": {
            "rotation": np.round(view.rotation, 6).tolist(),
            "translation": np.round(view.translation, 3).tolist(),
        },
        "size": round(shape.size, 6),
        "camera": {"focal": round(view.camera.focal, 3), "centre": list(view.camera.centre)},
        "crop": {"centre": photos.rounded(crop.centre), "side": round(crop.side, 3),
                 "angle": round(crop.angle, 3), "size": crop.size},
        "light": np.round(view.harmonics, 5).tolist(),
        "albedo": np.round(view.colours, 4).tolist(),
        "conventions": {
            "expression": "ARKit's weights, 0 to 1; expression_order is that of the model's basis",
            "identity": "standard deviations of the model's components",
            "size": "millimetres of the mesh and of head_to_camera over those of the model's bases",
            "head_to_camera": "mm of the mesh, x right, y up, z towards the viewer, in the frame "
            "of the crop; the camera is at the origin and looks along -z",
            "camera": "crop pixels: pixel = centre + focal * (x, -y) / -z",
            "light": "9 x 3 spherical harmonics of linear RGB radiance in camera space, in the "
            "order 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2, orthonormal",
            "albedo": "standard deviations of the components of facerelief.geometry.albedo",
        },
    }  # fmt: skip


def encode_depth(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Crop pixels (S, S) in steps of `DEPTH_STEP`, the origin of the head at 32768; 0 for NaN."""
    steps = np.round(depth / DEPTH_STEP) + 32768
    return np.where(np.isnan(depth), 0, np.clip(steps, 1, 65535)).astype(np.uint16)


def encode_displacement(relief: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Millimetres (S, S) as `DISPLACEMENT_TEXT` says."""
    share = np.clip(relief / np.float32(DISPLACEMENT_SPAN) + 0.5, 0, 1)
    return np.round(share * 65535).astype(np.uint16)


def _skin(
    photo: Photo, face: Face, size: int, maker: Maker | None, aside: bool
) -> tuple[Texture | None, Detail | None]:
    """Texture and relief of a face, at the same time where another thread may help."""
    if face.sound is None:
        return None, None
    if maker is None or not aside:
        return unwrap(photo.pixels, face, size), maker and maker(face, photo.pixels)
    with ThreadPoolExecutor(1) as worker:
        texture = worker.submit(unwrap, photo.pixels, face, size)
        relief = maker(face, photo.pixels)
        return texture.result(), relief


def _files(
    pixels: Pixels,
    face: Face,
    name: str,
    options: Options,
    texture: Texture | None,
    detail: Detail | None,
) -> dict[str, bytes]:
    """Meshes, texture and landmarks by file name; nothing of a face that has no shape."""
    shape = face.sound
    if shape is None or texture is None:
        return {}
    displaced = False
    if detail is not None and detail.displacement.any():
        displaced = options.geometry == "displaced"
        asset, files = _detailed(face, detail, texture.colours, name, options)
    else:
        tint = _tint(shape.invented) if options.invented else None
        asset, files = Asset(shape.mesh, texture.colours, tint=tint), {}
    files |= {
        name + SIDECARS["texture"][0]: asset.jpeg,
        name + SIDECARS["depth"][0]: to_png(encode_depth(shape.depth), MARK),
        name + SIDECARS["source"][0]: to_png(texture.source, MARK),
        name + SIDECARS["landmarks"][0]: photos.to_json(
            describe_landmarks(face, options.landmarks)
        ),
        name + SIDECARS["vertices"][0]: landmark_vertices(str(shape.mesh.topology), displaced),
    }
    if shape.view is not None:
        told = describe_coefficients(shape)
        files[name + SIDECARS["coefficients"][0]] = photos.to_json(told)
    if options.overlay:
        files[name + SIDECARS["overlay"][0]] = to_jpeg(overlay(pixels, face))
    for format in options.formats:
        files |= WRITERS[format](asset, name)
    return files


def _tint(invented: BoolArray) -> NDArray[np.uint8]:
    """(V, 3) of vertices (V,)."""
    return np.where(invented[:, None], INVENTED, 255).astype(np.uint8)


def _detailed(
    face: Face, detail: Detail, colours: NDArray[np.uint8], name: str, options: Options
) -> tuple[Asset, dict[str, bytes]]:
    """The mesh with its normal map, and the files of its relief."""
    made = DetailedFace(face, detail)
    mesh = made.displaced if options.geometry == "displaced" else made.mesh
    bumps = made.normal_map(mesh)
    relief = detail.displacement
    source = np.where(detail.invented, np.uint8(128), np.round(255 * detail.seen).astype(np.uint8))
    text = {**MARK, "Displacement": DISPLACEMENT_TEXT}
    tint = _tint(made.invented[: len(mesh.vertices)]) if options.invented else None
    return Asset(mesh, colours, bumps, tint), {
        name + SIDECARS["displacement"][0]: to_png(encode_displacement(relief), text),
        name + SIDECARS["displacement_exr"][0]: to_exr(
            [relief[..., None]], relief.shape, "Y", {"displacement": "mm along the normals"}
        ),
        name + SIDECARS["tangent"][0]: encode_png(bumps.normals, bumps.mask, "tangent"),
        name + SIDECARS["detail_source"][0]: to_png(source, MARK),
    }
