"""Draw a scene by path tracing with Mitsuba 3 (W. Jakob et al., 2022).

The slow and careful twin of `facerelief.render.scene`: it takes the same scene and gives the same
`Rendering`, but light bounces, shadows are exact, and displaced skin is a fine mesh. It needs the
extra `synth`. The variant is `scalar_rgb`, which runs everywhere.

Geometry is not read from the path tracer's noisy samples but traced, one ray through each pixel's
centre, against the same meshes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.render import film
from facerelief.render.fine_mesh import FineMesh, bilinear, fine_mesh
from facerelief.render.illumination import illumination
from facerelief.render.position_map import position_map
from facerelief.synth.scene import DECAL_KINDS, FACE_KINDS, Lamp, Rendering, Scene

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

_LAMP_DISTANCE = 1e5  # mm: falls off by half a per cent across a head
_MOST_LAYERS = 16  # of hair before one pixel that are looked through
_DECAL_REACH = 6.0  # mm from the skin at which a brow's card colours it
_LANDMARK_TOLERANCE = 4.0  # mm that a landmark may lie behind the drawn surface and be visible


def render(scene: Scene, samples: int = 64) -> Rendering:
    """Draw one scene (see `facerelief.synth.scene` for what goes in and what comes out).

    Args:
        samples: paths through each pixel.

    `shading` is zero where something covers the face: it is what the camera sees of a white one.

    Raises:
        ImportError: Mitsuba is not installed; the message says how to get it.
    """
    meshes = [fine_mesh(part, scene) for part in scene.parts]
    photograph, _ = _trace_paths(scene, meshes, samples, white=False)
    irradiance, _ = _trace_paths(scene, meshes, samples, white=True)
    picture = photograph[..., :3] + (1 - photograph[..., 3:]) * _behind(scene)
    photo = film.develop(picture, scene.film, np.random.default_rng([scene.seed, 1]))

    surface = _Surface.seen(scene, meshes)
    covered = _coverage(scene, [m for m in meshes if _is_layer(m)], surface.depth)
    for cutout in scene.cutouts:
        alpha = cutout.picture[..., 3:].astype(np.float32) / 255
        photo = np.rint(photo + (cutout.picture[..., :3] - photo.astype(np.float32)) * alpha)
        photo, covered = photo.astype(np.uint8), np.maximum(covered, alpha[..., 0])
    albedo = _with_decals(scene, [m for m in meshes if m.part.kind in DECAL_KINDS], surface)
    drawn, hidden = np.isfinite(surface.depth), covered > 0.5
    mask = drawn & ~hidden
    points = scene.landmarks @ np.asarray(scene.rotation).T + scene.translation
    pixels = scene.camera.project(points)
    inside = ((pixels[:, :2] >= 0) & (pixels[:, :2] < scene.size)).all(1)
    column, row = pixels[:, :2].astype(int).clip(0, scene.size - 1).T
    near = -points[:, 2] < surface.depth[row, column] + _LANDMARK_TOLERANCE
    return Rendering(
        photo=photo,
        normals=surface.normals,
        normals_smooth=surface.smooth,
        depth=surface.depth,
        albedo=np.rint(255 * linear_to_srgb(albedo.clip(0, 1))).astype(np.uint8),
        shading=(irradiance[..., :3] * mask[..., None]).astype(np.float16),
        mask=mask,
        occluder=drawn & hidden,
        position=position_map(scene),
        landmarks=pixels[:, :2].astype(np.float32),
        landmarks_visible=inside & near & ~hidden[row, column],
        rotation=np.asarray(scene.rotation, np.float32),
        translation=np.asarray(scene.translation, np.float32),
        focal=scene.camera.focal,
        irradiance=illumination(scene.lighting, "cpu").harmonics().numpy(),
        coefficients=scene.coefficients,
    )


# The picture.


def _trace_paths(
    scene: Scene, meshes: list[FineMesh], samples: int, white: bool
) -> tuple[NDArray[np.float32], Any]:
    """(H, W, 4) linear radiance, premultiplied with alpha, of everything but the background.

    With `white` the face is matt and white and light does not bounce: radiance is the direct
    irradiance over pi.
    """
    mi = _mitsuba()
    content: dict[str, Any] = {
        "type": "scene",
        # `volpath` lets light through the holes of textures on its way to a lamp; `path` does not.
        "integrator": {
            "type": "volpath",
            "max_depth": 2 if white else 5,
            "hide_emitters": True,
        },
        "sensor": _sensor(scene),
        "sky": {"type": "envmap", "bitmap": mi.Bitmap(_environment(scene))},
    }
    for index, lamp in enumerate(scene.lighting.lamps):
        content[f"lamp{index}"] = _lamp(lamp)
    for index, mesh in enumerate(meshes):
        if white and mesh.part.kind in DECAL_KINDS:
            continue
        plain = white and mesh.part.kind in FACE_KINDS
        content[f"part{index}"] = _mesh(mesh, _white() if plain else _bsdf(mesh))
    traced = mi.load_dict(content)
    picture = np.array(mi.render(traced, spp=samples, seed=scene.seed % 2**32))
    return picture.astype(np.float32), traced


def _mitsuba() -> Any:
    try:
        import mitsuba
    except ImportError:
        raise ImportError("path tracing needs Mitsuba: pip install 'facerelief[synth]'") from None
    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
    return mitsuba


def _sensor(scene: Scene) -> dict[str, Any]:
    """Our camera. Mitsuba's looks along its own +z with x to the left."""
    mi = _mitsuba()
    size, camera = scene.size, scene.camera
    return {
        "type": "perspective",
        "to_world": mi.ScalarTransform4f().look_at([0, 0, 0], [0, 0, -1], [0, 1, 0]),
        "fov": float(np.degrees(2 * np.arctan(size / 2 / camera.focal))),
        "fov_axis": "x",
        "principal_point_offset_x": 0.5 - camera.centre[0] / size,
        "principal_point_offset_y": 0.5 - camera.centre[1] / size,
        "near_clip": 1.0,
        "far_clip": 1e6,
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "rfilter": {"type": "box"},
            "pixel_format": "rgba",
            "component_format": "float32",
        },
        "sampler": {"type": "multijitter"},
    }


def _environment(scene: Scene) -> NDArray[np.float32]:
    """Our map in Mitsuba's layout: its first column is where the camera looks."""
    sky = np.asarray(scene.lighting.environment, np.float32)
    return np.ascontiguousarray(np.roll(sky, sky.shape[1] // 2, axis=1))


def _lamp(lamp: Lamp) -> dict[str, Any]:
    mi = _mitsuba()
    direction = np.asarray(lamp.direction, np.float64)
    colour = np.asarray(lamp.colour, np.float64)
    if lamp.radius <= 0:
        towards, irradiance = (-direction).tolist(), {"type": "rgb", "value": colour.tolist()}
        return {"type": "directional", "direction": towards, "irradiance": irradiance}
    radius = np.radians(lamp.radius)
    up = np.eye(3)[np.abs(direction).argmin()]
    place = mi.ScalarTransform4f().look_at(
        (direction * _LAMP_DISTANCE).tolist(), [0, 0, 0], up.tolist()
    )
    radiance = colour / (np.pi * np.sin(radius) ** 2)
    return {
        "type": "disk",
        "to_world": place @ mi.ScalarTransform4f().scale(_LAMP_DISTANCE * np.tan(radius)),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}},
    }


def _mesh(mesh: FineMesh, bsdf: dict[str, Any] | None) -> Any:
    mi = _mitsuba()
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
    parameters = mi.traverse(made)
    parameters["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    parameters["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
    # Row 0 of a texture is at v = 0 there.
    flipped = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1)
    parameters["vertex_texcoords"] = flipped.astype(np.float32).ravel()
    parameters["faces"] = mesh.triangles.astype(np.uint32).ravel()
    parameters.update()
    return made


def _white() -> dict[str, Any]:
    return {
        "type": "twosided",
        "inner": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 1.0}},
    }


def _bsdf(mesh: FineMesh) -> dict[str, Any]:
    mi = _mitsuba()
    material = mesh.part.material
    picture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(material.texture[..., :3])),
        "wrap_mode": "clamp",
    }
    inner: dict[str, Any] = {"type": "diffuse", "reflectance": picture}
    if mesh.part.kind not in DECAL_KINDS + ("hair", "hat"):
        inner = {
            "type": "principled",
            "base_color": picture,
            "roughness": float(material.roughness),
            "specular": min(float(material.specular) / 0.08, 1.0),
        }
    surface = {"type": "twosided", "inner": inner}
    alpha = material.texture[..., 3:]
    if alpha.min() == 255:
        return surface
    opacity = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(alpha.astype(np.float32) / 255)),
        "raw": True,
        "wrap_mode": "clamp",
    }
    return {"type": "mask", "opacity": opacity, "inner": surface}


def _behind(scene: Scene) -> NDArray[np.float32]:
    """The background as radiance: it was exposed when taken, so undo what the film will do."""
    gain = np.asarray(scene.film.white_balance, np.float32) * scene.film.exposure
    return (srgb_to_linear(scene.background / 255) / gain).astype(np.float32)


# The geometry.


@dataclass(frozen=True, eq=False)
class _Hits:
    """Where rays through pixels first meet meshes. All arrays are over the P pixels that do."""

    pixel: IntArray  # (P,) row * width + column
    distance: FloatArray  # (P,) along the ray
    mesh: IntArray  # (P,) which of the meshes
    corners: IntArray  # (P, 3) vertices of that mesh
    weights: FloatArray  # (P, 3)
    from_behind: NDArray[np.bool_]  # (P,)

    def interpolate(self, meshes: list[FineMesh], name: str) -> FloatArray:
        """(P, C) of an attribute of the meshes' vertices."""
        starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
        stacked = np.concatenate([getattr(m, name) for m in meshes])
        corners = self.corners + starts[self.mesh][:, None]
        return np.einsum("pc,pck->pk", self.weights, stacked[corners])

    def textures(self, meshes: list[FineMesh]) -> FloatArray:
        """(P, 4) linear colour and alpha of what was hit."""
        uv, result = self.interpolate(meshes, "uv"), np.zeros((len(self.pixel), 4))
        for index, mesh in enumerate(meshes):
            here = self.mesh == index
            texture = mesh.part.material.texture / 255
            texture[..., :3] = srgb_to_linear(texture[..., :3])
            result[here] = bilinear(texture, uv[here])
        return result


class _Tracer:
    """Rays through the centres of pixels."""

    def __init__(self, scene: Scene, meshes: list[FineMesh]) -> None:
        self.meshes = meshes
        whole = _joined(meshes)
        self._scene = _mitsuba().load_dict({"type": "scene", "meshes": _mesh(whole, None)})
        self._triangles = np.concatenate([m.triangles for m in meshes])
        self._ends = np.cumsum([len(m.triangles) for m in meshes])
        centres = np.arange(scene.size) + 0.5
        x, y = np.meshgrid(centres, centres)
        points = scene.camera.unproject(np.stack([x, y, np.full_like(x, -1)], -1)).reshape(-1, 3)
        self.directions = points / np.linalg.norm(points, axis=1, keepdims=True)

    def first(self, pixel: IntArray, start: FloatArray) -> _Hits:
        """First hits of the rays of `pixel` (P,) beyond the distances `start` (P,)."""
        mi = _mitsuba()
        found = []
        for place, direction, begin in zip(
            pixel.tolist(), self.directions[pixel].tolist(), start.tolist(), strict=True
        ):
            origin = [begin * component for component in direction]
            hit = self._scene.ray_intersect_preliminary(mi.Ray3f(origin, direction))
            if hit.is_valid():
                u, v = hit.prim_uv
                found.append((place, begin + hit.t, hit.prim_index, u, v))
        table = np.array(found).reshape(-1, 5)
        triangle = table[:, 2].astype(int)
        corners, weights = self._triangles[triangle], np.empty((len(table), 3))
        weights[:, 1:] = table[:, 3:]
        weights[:, 0] = 1 - table[:, 3] - table[:, 4]
        mesh = np.searchsorted(self._ends, triangle, side="right")
        hits = _Hits(table[:, 0].astype(int), table[:, 1], mesh, corners, weights, np.zeros(0))
        return hits


def _joined(meshes: list[FineMesh]) -> FineMesh:
    starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
    return FineMesh(
        meshes[0].part,
        *(
            np.concatenate([getattr(m, name) for m in meshes])
            for name in ("vertices", "normals", "smooth", "uv")
        ),
        np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=False)]),
    )
