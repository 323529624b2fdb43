"""Brows and lashes: MakeHuman's, and simple lashes that need no assets.

They are decals: they only colour what is behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from facerelief.arrays import FloatArray, IntArray
from facerelief.render.scene import Kind, Material, Part
from facerelief.synth.hair.strands import HairColour, packed_table
from facerelief.synth.ties import proxies
from facerelief.synth.ties.binding import SurfaceBinding
from facerelief.synth.ties.wearer import Wearer

_TEXTURE = 256
_LIFT = 0.4  # mm that brows lie over the skin


@dataclass(frozen=True, eq=False)
class Decal:
    """Brows or lashes that follow the skin."""

    name: str
    kind: Kind
    triangles: NDArray[np.int32]
    uv: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]
    alpha: NDArray[np.uint8]  # (H, W)
    binding: SurfaceBinding | LashBinding

    def draw(
        self, g: np.random.Generator, vertices: FloatArray, colour: HairColour, strength: float
    ) -> Part:
        """It on the head with `vertices`, its opacity times `strength`."""
        shade = np.rint(255 * np.clip(colour.shade * g.uniform(0.9, 1.1), 0, 1))
        opacity = (np.arange(256) * min(strength, 1.0)).astype(np.uint8)
        table = packed_table(shade.astype(np.uint8), opacity)
        texture = table.take(self.alpha).view(np.uint8).reshape(*self.alpha.shape, 4)
        return Part(
            self.kind,
            self.binding(vertices),
            self.triangles,
            self.uv,
            self.uv_triangles,
            Material(texture, specular=0.02, roughness=0.7),
        )


@dataclass(frozen=True, eq=False)
class LashBinding:
    """MakeHuman's own ties: lashes hang on vertices that the head keeps for them."""

    corners: IntArray  # (P, 3) vertices of the head
    weights: NDArray[np.float32]  # (P, 3)
    offset: NDArray[np.float32]  # (P, 3) mm

    def __call__(self, vertices: FloatArray) -> NDArray[np.float32]:
        """(P, 3) on the head with these `vertices` (V, 3)."""
        mixed = np.einsum("pc,pcd->pd", self.weights, vertices[self.corners]) + self.offset
        return mixed.astype(np.float32)


def load_brows(folder: Path, base: FloatArray, wearer: Wearer) -> Decal:
    """MakeHuman's brows in `folder`, pressed on the skin; `base` is its mesh on the mean head.

    Raises:
        FileNotFoundError: a file is missing; the message says where it is published.
    """
    mesh = proxies.read_proxy(folder, base).mesh
    for _ in range(2):  # finer, so that straight edges do not cut through the forehead
        mesh = _finer(mesh)
    mean = wearer.head.mean.astype(np.float64)
    binding = SurfaceBinding.bind(mesh.vertices, mean, wearer.skin_triangles)
    binding.offset[:] = (0, 0, _LIFT)
    return _decal(folder, "brow", mesh, binding)


def load_lashes(folder: Path, base: FloatArray, wearer: Wearer, of_base: IntArray) -> Decal | None:
    """MakeHuman's lashes in `folder`, or None where the head keeps no vertices for them.

    Args:
        folder: of the proxy.
        base: (B, 3) MakeHuman's mesh on the mean head.
        wearer: the head.
        of_base: (V,) the base vertex of each vertex of the head, -1 for none.

    Raises:
        FileNotFoundError: a file is missing; the message says where it is published.
    """
    proxy = proxies.read_proxy(folder, base)
    own = np.full(len(base), -1)
    own[of_base[of_base >= 0]] = np.flatnonzero(of_base >= 0)
    corners = own[proxy.corners]
    if (corners < 0).any():
        return None
    binding = LashBinding(
        corners, proxy.weights.astype(np.float32), proxy.offset.astype(np.float32)
    )
    return _decal(folder, "lash", proxy.mesh, binding)


def _decal(
    folder: Path, kind: Kind, mesh: proxies.Mesh, binding: SurfaceBinding | LashBinding
) -> Decal:
    return Decal(
        folder.name,
        kind,
        mesh.triangles.astype(np.int32),
        mesh.uv.astype(np.float32),
        mesh.uv_triangles.astype(np.int32),
        proxies.read_texture(folder / f"{folder.name}.png", _TEXTURE)[..., 3],
        binding,
    )


def _finer(mesh: proxies.Mesh) -> proxies.Mesh:
    """Every triangle cut into four at the middles of its edges."""
    vertices, triangles = _cut(mesh.vertices, mesh.triangles)
    uv, uv_triangles = _cut(mesh.uv, mesh.uv_triangles)
    return proxies.Mesh(vertices, triangles, uv, uv_triangles)


def _cut(values: FloatArray, triangles: IntArray) -> tuple[FloatArray, IntArray]:
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = which.reshape(-1, 3).T + len(values)
    a, b, c = triangles.T
    four = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    middles = values[unique].mean(axis=1)
    return np.concatenate([values, middles]), np.concatenate([np.stack(t, 1) for t in four])


def simple_lashes(wearer: Wearer) -> Decal:
    """Strips of lashes along the lids, from the landmarks around the eyes."""
    landmarks = wearer.head.marks
    mean = wearer.head.mean.astype(np.float64)
    points: list[FloatArray] = []
    anchors, uv, triangles = [], [], []
    # Along each lid from corner to corner; how long the lashes are, mm, and where they point.
    lids = (
        ((36, 37, 38, 39), 7.0, (-0.25, 0.5, 0.85)),
        ((42, 43, 44, 45), 7.0, (0.25, 0.5, 0.85)),
        ((36, 41, 40, 39), 3.5, (-0.2, -0.5, 0.85)),
        ((42, 47, 46, 45), 3.5, (0.2, -0.5, 0.85)),
    )
    count = 12
    for marks, length, direction in lids:
        knots = mean[landmarks[list(marks)]]
        t = np.linspace(0.06, 2.94, count)
        roots = CubicSpline(range(4), knots)(t)
        tips = roots + length * np.array(direction) / np.linalg.norm(direction)
        first = len(points) * 2 * count
        for v in (0.0, 1.0):
            uv.append(np.stack([np.linspace(0, 1, count), np.full(count, v)], axis=1))
            anchors.append(roots)
        points.append(np.concatenate([roots, tips]))
        i = first + np.arange(count - 1)
        quad = (i, i + 1, i + count, i + count + 1)
        triangles += [np.stack(quad[:3], 1), np.stack((quad[1], quad[3], quad[2]), 1)]
    binding = SurfaceBinding.bind(
        np.concatenate(points), mean, wearer.skin_triangles, np.concatenate(anchors)
    )
    mesh = np.concatenate(triangles).astype(np.int32)
    g = np.random.default_rng(3)
    height = np.linspace(1, 0, 32)[:, None]
    reach = np.repeat(g.uniform(0.5, 1.0, 48), 4)[None]
    across = np.abs(np.arange(192) % 4 - 1.5)[None] / 2
    width = 0.9 * (1 - height / reach)
    alpha = np.clip((width - across) * 3, 0, 1) * (height < reach)
    return Decal(
        "simple",
        "lash",
        mesh,
        np.concatenate(uv).astype(np.float32),
        mesh,
        (alpha * 255).astype(np.uint8),
        binding,
    )
