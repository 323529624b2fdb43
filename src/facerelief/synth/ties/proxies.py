"""MakeHuman's proxies: small meshes, such as hair or brows, tied to its base mesh.

A folder holds a mesh (``.obj``), how it hangs on the base mesh (``.mhclo``) and often a texture.
All of it is CC0. The base mesh is in decimetres, x to the subject's left, y up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import RBFInterpolator

from facerelief.arrays import FloatArray, IntArray
from facerelief.synth.ties.binding import spread

#: How to get the assets, for messages.
PUBLISHED = "https://github.com/makehumancommunity/makehuman-assets (CC0)"


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a second set of indices for the texture."""

    vertices: FloatArray  # (V, 3)
    triangles: IntArray  # (T, 3)
    uv: FloatArray  # (U, 2), v upwards
    uv_triangles: IntArray  # (T, 3)


def find_folder(root: Path | str | None) -> Path | None:
    """The folder of MakeHuman's base assets under `root`, or None if there is none.

    Raises:
        FileNotFoundError: `root` is no folder.
    """
    if root is None:
        return None
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is no folder; MakeHuman's assets are published at {PUBLISHED}"
        )
    for folder in (root / "makehuman" / "base", root / "base", root):
        if (folder / "3dobjs" / "base.obj").is_file():
            return folder
    return None


def folders(parent: Path) -> list[Path]:
    """The proxies in a folder, by name; none where it is absent."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if (path / f"{path.name}.obj").is_file())


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
            fans += [[corners[0], b, c] for b, c in itertools.pairwise(corners[1:])]
    if not fans:
        raise ValueError(f"{path} holds no mesh")
    faces = np.array(fans) - 1
    uv = uv or [[0.0, 0.0]]
    return Mesh(np.array(vertices), faces[..., 0], np.array(uv), faces[..., 1])


@dataclass(frozen=True, eq=False)
class Proxy:
    """A mesh whose vertices are mixes of three base vertices plus an offset."""

    mesh: Mesh  # its vertices as they hang on the base that it was read with
    corners: IntArray  # (V, 3) base vertices
    weights: FloatArray  # (V, 3)
    offset: FloatArray  # (V, 3) in the base's units


def read_proxy(folder: Path, base: FloatArray) -> Proxy:
    """The proxy in `folder` as it hangs on the base mesh `base` (V, 3), in whatever units.

    Its file gives offsets in units of the distance between two base vertices along each axis.

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
            # A line with a single number is a vertex of the base itself.
            rows.append(numbers if len(numbers) >= 9 else [numbers[0]] * 3 + [1] + [0] * 5)
        elif rows:
            in_table = False
    if len(rows) != len(mesh.vertices):
        raise ValueError(f"{path} binds {len(rows)} vertices, its mesh has {len(mesh.vertices)}")
    table = np.array([row[:9] for row in rows])
    corners, weights, offset = table[:, :3].astype(int), table[:, 3:6], table[:, 6:] * scale
    vertices = np.einsum("vc,vcd->vd", weights, base[corners]) + offset
    return Proxy(replace(mesh, vertices=vertices), corners, weights, offset)


def base_on_head(base: FloatArray, mean: FloatArray, of_base: IntArray) -> FloatArray:
    """(B, 3) the base mesh in a head's space (mm): its vertices where the head has them.

    The others, such as the shoulders, go where a smooth map of space takes them.

    Args:
        base: (B, 3) the base mesh as published.
        mean: (V, 3) the head's mean.
        of_base: (V,) the base vertex of each, -1 for none.
    """
    known = np.flatnonzero(of_base >= 0)
    ties = known[spread(mean[known].astype(float), 300)]
    spline = RBFInterpolator(base[of_base[ties]], mean[ties], kernel="linear", degree=1)
    result: FloatArray = spline(base)
    result[of_base[known]] = mean[known]
    return result


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
