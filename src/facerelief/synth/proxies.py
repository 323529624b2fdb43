"""MakeHuman's proxies: small meshes, such as hair or brows, tied to its base mesh.

A folder holds a mesh (``.obj``), how it hangs on the base mesh (``.mhclo``) and often a texture.
All of it is CC0. Coordinates are the base mesh's: decimetres, x to the subject's left, y up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]

#: How to get the assets, for messages.
PUBLISHED = "https://github.com/makehumancommunity/makehuman-assets (CC0)"


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a second set of indices for the texture."""

    vertices: FloatArray  # (V, 3)
    triangles: IntArray  # (T, 3)
    uv: FloatArray  # (U, 2), v upwards
    uv_triangles: IntArray  # (T, 3)


def asset_folder(root: Path | str) -> Path:
    """The folder of MakeHuman's base assets under `root`.

    Raises:
        FileNotFoundError: there is none; the message says where they are published.
    """
    root = Path(root)
    for folder in (root / "makehuman" / "base", root / "base", root):
        if (folder / "3dobjs" / "base.obj").is_file():
            return folder
    raise FileNotFoundError(
        f"{root} holds no MakeHuman assets (makehuman/base/3dobjs/base.obj); get them from "
        f"{PUBLISHED}, or leave the folder out for procedural hair, brows and eyes"
    )


def read_obj(path: Path) -> Mesh:
    """A Wavefront OBJ file; polygons become fans of triangles.

    Raises:
        FileNotFoundError: the file is missing; the message says where it is published.
        ValueError: no mesh is in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it is published at {PUBLISHED}")
    vertices, uv, fans = [], [], []
    for line in path.read_text(errors="replace").splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif kind == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif kind == "f":
            corners = [[int(i or 1) for i in (c + "/1").split("/")[:2]] for c in rest]
            fans += [[corners[0], b, c] for b, c in zip(corners[1:], corners[2:], strict=False)]
    if not fans:
        raise ValueError(f"{path} holds no mesh")
    faces = np.array(fans) - 1
    uv = uv or [[0.0, 0.0]]
    return Mesh(np.array(vertices), faces[..., 0], np.array(uv), faces[..., 1])


def read_proxy(folder: Path, base: FloatArray) -> Mesh:
    """The proxy in `folder` as it hangs on the base mesh `base` (V, 3).

    Every vertex is a mix of three base vertices plus an offset, which is given in units of the
    distance between two base vertices along each axis; or it is one base vertex.

    Raises:
        FileNotFoundError: a file is missing; the message says where it is published.
        ValueError: the binding does not fit the mesh.
    """
    mesh = read_obj(folder / f"{folder.name}.obj")
    path = folder / f"{folder.name}.mhclo"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it is published at {PUBLISHED}")
    scale = np.ones(3)
    rows: list[list[float]] = []
    in_table = False
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            axis = "xyz".index(words[0][0])
            low, high = (base[int(i), axis] for i in words[1:3])
            scale[axis] = abs(low - high) / float(words[3])
        elif words[0] == "verts":
            in_table = True
        elif in_table and words[0].isdigit():
            numbers = [float(x) for x in words]
            rows.append(numbers if len(numbers) >= 9 else [numbers[0]] * 3 + [1] + [0] * 5)
        elif rows:
            in_table = False
    if len(rows) != len(mesh.vertices):
        raise ValueError(
            f"{path} binds {len(rows)} vertices, its mesh has {len(mesh.vertices)}"
        )
    table = np.array([row[:9] for row in rows])
    corners = base[table[:, :3].astype(int)]  # (V, 3 corners, 3)
    vertices = np.einsum("vc,vcd->vd", table[:, 3:6], corners) + table[:, 6:] * scale
    return Mesh(vertices, mesh.triangles, mesh.uv, mesh.uv_triangles)


def read_texture(path: Path, size: int) -> NDArray[np.uint8]:
    """(size, size, 4) RGBA, or smaller where the picture is.

    Raises:
        FileNotFoundError: the file is missing; the message says where it is published.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it is published at {PUBLISHED}")
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    if picture.width > size:
        # Premultiplied, so that the colour of holes does not bleed into the fringes.
        picture = picture.convert("RGBa").resize((size, size), Image.Resampling.BOX)
        picture = picture.convert("RGBA")
    return np.asarray(picture)
