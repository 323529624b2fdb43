"""Meshes to the bytes of files: one table of formats over one description of a surface."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.encode import MARK, to_jpeg, to_png
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import encode
from facerelief.glb import GlbFile
from facerelief.normal_png import NormalMap
from facerelief.types import Mesh

if TYPE_CHECKING:
    from trimesh import Trimesh

#: The ending of the base colour's file, after the mesh's name.
TEXTURE = "_texture.jpg"


@dataclass(frozen=True, eq=False)
class Asset:
    """A mesh and what lies on it, in the layout of its texture coordinates; row 0 is v = 1.

    Raises ValueError for pictures on a mesh without texture coordinates, for a normal map that is
    not in tangent space (no viewer could show one of camera space), and for a tint of other
    vertices.
    """

    mesh: Mesh
    base_colour: NDArray[np.uint8] | None = None  # (S, S, 3) sRGB
    normal_map: NormalMap | None = None  # in the frame "tangent"
    #: (V, 3) linear, 255 is 1: what viewers of GLBs multiply the base colour by at each vertex.
    tint: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.tint is not None and self.tint.shape != self.mesh.vertices.shape:
            raise ValueError(f"a tint is {self.mesh.vertices.shape}, not {self.tint.shape}")
        if self.mesh.uv is None and not (self.base_colour is None and self.normal_map is None):
            raise ValueError("a textured mesh needs texture coordinates")
        if self.normal_map is not None and self.normal_map.frame != "tangent":
            raise ValueError(f"a mesh needs a normal map in tangent, not {self.normal_map.frame}")

    @cached_property
    def jpeg(self) -> bytes:
        """The base colour's file. Raises ValueError where there is none."""
        if self.base_colour is None:
            raise ValueError("the mesh has no base colour")
        return to_jpeg(self.base_colour)

    @property
    def vertex_colours(self) -> NDArray[np.uint8] | None:
        """(V, 3) sRGB: the base colour at each vertex, or else the mesh's own."""
        if self.base_colour is not None and self.mesh.uv is not None:
            height, width = self.base_colour.shape[:2]
            places = (self.mesh.uv * (1, -1) + (0, 1)) * (width, height)
            x, y = np.clip(places, 0, (width - 1, height - 1)).astype(int).T
            return self.base_colour[y, x]
        if self.mesh.colours is not None:
            return np.rint(255 * np.clip(self.mesh.colours, 0, 1)).astype(np.uint8)
        return None


def to_glb(asset: Asset, name: str) -> dict[str, bytes]:
    """A binary glTF, in metres, that holds its pictures."""
    file = GlbFile()
    return {f"{name}.glb": file.finished(*put_into(file, asset), MARK["Software"])}


def put_into(file: GlbFile, asset: Asset) -> tuple[dict[str, int], int, dict[str, Any] | None]:
    """What a GLB's mesh consists of, after it was put into the file: attributes, indices, material.

    In metres.
    """
    mesh = asset.mesh
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    normals[~normals.any(axis=1)] = (0, 0, 1)  # of no triangle; glTF wants unit ones
    attributes = {
        "POSITION": file.vertices((mesh.vertices * 1e-3).astype(np.float32), bounds=True),
        "NORMAL": file.vertices(normals.astype(np.float32)),
    }
    material = None
    colours = asset.vertex_colours if mesh.uv is None else asset.tint
    if mesh.uv is not None:
        downwards = (mesh.uv * (1, -1) + (0, 1)).astype(np.float32)
        attributes["TEXCOORD_0"] = file.vertices(downwards)
        material = _material(asset, file)
    if colours is not None:
        opaque = np.full(len(colours), 255, np.uint8)
        attributes["COLOR_0"] = file.vertices(np.column_stack([colours, opaque]))
    return attributes, file.indices(mesh.triangles), material


def _material(asset: Asset, file: GlbFile) -> dict[str, Any]:
    """Skin's, with the pictures put into the file."""
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.8}
    if asset.base_colour is not None:
        surface["baseColorTexture"] = file.texture(asset.jpeg, "jpeg")
    material = {"name": "skin", "doubleSided": True, "pbrMetallicRoughness": surface}
    if asset.normal_map is not None:
        material["normalTexture"] = file.texture(to_png(flattened(asset.normal_map), MARK), "png")
    return material


def to_obj(asset: Asset, name: str) -> dict[str, bytes]:
    """A Wavefront OBJ in millimetres; with a base colour its MTL, and the picture beside it.

    Those two have another name where `name` has what some readers cannot read.
    """
    mesh, textured = asset.mesh, asset.base_colour is not None
    columns = ["v", "vt", "vn"] if mesh.uv is not None else ["v", "vn"]
    colours = None if textured else asset.vertex_colours
    safe = _name_for_loaders(name)
    text = io.StringIO()
    text.write(f"# {MARK['Software']}\n")
    if textured:
        text.write(f"mtllib {safe}.mtl\n")
    _write_rows(text, "v", mesh.vertices, 4, None if colours is None else colours / 255)
    if mesh.uv is not None:
        _write_rows(text, "vt", mesh.uv, 6)
    _write_rows(text, "vn", vertex_normals(mesh.vertices, mesh.triangles), 4)
    if textured:
        text.write("usemtl skin\n")
    corner = "{0}/{0}/{0}" if "vt" in columns else "{0}//{0}"
    text.writelines(
        f"f {' '.join(corner.format(index) for index in triangle)}\n"
        for triangle in (mesh.triangles + 1).tolist()
    )
    files = {f"{name}.obj": text.getvalue().encode()}
    if textured:
        picture = safe + TEXTURE
        skin = f"newmtl skin\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture}\n"
        files |= {f"{safe}.mtl": f"# {MARK['Software']}\n{skin}".encode(), picture: asset.jpeg}
    return files


def to_ply(asset: Asset, name: str) -> dict[str, bytes]:
    """A binary PLY in millimetres, with a colour at every vertex where there is one."""
    from trimesh.exchange.ply import export_ply

    made = _trimesh(asset.mesh, vertex_colors=asset.vertex_colours)
    return {f"{name}.ply": bytes(export_ply(made, vertex_normal=True))}


#: Of an asset and a name: the files of that format, by file name.
Writer = Callable[[Asset, str], dict[str, bytes]]

WRITERS: dict[str, Writer] = {"glb": to_glb, "obj": to_obj, "ply": to_ply}


def _name_for_loaders(name: str) -> str:
    """`name`, or one in its place that every reader of OBJ and MTL takes for one plain word.

    They split lines at spaces, take # for a comment, and differ in what bytes other letters are.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    if plain == name and not name.startswith("-"):  # which begins an option
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[:64].lstrip('-.')}_{digest[:8]}"


def flattened(bumps: NormalMap) -> NDArray[np.uint8]:
    """The pixels (S, S, 3) of normals of tangent space as glTF wants them, flat where is none."""
    pixels = encode(np.where(bumps.mask[..., None], bumps.normals, np.array([0, 0, 1], np.float32)))
    return pixels.astype(np.uint8)


def _write_rows(
    text: io.StringIO, keyword: str, rows: FloatArray, digits: int, more: FloatArray | None = None
) -> None:
    rows = rows if more is None else np.column_stack([rows, more])
    text.writelines(
        f"{keyword} {' '.join(f'{value:.{digits}f}' for value in row)}\n" for row in rows.tolist()
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
