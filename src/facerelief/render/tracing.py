"""One ray through each pixel's centre: exact geometry of meshes, by Mitsuba's ray casting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from facerelief.arrays import FloatArray, IntArray
from facerelief.geometry.camera import Camera
from facerelief.geometry.light import srgb_to_linear
from facerelief.render.fine_mesh import FineMesh, bilinear

_MOST_LAYERS = 16  # before one pixel that are looked through
_STEP = 1e-2  # mm that a ray goes on behind a hit


@dataclass(frozen=True, eq=False)
class Hits:
    """Where the rays of P pixels meet a surface."""

    pixel: IntArray  # (P,) row * width + column
    distance: FloatArray  # (P,) mm from the camera
    triangle: IntArray  # (P,) of all meshes, one after the other
    weights: FloatArray  # (P, 3) barycentrics


class Tracer:
    """Rays of a `camera` at the origin through a picture of `size` x `size` pixels.

    Raises:
        ImportError: Mitsuba is not installed; the message says how to get it.
    """

    def __init__(self, camera: Camera, size: int, meshes: list[FineMesh]) -> None:
        self._meshes, self._all = meshes, _joined(meshes)
        self._ends = np.cumsum([len(mesh.triangles) for mesh in meshes])
        content = {"type": "scene", "mesh": to_mesh(self._all, None)}
        self._scene = load_mitsuba().load_dict(content)
        centres = np.arange(size) + 0.5
        x, y = np.meshgrid(centres, centres)
        points = camera.unproject(np.stack([x, y, np.full_like(x, -1)], -1)).reshape(-1, 3)
        self._directions = points / np.linalg.norm(points, axis=1, keepdims=True)

    def surface(self) -> Hits:
        """Of every pixel that sees one, the first surface that faces the camera."""
        pixel = np.arange(len(self._directions))
        layers = list(self.layers(pixel, np.zeros(len(pixel)), facing=True))
        every = [np.concatenate([getattr(h, name) for h in layers]) for name in vars(layers[0])]
        return Hits(*every)

    def layers(self, pixel: IntArray, depth: FloatArray, facing: bool = False) -> Iterator[Hits]:
        """What the rays of `pixel` (P,) meet beyond `depth` (P,): first hits, second hits, ...

        With `facing`, surfaces seen from behind do not count, and a ray ends at the first that
        does.
        """
        start = depth / -self._directions[pixel, 2]
        for _ in range(_MOST_LAYERS):
            hits = self._first(pixel, start)
            if len(hits.pixel) == 0 and not facing:
                return
            pixel, start = hits.pixel, hits.distance + _STEP
            if facing:
                a, b, c = (self._all.vertices[i] for i in self._all.triangles[hits.triangle].T)
                outwards = np.cross(b - a, c - a)
                front = (outwards * self._directions[hits.pixel]).sum(1) < 0
                hits = Hits(*(values[front] for values in vars(hits).values()))
                pixel, start = pixel[~front], start[~front]
            yield hits
            if len(pixel) == 0:
                return

    def depth(self, hits: Hits) -> FloatArray:
        """(P,) mm along the viewing axis."""
        return hits.distance * -self._directions[hits.pixel, 2]

    def unit(self, hits: Hits, name: str) -> FloatArray:
        """(P, 3) unit vectors of a vertex attribute of the meshes: `normals` or `smooth`."""
        vectors = self._interpolate(hits, getattr(self._all, name))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def colours(self, hits: Hits) -> FloatArray:
        """(P, 4) linear colour and alpha of the textures."""
        uv, result = self._interpolate(hits, self._all.uv), np.zeros((len(hits.pixel), 4))
        owner = np.searchsorted(self._ends, hits.triangle, side="right")
        for index, mesh in enumerate(self._meshes):
            texture = mesh.part.material.texture / 255
            texture[..., :3] = srgb_to_linear(texture[..., :3])
            result[owner == index] = bilinear(texture, uv[owner == index])
        return result

    def _interpolate(self, hits: Hits, values: FloatArray) -> FloatArray:
        return np.einsum("pc,pck->pk", hits.weights, values[self._all.triangles[hits.triangle]])

    def _first(self, pixel: IntArray, start: FloatArray) -> Hits:
        mi = load_mitsuba()
        directions = self._directions[pixel]
        origins = (directions * start[:, None]).tolist()
        rows = []
        for number, ray in enumerate(zip(origins, directions.tolist(), strict=True)):
            hit = self._scene.ray_intersect_preliminary(mi.Ray3f(*ray))
            if hit.is_valid():
                rows.append((number, hit.t, hit.prim_index, *hit.prim_uv))
        table = np.array(rows).reshape(-1, 5)
        place = table[:, 0].astype(int)
        return Hits(
            pixel=pixel[place],
            distance=start[place] + table[:, 1],
            triangle=table[:, 2].astype(int),
            weights=np.stack([1 - table[:, 3] - table[:, 4], table[:, 3], table[:, 4]], 1),
        )


def load_mitsuba() -> Any:
    """The module, in the variant that runs everywhere.

    Raises:
        ImportError: it is not installed; the message says how to get it.
    """
    try:
        import mitsuba
    except ImportError:
        raise ImportError("path tracing needs Mitsuba: pip install 'facerelief[synth]'") from None
    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
    return mitsuba


def to_mesh(mesh: FineMesh, bsdf: dict[str, Any] | None) -> Any:
    """A Mitsuba mesh, with a material or for rays only."""
    mi = load_mitsuba()
    properties = mi.Properties()
    if bsdf is not None:
        properties["mesh_bsdf"] = mi.load_dict(bsdf)
    made = mi.Mesh(
        mesh.part.kind,
        vertex_count=len(mesh.vertices),
        face_count=len(mesh.triangles),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    # Row 0 of a texture is at v = 0 there.
    texcoords = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1)
    parameters = mi.traverse(made)
    parameters["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    parameters["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
    parameters["vertex_texcoords"] = texcoords.astype(np.float32).ravel()
    parameters["faces"] = mesh.triangles.astype(np.uint32).ravel()
    parameters.update()
    return made


def _joined(meshes: list[FineMesh]) -> FineMesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
    return FineMesh(
        part=meshes[0].part,
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        smooth=np.concatenate([mesh.smooth for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        triangles=np.concatenate(triangles),
    )
