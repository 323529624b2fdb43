"""What follows from a face's relief: a finer mesh that has it, and a normal map of what is left.

Normal maps are those of glTF: in tangent space, green up in the picture, T along u, B = N x T, and
N, T between vertices as they are at these (https://registry.khronos.org/glTF, section 3.9.3).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.detail import Detail, smooth_surface
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.landmark_schemes import topology_mesh
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import dot, normalise
from facerelief.geometry.refined_mesh import refined, refined_layout
from facerelief.geometry.uv import UVLayout
from facerelief.normal_png import NormalMap
from facerelief.types import Face, Mesh


class DetailedFace:
    """A face and its relief.

    Raises ValueError for a face without a shape.

    Attributes:
        mesh: the face's own, smooth.
        displaced: with every triangle cut in four and the relief in its vertices; the first of
            these are those of `mesh`, moved.
        invented: (V,) which vertices of `displaced` are from the other side: in the relief, or, as
            `Shape.invented` has it, because the photo does not show them.
    """

    def __init__(self, face: Face, detail: Detail) -> None:
        self.face, self.detail = face, detail
        self.mesh = face.need_shape("detail").mesh
        self._topology = str(self.mesh.topology)
        part, cut = topology_mesh(self._topology), refined(self._topology)
        uv = cut.linear(part.uv)
        surface = smooth_surface(self._topology, self.mesh.vertices)
        by = sample_texture(detail.displacement[..., None], uv)[:, 0]
        moved = surface.unfolded(by) if by.any() else surface.vertices
        self._by = ((moved - surface.vertices) * surface.directions).sum(-1)
        mirrored = sample_texture(detail.invented[..., None].astype(np.float32), uv)[:, 0]
        hidden = cut.linear(face.need_shape("detail").invented.astype(np.float32))
        self.invented: BoolArray = np.maximum(mirrored, hidden) > 0.5
        self.displaced = Mesh(moved.astype(np.float32), cut.triangles, uv=uv, scale=self.mesh.scale)

    @cached_property
    def normals(self) -> NDArray[np.floating]:
        """(S, S, 3) unit, of the detailed surface in the mesh's space; zero off the face.

        Those of `displaced`, and what its vertices cannot hold of the relief.
        """
        size, fine = len(self.detail.displacement), self.displaced
        normals = vertex_normals(fine.vertices, fine.triangles)
        across, up = self._fine_tangents
        maps = self._written(np.concatenate([normals, across, up, self._by[:, None]], axis=1))
        normals, across, up = (maps[..., 3 * i : 3 * i + 3] for i in range(3))
        rest = np.where(self._layout.mask, self.detail.displacement - maps[..., -1], 0)
        turned = normalise(normalise(normals) - _gradient(rest * size, across, up))
        return np.where(self._layout.mask[..., None], turned, 0)

    @cached_property
    def _fine_tangents(self) -> tuple[FloatArray, FloatArray]:
        return tangents_of(self.displaced)

    @property
    def _layout(self) -> UVLayout:
        return refined_layout(self._topology, len(self.detail.displacement))

    def _written(self, values: FloatArray) -> NDArray[np.floating]:
        """Values (V, C) of `displaced` as maps (S, S, C), zero off the face."""
        return np.nan_to_num(self._layout.write(values), copy=False)

    def normal_map(self, mesh: Mesh) -> NormalMap:
        """(S, S, 3) the detailed surface's normals in the tangent space of `mesh` or `displaced`.

        Only what is on the face has one, where there is relief.
        """
        cut, fine = refined(self._topology), self.displaced
        own = vertex_normals(mesh.vertices, mesh.triangles)
        tangents = self._fine_tangents[0] if mesh is fine else tangents_of(mesh)[0]
        if mesh is not fine:
            own, tangents = cut.linear(own), cut.linear(tangents)
        maps = self._written(np.concatenate([own, tangents, self._by[:, None]], axis=1))
        mask = self._layout.mask & (
            (self.detail.displacement != 0) | (np.abs(maps[..., -1]) > 1e-6)
        )
        return tangent_map(self.normals, normalise(maps[..., :3]), maps[..., 3:6], mask)


def tangent_map(
    normals: FloatArray, own: FloatArray, tangents: FloatArray, mask: BoolArray
) -> NormalMap:
    """Normals (S, S, 3) in the tangent space of a mesh, within a mask (S, S); flat elsewhere.

    Args:
        own: (S, S, 3) unit, the mesh's normals there; tangents: (S, S, 3) along u, of any length.
    """
    x = normalise(tangents - own * dot(own, tangents)[..., None])
    axes = (x, np.cross(own, x), own)
    local = np.stack([dot(normals, axis) for axis in axes], axis=-1)
    mask = mask & (local[..., 2] > 0)  # what turns away is no bump
    local = np.where(mask[..., None], local, np.array([0, 0, 1]))
    return NormalMap(local.astype(np.float32), mask, "tangent", 8)


def tangents_of(mesh: Mesh) -> tuple[FloatArray, FloatArray]:
    """(V, 3) mm per unit of u and of v, upwards, at each vertex: means of its triangles."""
    assert mesh.uv is not None
    corners, places = mesh.vertices[mesh.triangles], np.asarray(mesh.uv, float)[mesh.triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (a, b), (c, d) = (places[:, 1] - places[:, 0]).T, (places[:, 2] - places[:, 0]).T
    area = a * d - b * c
    whole = np.abs(area) > 1e-12
    by = np.where(whole, 1 / np.where(whole, area, 1), 0)[:, None]
    sums = []
    for vector in ((d[:, None] * first - b[:, None] * second) * by,
                   (a[:, None] * second - c[:, None] * first) * by):  # fmt: skip
        weighted = np.repeat(vector * np.abs(area)[:, None], 3, axis=0)
        flat = mesh.triangles.ravel()
        sums.append([np.bincount(flat, w, len(mesh.vertices)) for w in weighted.T])
    share = np.bincount(flat, np.repeat(np.abs(area), 3), len(mesh.vertices))
    across, up = (np.transpose(total) / np.maximum(share, 1e-12)[:, None] for total in sums)
    return across, up


def _gradient(heights: FloatArray, across: FloatArray, up: FloatArray) -> NDArray[np.floating]:
    """(S, S, 3) on the surface, of heights (S, S) that are in mm times texels of the side."""
    down, right = np.gradient(heights)
    e, f, g = (dot(a, b) for a, b in ((across, across), (across, up), (up, up)))
    area = np.maximum(e * g - f * f, 1e-6)
    x, y = (g * right + f * down) / area, (-e * down - f * right) / area
    slope: NDArray[np.floating] = x[..., None] * across + y[..., None] * up
    return slope
