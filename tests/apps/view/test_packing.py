import base64
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerelief.apps.view.packing import (
    MOST_TRIANGLES,
    MOST_VERTICES,
    coarser,
    pack_mesh,
    packed,
    quantised,
)
from facerelief.types import Mesh


def unpacked(said: dict[str, Any]) -> NDArray[Any]:
    """The obvious twin of data.js: number by number."""
    data = zlib.decompress(base64.b64decode(said["data"]))
    rows, columns, size = said["rows"], said["columns"], said["bytes"]
    values = np.zeros((rows, columns), np.int64)
    for column in range(columns):
        total = 0
        for row in range(rows):
            at = column * rows + row
            step = sum(data[part * rows * columns + at] << (8 * part) for part in range(size))
            total = (total + step) % 256**size
            values[row, column] = total
    return values


@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
def test_what_is_packed_is_read_again(kind: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (50, 3)).astype(kind)
    said = packed(values)
    assert said["bytes"] == np.dtype(kind).itemsize
    assert (unpacked(said) == values).all()


def test_neighbours_that_are_alike_take_little() -> None:
    ramp = np.arange(30_000, dtype=np.uint16)[:, None] * np.array([1, 2], np.uint16)
    assert len(packed(ramp)["data"]) < 0.02 * ramp.nbytes


def sheet(side: int, with_uv: bool = True) -> Mesh:
    """A wavy square of side x side vertices."""
    u, v = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    vertices = np.stack([200 * u, 200 * v, 20 * np.sin(6 * u)], -1).reshape(-1, 3)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], -1),
            np.stack([corner + 1, corner + side + 1, corner + side], -1),
        ]
    )
    uv = np.stack([u, v], -1).reshape(-1, 2) if with_uv else None
    return Mesh(vertices, triangles, uv=uv)


def test_a_mesh_comes_back_to_within_its_steps() -> None:
    mesh = sheet(40)
    said = pack_mesh(mesh)
    vertices = np.array(said["low"]) + unpacked(said["vertices"]) / 65535 * said["span"]
    assert np.abs(vertices - mesh.vertices).max() <= said["span"] / 65535 / 2 * 1.01
    assert (unpacked(said["triangles"]) == mesh.triangles).all()
    assert mesh.uv is not None
    uv = np.array(said["uvLow"]) + unpacked(said["uv"]) / 65535 * said["uvSpan"]
    assert np.abs(uv - mesh.uv).max() < 1e-5


def test_what_lies_outside_is_clipped() -> None:
    assert quantised(np.array([[-1.0], [0.5], [2.0]]), np.zeros(1), 1.0).ravel().tolist() == [
        0,
        32768,
        65535,
    ]


@pytest.mark.parametrize("with_uv", [True, False])
def test_millions_of_triangles_are_made_fewer(with_uv: bool) -> None:
    mesh = sheet(1100, with_uv)
    assert len(mesh.triangles) > 2_000_000
    small = coarser(mesh)
    assert 5_000 < len(small.triangles) <= MOST_TRIANGLES
    assert len(small.vertices) <= MOST_VERTICES
    assert small.triangles.max() == len(small.vertices) - 1
    # It is the same surface still: every vertex is one of the old ones, and area is kept.
    corners = small.vertices[small.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    whole = np.linalg.norm(areas, axis=1).sum() / 2
    assert whole == pytest.approx(200 * 200 * 1.08, rel=0.08)
    facing = areas[:, 2] > 0
    assert facing.mean() > 0.99


def test_a_small_mesh_stays_as_it_is() -> None:
    mesh = sheet(20)
    assert coarser(mesh) is mesh
