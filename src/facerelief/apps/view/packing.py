"""Arrays and meshes as text for a page: quantised, differenced, deflated, in base64.

`assets/data.js` undoes it.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.types import Mesh

#: A page holds no larger mesh; what is larger is made coarser.
MOST_VERTICES, MOST_TRIANGLES = 65_000, 130_000
_STEPS = 65535


def to_uri(content: bytes, kind: str) -> str:
    """A picture's file as a data: address."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def packed(values: NDArray[np.unsignedinteger[Any]]) -> dict[str, Any]:
    """Unsigned integers (N, C) of 16 or 32 bits, for `unpacked` of data.js.

    Columns one after the other, each as differences from row to row modulo the type's range, their
    lowest bytes first, then the next: neighbours are alike, so most of those bytes are.
    """
    first = np.zeros((1, values.shape[1]), values.dtype)
    steps = np.diff(values, axis=0, prepend=first)
    planes = np.ascontiguousarray(steps.T).astype(steps.dtype.newbyteorder("<"))
    parts = planes.view(np.uint8).reshape(-1, values.itemsize).T
    text = b64encode(zlib.compress(parts.tobytes(), 9)).decode()
    return {"rows": len(values), "columns": values.shape[1], "bytes": values.itemsize, "data": text}


def quantised(values: NDArray[Any], low: NDArray[Any], span: float) -> NDArray[np.uint16]:
    """(N, C) in steps of span / 65535 from `low` (C,) on."""
    return np.rint(np.clip((values - low) / span, 0, 1) * _STEPS).astype(np.uint16)


def pack_mesh(mesh: Mesh) -> dict[str, Any]:
    """Vertices, triangles and texture coordinates; what is too large for a page is made coarser."""
    mesh = coarser(mesh)
    vertices = np.asarray(mesh.vertices, np.float64)
    low = vertices.min(axis=0)
    span = max(float((vertices.max(axis=0) - low).max()), 1e-9)
    kind = np.uint16 if len(vertices) <= _STEPS + 1 else np.uint32
    made: dict[str, Any] = {
        "low": low.tolist(),
        "span": span,
        "vertices": packed(quantised(vertices, low, span)),
        "triangles": packed(mesh.triangles.astype(kind)),
    }
    if mesh.uv is not None:
        uv = np.asarray(mesh.uv, np.float64)
        corner = uv.min(axis=0)
        size = max(float((uv.max(axis=0) - corner).max()), 1e-9)
        made |= {"uvLow": corner.tolist(), "uvSpan": size}
        made["uv"] = packed(quantised(uv, corner, size))
    if mesh.colours is not None:
        made["colours"] = packed(quantised(np.asarray(mesh.colours), np.zeros(3), 1.0))
    return made


def coarser(mesh: Mesh) -> Mesh:
    """`mesh` if a page can hold it; else with vertices joined that share a cell of a grid.

    Cells are cubes in space, and where there is a texture in its layout too, so that seams stay.
    Each cell's first vertex stands for all (Rossignac & Borrel 1993, vertex clustering); triangles
    within one cell or between two are gone. The grid grows until the rest fits.
    """
    cells = 160.0
    while len(mesh.vertices) > MOST_VERTICES or len(mesh.triangles) > MOST_TRIANGLES:
        mesh = _clustered(mesh, cells)
        cells /= 1.25
    return mesh


def _clustered(mesh: Mesh, cells: float) -> Mesh:
    keys = [_cells(np.asarray(mesh.vertices, np.float64), cells)]
    if mesh.uv is not None:
        keys.append(_cells(np.asarray(mesh.uv, np.float64), cells / 4))
    _, first, owner = np.unique(
        np.concatenate(keys, axis=1), axis=0, return_index=True, return_inverse=True
    )
    triangles = owner.reshape(-1)[mesh.triangles]
    rest = np.sort(triangles, axis=1)
    whole = (rest[:, 0] != rest[:, 1]) & (rest[:, 1] != rest[:, 2])
    _, kept = np.unique(rest[whole], axis=0, return_index=True)
    triangles = triangles[whole][np.sort(kept)]
    used, triangles = np.unique(triangles, return_inverse=True)
    chosen = first[used]
    parts = [None if values is None else values[chosen] for values in (mesh.uv, mesh.colours)]
    return Mesh(mesh.vertices[chosen], triangles.reshape(-1, 3), uv=parts[0], colours=parts[1])


def _cells(values: NDArray[np.float64], count: float) -> NDArray[np.int64]:
    low = values.min(axis=0)
    span = max(float((values.max(axis=0) - low).max()), 1e-12)
    return np.floor((values - low) / span * count).astype(np.int64)
