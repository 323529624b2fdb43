"""The ICT-FaceKit head (Li et al., CVPR 2020, "Learning Formation of Physically-Based Face
Attributes"; MIT): what its vertices are, and its arrays as a `MorphableModel`.

Its expressions are ARKit's under other names. Here they get ARKit's, with three decisions:

* ``browInnerUp`` and ``cheekPuff`` are the sums of their two halves, as ARKit has them whole;
* ``cheekRaiserLeft`` and ``cheekRaiserRight`` (the orbital part of a smile, beside ARKit's
  ``cheekSquint``) are kept after ARKit's own, since they are shapes of skin like any other;
* ``PupilDilate`` is left out: it moves nothing but irises. ``tongueOut`` does not exist.

Two things to know when weights are drawn: ``mouthClose`` closes the lips of an open jaw and is only
meant with ``jawOpen`` at least as large; ``eyeLook...`` moves the lids, not the eyeballs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.model_files_common import ModelFileError
from facerelief.geometry.morphable import MorphableModel

VERTICES = 26719
MM_PER_UNIT = 10.0  # it is in cm

#: First and one past the last vertex of each part, from the table in its README.
PARTS: dict[str, tuple[int, int]] = {
    "face": (0, 9409),
    "narrow_face": (0, 6706),
    "skin": (0, 11248),
    "mouth": (11248, 13294),
    "left_eye_socket": (13294, 13678),
    "right_eye_socket": (13678, 14062),
    "gums": (14062, 17039),
    "upper_teeth": (17039, 19247),
    "lower_teeth": (19247, 21451),
    "teeth": (17039, 21451),
    "left_eye": (21451, 23021),
    "left_sclera": (21451, 22221),  # with the cornea
    "right_eye": (23021, 24591),
    "right_sclera": (23021, 23791),
    "eye_fluid": (24591, 25351),
    "left_lashes": (25351, 26035),
    "right_lashes": (26035, 26719),
}

#: The 52 expressions of ARKit's face tracking, sorted.
ARKIT_EXPRESSIONS: tuple[str, ...] = tuple(
    re.findall(
        r"\w+",
        """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
    cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight
    eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight
    eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight
    mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
    mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
    mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
    noseSneerRight tongueOut""",
    )
)
_HALVED = ("browInnerUp", "cheekPuff")
_SIDES = {"L": "Left", "R": "Right"}
_LEFT_OUT = ("PupilDilate_L", "PupilDilate_R")
_KNOWN = (*ARKIT_EXPRESSIONS, "cheekRaiserLeft", "cheekRaiserRight")


def arkit_name(name: str) -> str | None:
    """ARKit's name of one of ICT-FaceKit's expressions, or None for one that is left out."""
    if name in _LEFT_OUT:
        return None
    stem, _, side = name.rpartition("_")
    if stem in _HALVED:
        return stem
    return f"{stem}{_SIDES[side]}" if stem and side in _SIDES else name


def split_quads(
    vertices: FloatArray, quads: IntArray, other: IntArray
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Triangles (T, 3) of quads (Q, 4) cut along the shorter diagonal, and of `other` cut alike.

    A fourth corner of -1 makes a triangle. The shorter diagonal cuts both sides of a symmetric
    head alike, which a fixed one does not.
    """
    corners = vertices[quads]
    first = np.linalg.norm(corners[:, 0] - corners[:, 2], axis=-1)
    second = np.linalg.norm(corners[:, 1] - corners[:, 3], axis=-1)
    turned = ((second < first - 1e-4) & (quads[:, 3] >= 0))[:, None]
    start = np.where(turned, [[1, 2, 3]], [[0, 1, 2]])
    end = np.where(turned, [[1, 3, 0]], [[0, 2, 3]])
    keep = np.stack([np.ones(len(quads), bool), quads[:, 3] >= 0], axis=1)
    return tuple(
        np.stack([np.take_along_axis(q, start, 1), np.take_along_axis(q, end, 1)], axis=1)[
            keep
        ].astype(np.int32)
        for q in (quads, other)
    )


def ict_model(
    mean: FloatArray,
    identity: FloatArray,
    expressions: Mapping[str, FloatArray],
    quads: IntArray,
    uv: NDArray[np.float32],
    quads_uv: IntArray,
    landmarks: IntArray | None,
) -> MorphableModel:
    """The model from ICT-FaceKit's arrays, in its own units (cm), names and order.

    Arguments:
        mean: (26719, 3). identity: (K, 26719, 3) offsets of one standard deviation.
        expressions: name -> (26719, 3) offsets.
        quads, quads_uv: (Q, 4) into vertices and `uv` (U, 2); a fourth corner of -1 is a triangle.
        landmarks: (68,) vertices of the iBUG points.
    """
    offsets: dict[str, FloatArray] = {}
    for name, offset in expressions.items():
        target = arkit_name(name)
        if target is not None:
            scaled = offset.astype(np.float32) * MM_PER_UNIT
            offsets[target] = offsets[target] + scaled if target in offsets else scaled
    # Parts have textures of their own, in tiles of the UV plane beside each other.
    uv = uv - np.floor(uv)
    names = [name for name in ARKIT_EXPRESSIONS if name in offsets]
    names += sorted(offsets.keys() - set(names))
    vertices = mean.astype(np.float32) * MM_PER_UNIT
    triangles, uv_triangles = split_quads(vertices, quads, quads_uv)
    index = np.arange(len(vertices))
    return MorphableModel(
        name="ict-facekit",
        licence="MIT",
        mean=vertices,
        triangles=triangles,
        identity=identity.astype(np.float32) * MM_PER_UNIT,
        expression=np.stack([offsets[name] for name in names])
        if names
        else np.zeros((0, *vertices.shape), np.float32),
        expression_names=tuple(names),
        landmarks=None if landmarks is None else np.asarray(landmarks, np.int32),
        uv=uv.astype(np.float32),
        uv_triangles=uv_triangles,
        regions={name: (index >= a) & (index < b) for name, (a, b) in PARTS.items()},
    )


#: The OBJ that makes a folder ICT-FaceKit's.
NEUTRAL = "generic_neutral_mesh.obj"


def read_ict_folder(folder: Path) -> MorphableModel:
    """The released folder ``FaceXModel``: the neutral head, ``identity000.obj`` and on, one OBJ an
    expression, and ``vertex_indices.json`` with the landmarks.

    Raises:
        ModelFileError: files that are missing, damaged or of another topology.
    """
    neutral = _read_obj(folder / NEUTRAL, with_faces=True)
    mean = neutral["v"]
    modes = sorted(folder.glob("identity*.obj"))
    names = {path.stem for path in folder.glob("*.obj")} - {NEUTRAL.removesuffix(".obj")}
    shapes = sorted(names - {path.stem for path in modes})
    unknown = [name for name in shapes if arkit_name(name) not in (*_KNOWN, None)]
    if unknown:
        raise ModelFileError(f"ICT-FaceKit: no expression of it is called {', '.join(unknown)}")

    def offset(path: Path) -> FloatArray:
        vertices = _read_obj(path, with_faces=False)["v"]
        if vertices.shape != mean.shape:
            expected = f"{len(mean)} vertices as in {NEUTRAL}"
            raise ModelFileError(f"{path.name}: {expected} expected, {len(vertices)} found")
        return (vertices - mean).astype(np.float32)

    landmarks = None
    indices = folder / "vertex_indices.json"
    if indices.is_file():
        try:
            landmarks = np.array(json.loads(indices.read_text())["idx_to_landmark_verts"], np.int32)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFileError(f"{indices.name}: no idx_to_landmark_verts: {error}") from None
    return ict_model(
        mean=mean,
        identity=np.stack([offset(path) for path in modes])
        if modes
        else np.zeros((0, *mean.shape)),
        expressions={name: offset(folder / f"{name}.obj") for name in shapes},
        quads=neutral["f"][..., 0],
        uv=neutral["vt"].astype(np.float32),
        quads_uv=neutral["f"][..., 1],
        landmarks=landmarks,
    )


def _read_obj(path: Path, with_faces: bool) -> dict[str, NDArray[Any]]:
    """``v`` (V, 3), and with faces ``vt`` (U, 2) and ``f`` (Q, 4 corners, vertex and UV) from 0.

    A triangle's fourth corner is -1. The vertices' order is kept, which general OBJ readers do not
    promise.
    """
    kept = ("v ", "vt ", "f ") if with_faces else ("v ",)
    lines: dict[str, list[str]] = {key.strip(): [] for key in kept}
    try:
        with path.open() as file:
            for line in file:
                if line.startswith(kept):
                    key, _, rest = line.partition(" ")
                    lines[key].append(rest)
        result: dict[str, NDArray[Any]] = {"v": np.loadtxt(lines["v"], ndmin=2)[:, :3]}
        if result["v"].shape != (VERTICES, 3):
            raise ModelFileError(
                f"{path.name}: ICT-FaceKit has {VERTICES} vertices, this {len(result['v'])}"
            )
        if with_faces:
            result["vt"] = np.loadtxt(lines["vt"], ndmin=2)[:, :2]
            faces = np.full((len(lines["f"]), 4, 2), -1)
            for face, line in zip(faces, lines["f"], strict=True):
                corners = [corner.split("/")[:2] for corner in line.split()]
                face[: len(corners)] = np.array(corners, int) - 1
            counts = (len(result["v"]), len(result["vt"]))
            if not len(faces) or (faces < -1).any() or (faces >= counts).any():
                raise ValueError("faces of vertices that do not exist")
            result["f"] = faces
    except ModelFileError:
        raise
    except (OSError, ValueError, IndexError) as error:
        raise ModelFileError(f"{path.name}: not an OBJ of ICT-FaceKit: {error}") from None
    return result
