"""Photos to meshes: what `facerelief mesh` writes of every face.

A GLB opens with its texture in any viewer. The mesh is in the head's own space: upright, looking
along +z, millimetres (the size of a mean head is assumed); glTF has metres. `_pose.json` says how
it lies in the photo.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.apps import photos
from facerelief.apps.overlay import overlay
from facerelief.apps.texture import Texture, unwrap
from facerelief.encode import to_jpeg, to_png
from facerelief.geometry import landmark_schemes
from facerelief.geometry.mesh import vertex_normals
from facerelief.reconstruction import with_shape
from facerelief.runtime import Estimator
from facerelief.types import Face, Mesh

if TYPE_CHECKING:
    from trimesh import Trimesh

FORMATS = ("glb", "obj", "ply")
DEPTH_STEP = 1 / 128  # crop pixels, of `_depth.png`
HEADS = ("face", "full")

#: What can be written beside the meshes: the file's ending, and what it is.
SIDECARS = {
    "texture": ("_texture.jpg", "the skin, in the layout of the built-in head"),
    "source": ("_texture_source.png", "255 seen in the photo, 128 its mirror image, 0 made up"),
    "landmarks": ("_landmarks.json", "points in the photo, and whether they are seen"),
    "depth": ("_depth.png", "16 bits, in the crop's frame; _pose.json has its scale"),
    "overlay": ("_overlay.jpg", "the face with its landmarks and the layout's lines"),
    "pose": ("_pose.json", "angles, the 3 x 4 camera, crop, model, warnings"),
}


@dataclass(frozen=True)
class Options:
    """What to write."""

    formats: Collection[str] = ("glb",)  # of FORMATS
    head: str = "face"  # of HEADS
    texture: int = 1024  # pixels, a multiple of 256
    landmarks: str = "ibug68"  # of geometry.landmark_schemes.SCHEMES
    overlay: bool = False


def render(
    path: Path,
    photo: NDArray[np.uint8],
    faces: Sequence[Face],
    stem: Path,
    estimator: Estimator,
    options: Options,
) -> tuple[list[dict[str, Any]], dict[Path, bytes]]:
    """The sidecars of `faces`, and the content of every file.

    A face whose position map is no face has its `_pose.json` alone, which says so.
    """
    sidecars: list[dict[str, Any]] = []
    contents: dict[Path, bytes] = {}
    for face, name in zip(faces, photos.face_stems(stem, len(faces)), strict=True):
        shaped = face
        if options.head == "full":  # estimators give the face alone
            assert face.position is not None and face.skin is not None
            shaped = with_shape(face, face.position, face.skin, whole=True)
        files = {} if shaped.mesh is None else _files(photo, shaped, name, options)
        sidecar = describe_face(path, shaped, estimator)
        sidecar["files"] = sorted(files)
        sidecars.append(sidecar)
        files[name + SIDECARS["pose"][0]] = _json(sidecar)
        contents |= {stem.with_name(file): content for file, content in files.items()}
    return sidecars, contents


def describe_face(path: Path, face: Face, estimator: Estimator) -> dict[str, Any]:
    """`_pose.json`: where the face is, how it lies, and what is not to be relied on."""
    angles = face.angles and dict(zip(("yaw", "pitch", "roll"), face.angles, strict=True))
    return {
        **photos.describe_place(path, face),
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
            "mesh": "x to the subject's left, y up, z out of the face; mm, by the mean head's size",
        },
        "depth_step": DEPTH_STEP,
        "visible": None if face.visible is None else round(float(face.visible.mean()), 4),
        "warnings": list(face.warnings),
        **photos.describe_model(estimator),
    }


def describe_landmarks(face: Face, scheme: str = "ibug68") -> dict[str, Any]:
    """`_landmarks.json`. Raises ValueError for a face without, or an unknown scheme."""
    points, visible = landmark_schemes.landmarks(face, scheme)
    return {
        "scheme": scheme,
        "axes": "photo pixels x right, y down, the first pixel's centre is (0.5, 0.5); z in "
        "pixels, nearer is larger",
        "points": photos.rounded(points),
        "visible": visible.tolist(),
    }


def encode_depth(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Crop pixels (S, S) in steps of `DEPTH_STEP`, the origin of the head at 32768; 0 for NaN."""
    steps = np.round(depth / DEPTH_STEP) + 32768
    return np.where(np.isnan(depth), 0, np.clip(steps, 1, 65535)).astype(np.uint16)


def _files(photo: NDArray[np.uint8], face: Face, name: str, options: Options) -> dict[str, bytes]:
    """Meshes, texture and landmarks of a face that has a shape, by file name."""
    assert face.mesh is not None
    texture = unwrap(photo, face, options.texture)
    picture = name + SIDECARS["texture"][0]
    assert face.depth is not None
    files = {
        picture: to_jpeg(texture.colours),
        name + SIDECARS["depth"][0]: to_png(encode_depth(face.depth)),
        name + SIDECARS["source"][0]: to_png(texture.source),
        name + SIDECARS["landmarks"][0]: _json(describe_landmarks(face, options.landmarks)),
    }
    if options.overlay:
        files[name + SIDECARS["overlay"][0]] = to_jpeg(overlay(photo, face))
    if "glb" in options.formats:
        files[f"{name}.glb"] = to_glb(face.mesh, files[picture])
    if "obj" in options.formats:
        files[f"{name}.obj"], files[f"{name}.mtl"] = to_obj(face.mesh, f"{name}.mtl", picture)
    if "ply" in options.formats:
        files[f"{name}.ply"] = to_ply(face.mesh, texture)
    return files


def to_glb(mesh: Mesh, texture: bytes) -> bytes:
    """A binary glTF, in metres, with `texture`, a JPEG, as its colour.

    Raises ValueError for a mesh without texture coordinates.
    """
    from trimesh import Scene
    from trimesh.exchange.gltf import export_glb
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    if mesh.uv is None:
        raise ValueError("a textured mesh needs texture coordinates")
    material = PBRMaterial(
        name="skin",
        baseColorTexture=Image.open(io.BytesIO(texture)),
        metallicFactor=0.0,
        roughnessFactor=0.8,
        doubleSided=True,
    )
    made = _trimesh(mesh, 1e-3, visual=TextureVisuals(uv=mesh.uv, material=material))
    return bytes(export_glb(Scene(made), include_normals=True))


def to_obj(mesh: Mesh, material: str, texture: str) -> tuple[bytes, bytes]:
    """A Wavefront OBJ in millimetres, and its MTL; `material` and `texture` are file names.

    Raises ValueError for a mesh without texture coordinates.
    """
    if mesh.uv is None:
        raise ValueError("a textured mesh needs texture coordinates")
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    text = io.StringIO()
    text.write(f"mtllib {material}\n")
    for keyword, rows, digits in (("v", mesh.vertices, 4), ("vt", mesh.uv, 6), ("vn", normals, 4)):
        text.writelines(
            f"{keyword} {' '.join(f'{value:.{digits}f}' for value in row)}\n"
            for row in rows.tolist()
        )
    text.write("usemtl skin\n")
    text.writelines(
        f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}\n" for a, b, c in (mesh.triangles + 1).tolist()
    )
    skin = f"newmtl skin\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture}\n"
    return text.getvalue().encode(), skin.encode()


def to_ply(mesh: Mesh, texture: Texture) -> bytes:
    """A binary PLY in millimetres with the texture's colour at every vertex.

    Raises ValueError for a mesh without texture coordinates.
    """
    if mesh.uv is None:
        raise ValueError("a coloured mesh needs texture coordinates")
    from trimesh.exchange.ply import export_ply

    size = len(texture.colours)
    x, y = np.clip((mesh.uv * (1, -1) + (0, 1)) * size, 0, size - 1).astype(int).T
    return bytes(
        export_ply(_trimesh(mesh, vertex_colors=texture.colours[y, x]), vertex_normal=True)
    )


def _trimesh(mesh: Mesh, factor: float = 1.0, **look: Any) -> Trimesh:
    from trimesh import Trimesh

    return Trimesh(
        mesh.vertices * factor,
        mesh.triangles,
        vertex_normals=vertex_normals(mesh.vertices, mesh.triangles),
        process=False,
        **look,
    )


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
