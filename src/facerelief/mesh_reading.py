"""Meshes that people have: OBJ, PLY and glTF files, which nobody vouches for."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.arrays import FloatArray
from facerelief.geometry.normals import decode
from facerelief.mesh_writing import Asset
from facerelief.normal_png import NormalMap
from facerelief.types import Mesh

SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
METRE = 1000.0  # millimetres: glTF has metres, the others no unit


class MeshError(ValueError):
    """An input that is no usable mesh; its text is one line that names the input."""


def read_mesh(path: str | os.PathLike[str]) -> Mesh:
    """The mesh of an OBJ, PLY, GLB or glTF file: see `read_asset`."""
    return read_asset(path).mesh


def read_asset(path: str | os.PathLike[str]) -> Asset:
    """The mesh of a file, with its texture coordinates, vertex colours, texture and normal map.

    OBJ and PLY are taken for millimetres, glTF is in metres. Vertices keep their order; an OBJ's
    that have several texture coordinates get copies behind all others. Several meshes of one file
    become one, each where the scene puts it, and the first texture is the texture of all.

    Raises MeshError where there is no mesh to be had: a missing, broken or foreign file, no
    triangles, vertices that are not finite.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise MeshError(f"{path}: no such file")
    if suffix not in SUFFIXES:
        raise MeshError(f"{path}: not a mesh; what can be read ends in {', '.join(SUFFIXES)}")
    try:
        if not path.stat().st_size:
            raise ValueError("an empty file")
        asset = _read_obj(path) if suffix == ".obj" else _read_others(path)
        _check(asset.mesh)
        return asset
    except OSError as error:
        raise MeshError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a format's reader may raise anything on broken data
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise MeshError(f"{path}: not a mesh that can be read ({reason})") from None


def _check(mesh: Mesh) -> None:
    """Raise ValueError, saying what is wrong, unless there is something to work with."""
    if not len(mesh.triangles):
        raise ValueError("no triangles")
    if mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.vertices):
        raise ValueError("triangles of vertices that it does not have")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("vertices that are not finite")


def _read_others(path: Path) -> Asset:
    """By trimesh, which takes an OBJ's vertices apart and so is not asked for one."""
    import trimesh

    scene = trimesh.load_scene(path, process=False)
    meshes = [one for one in scene.dump() if isinstance(one, trimesh.Trimesh)]
    if not meshes:
        raise ValueError("no triangles")
    loaded: Any = meshes[0] if len(meshes) == 1 else trimesh.util.concatenate(meshes)
    look, unit = loaded.visual, 1.0 if path.suffix.lower() == ".ply" else METRE
    uv = getattr(look, "uv", None)
    mesh = Mesh(
        np.asarray(loaded.vertices, np.float64) * unit,
        np.asarray(loaded.faces),
        uv=None if uv is None else np.asarray(uv, np.float64),
        colours=np.asarray(look.vertex_colors)[:, :3] / 255 if look.kind == "vertex" else None,
    )
    if mesh.uv is None:
        return Asset(mesh)
    material = look.material
    shown = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    bumps = getattr(material, "normalTexture", None)
    return Asset(
        mesh,
        None if shown is None else _pixels(shown),
        None if bumps is None else _normal_map(_pixels(bumps)),
    )


def _read_obj(path: Path) -> Asset:
    """Polygons become fans of triangles; the texture is that of the first material with one."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    fans: list[list[tuple[int, int]]] = []
    library = ""
    known: dict[str, tuple[int, int]] = {}  # corners come six times each

    def corner(text: str) -> tuple[int, int]:
        found = known.get(text)
        if found is None:
            found = _corner(text, len(vertices), len(uv))
            if "-" not in text:  # else it counts from where it stands
                known[text] = found
        return found

    for line in path.read_text(errors="replace").splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in rest[:6]])
        elif kind == "vt":
            uv.append([float(value) for value in rest[:2]])
        elif kind == "f":
            first, *others = map(corner, rest)
            fans += [[first, b, c] for b, c in pairwise(others)]
        elif kind == "mtllib":
            library = line.partition("mtllib")[2].strip()
    if not fans:
        raise ValueError("no triangles")
    rows = np.array(vertices).reshape(len(vertices), -1)  # raises where they differ in length
    corners = np.array(fans, np.int64).reshape(-1, 3, 2)
    mesh = Mesh(rows[:, :3], corners[..., 0], colours=rows[:, 3:] if rows.shape[1] == 6 else None)
    _check(mesh)
    if not uv or corners[..., 1].min() < 0:
        return Asset(mesh)
    return Asset(_with_uv(mesh, corners[..., 1], np.array(uv)), _texture_of(path, library))


def _corner(text: str, vertices: int, uv: int) -> tuple[int, int]:
    """Indices of vertex and texture coordinates, counted from 0, of "v", "v/vt" or "v/vt/vn".

    Negative ones count back from the last so far; -1 is no texture coordinates.
    """
    vertex, place = (int(part or 0) for part in f"{text}/".split("/")[:2])
    return (
        vertex + vertices if vertex < 0 else vertex - 1,
        place + uv if place < 0 else place - 1,
    )


def _with_uv(mesh: Mesh, places: NDArray[np.int64], uv: FloatArray) -> Mesh:
    """`mesh` with the texture coordinates uv[places] at its corners; `places` is (T, 3)."""
    span = max(len(uv), int(places.max()) + 1)
    used = mesh.triangles.astype(np.int64) * span + places  # numbers sort faster than pairs
    numbers, corner = np.unique(used, return_inverse=True)
    pairs = np.stack(np.divmod(numbers, span), axis=-1)
    copied = np.r_[False, pairs[1:, 0] == pairs[:-1, 0]]  # sorted: the first of each stays
    count = len(mesh.vertices)
    index = np.where(copied, count + np.cumsum(copied) - 1, pairs[:, 0])
    source = np.r_[np.arange(count), pairs[copied, 0]]
    own = np.zeros((len(source), 2))
    own[index] = uv[pairs[:, 1]]
    colours = None if mesh.colours is None else mesh.colours[source]
    triangles = index[corner.reshape(-1, 3)]
    return Mesh(mesh.vertices[source], triangles, uv=own, colours=colours)


def _texture_of(path: Path, library: str) -> NDArray[np.uint8] | None:
    """The picture that the OBJ's material library names; None where either is not beside it."""
    materials = _beside(path, library)
    if materials is None:
        return None
    for line in materials.read_text(errors="replace").splitlines():
        if line.split()[:1] == ["map_Kd"]:
            picture = _beside(path, line.partition("map_Kd")[2].strip())
            if picture is None:
                return None
            with Image.open(picture) as image:
                return _pixels(image)
    return None


def _beside(path: Path, name: str) -> Path | None:
    """The file `name` in the folder of `path` or below, if there is one."""
    folder = path.parent.resolve()
    file = (folder / name.replace("\\", "/")).resolve()
    return file if file.is_file() and file.is_relative_to(folder) else None


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image.convert("RGB"))


def _normal_map(pixels: NDArray[np.uint8]) -> NormalMap:
    return NormalMap(decode(pixels), np.ones(pixels.shape[:2], np.bool_), "tangent", 8)
