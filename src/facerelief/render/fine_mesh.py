"""Parts of a scene as meshes fine enough to carry their displacement, in camera space."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.mesh import vertex_normals
from facerelief.render.scene import Part, Scene

_MOST_LEVELS = 3  # 64 triangles for one


@dataclass(frozen=True, eq=False)
class FineMesh:
    """A subdivided, displaced mesh. One vertex has one texture coordinate: seams are split."""

    part: Part
    vertices: FloatArray  # (V, 3) mm, camera space
    normals: FloatArray  # (V, 3) unit, of the displaced surface
    smooth: FloatArray  # (V, 3) unit, of the surface without displacement
    uv: FloatArray  # (V, 2)
    triangles: IntArray  # (T, 3)


def fine_mesh(part: Part, scene: Scene) -> FineMesh:
    """`part` in camera space; where it is displaced, with triangles about as small as pixels.

    The base mesh stays as it is; displacement d moves a vertex by d along its smooth normal, and
    the normal of the new surface is n - grad d, exact to first order in the slope (J. Blinn,
    "Simulation of wrinkled surfaces", SIGGRAPH 1978).
    """
    rotation = np.asarray(scene.rotation, np.float64)
    vertices: FloatArray = part.vertices @ rotation.T + np.asarray(scene.translation, np.float64)
    triangles: IntArray = part.triangles
    uv: FloatArray = part.uv.astype(np.float64)
    uv_triangles: IntArray = part.uv_triangles
    smooth = vertex_normals(vertices, triangles)
    relief = part.material.displacement
    displaced, normals = vertices, smooth
    if relief is not None:
        for _ in range(_levels(vertices, triangles, scene)):
            middles, finer = _halved(triangles, len(vertices))
            vertices = _with_middles(vertices, middles)
            smooth = _unit(_with_middles(smooth, middles))
            triangles = finer
            middles, finer = _halved(uv_triangles, len(uv))
            uv, uv_triangles = _with_middles(uv, middles), finer
        height = _displacement(relief, len(vertices), triangles, uv, uv_triangles)
        displaced = vertices + smooth * height[:, None]
        normals = _unit(smooth - _tangent(_gradient(height, vertices, triangles), smooth))
    pairs, index = np.unique(
        triangles.ravel() * np.int64(len(uv)) + uv_triangles.ravel(), return_inverse=True
    )
    vertex, texture = np.divmod(pairs, len(uv))
    return FineMesh(
        part, displaced[vertex], normals[vertex], smooth[vertex], uv[texture], index.reshape(-1, 3)
    )


def _levels(vertices: FloatArray, triangles: IntArray, scene: Scene) -> int:
    """How often to halve the edges until most are at most a pixel long."""
    a, b = vertices[triangles[:, 0]], vertices[triangles[:, 1]]
    pixels = np.median(np.linalg.norm(a - b, axis=1) / np.maximum(-a[:, 2], 1)) * scene.camera.focal
    return min(max(ceil(log2(max(float(pixels), 1))), 0), _MOST_LEVELS)


def _halved(triangles: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """The edges (E, 2) to put vertices on, numbered from `count`, and four for each triangle.

    The new triangles are in an order that depends on the old triangles' order alone.
    """
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    keys, index = np.unique(edges[:, 0] * np.int64(count) + edges[:, 1], return_inverse=True)
    middles = np.stack(np.divmod(keys, count), 1)
    a, b, c = triangles.T
    ab, bc, ca = count + index.reshape(-1, 3).T
    rows = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return middles, np.stack([np.stack(row, 1) for row in rows], 1).reshape(-1, 3)


def _with_middles(values: FloatArray, middles: IntArray) -> FloatArray:
    return np.concatenate([values, values[middles].mean(1)])


def _displacement(
    relief: NDArray[np.float32],
    count: int,
    triangles: IntArray,
    uv: FloatArray,
    uv_triangles: IntArray,
) -> FloatArray:
    """(count,) mm at the vertices: the map averaged over what a vertex stands for."""
    edges = np.linalg.norm(uv[uv_triangles[:, 0]] - uv[uv_triangles[:, 1]], axis=1)
    factor = int(np.clip(round(float(np.median(edges)) * len(relief)), 1, 8))
    rows, columns = (side // factor for side in relief.shape)
    means = relief[: rows * factor, : columns * factor]
    means = means.reshape(rows, factor, columns, factor).mean((1, 3))
    # Vertices on a seam have several places in the texture: the mean of what is there.
    read = bilinear(means[..., None], uv)[:, 0][uv_triangles.ravel()]
    total = np.bincount(triangles.ravel(), read, minlength=count)
    return total / np.maximum(np.bincount(triangles.ravel(), minlength=count), 1)


def bilinear(texture: FloatArray, uv: FloatArray) -> FloatArray:
    """(N, C) values of a `texture` (H, W, C), row 0 at v = 1, at `uv` (N, 2); edges repeat."""
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    shares = (x - left)[:, None], (y - top)[:, None]
    columns = np.clip([left, left + 1], 0, width - 1)
    rows = np.clip([top, top + 1], 0, height - 1)
    above, below = (
        texture[row, columns[0]] * (1 - shares[0]) + texture[row, columns[1]] * shares[0]
        for row in rows
    )
    return above * (1 - shares[1]) + below * shares[1]


def _gradient(height: FloatArray, vertices: FloatArray, triangles: IntArray) -> FloatArray:
    """(V, 3) slope of `height` (V,) along the surface, averaged over areas round a vertex."""
    a, b, c = (vertices[corner] for corner in triangles.T)
    normal = np.cross(b - a, c - a)
    double = np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    ha, hb, hc = (height[corner][:, None] for corner in triangles.T)
    # Area times gradient; the gradient is the sum of heights times rotated opposite edges.
    slope = np.cross(normal / double, ha * (c - b) + hb * (a - c) + hc * (b - a))
    total, area = np.zeros_like(vertices), np.zeros(len(vertices))
    for corner in triangles.T:
        area += np.bincount(corner, double[:, 0], minlength=len(vertices))
        for axis in range(3):
            total[:, axis] += np.bincount(corner, slope[:, axis], minlength=len(vertices))
    return total / np.maximum(area, 1e-12)[:, None]


def _tangent(vectors: FloatArray, normals: FloatArray) -> FloatArray:
    return vectors - (vectors * normals).sum(1, keepdims=True) * normals


def _unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
