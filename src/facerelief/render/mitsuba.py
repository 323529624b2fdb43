"""Draw a scene by path tracing with Mitsuba 3 (W. Jakob et al., 2022).

The slow and careful twin of `facerelief.render.renderer`: it takes the same scene and gives the
same `Rendering`, but light bounces, shadows are exact, and displaced skin is a fine mesh. It needs
the extra `synth`. The variant is `scalar_rgb`, which runs everywhere.

Geometry is not read from the path tracer's noisy samples but traced, one ray through each pixel's
centre, against the same meshes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.render.fine_mesh import FineMesh, fine_mesh
from facerelief.render.finish import background, photograph, rendering
from facerelief.render.illumination import illumination
from facerelief.render.scene import DECAL_KINDS, FACE_KINDS, Lamp, Scene
from facerelief.render.tracing import Tracer, load_mitsuba, to_mesh
from facerelief.samples.rendering import Rendering

_LAMP_DISTANCE = 1e5  # mm: falls off by half a per cent across a head
_DECAL_REACH = 6.0  # mm from the skin at which a brow's card colours it


def render(scene: Scene, samples: int = 64) -> Rendering:
    """Draw one scene (see `facerelief.render.scene` for what goes in and what comes out).

    Args:
        samples: paths through each pixel.

    `shading` is the direct light only, and zero where something covers the face: it is what the
    camera sees of a matt white one.

    Raises:
        ImportError: Mitsuba is not installed; the message says how to get it.
    """
    meshes = [fine_mesh(part, scene) for part in scene.parts]
    face = [m for m in meshes if m.part.kind in FACE_KINDS]
    decals = [m for m in meshes if m.part.kind in DECAL_KINDS]
    layers = [m for m in meshes if m.part.occludes]

    traced = radiance(scene, face + decals + layers, samples)
    picture = traced[..., :3] + (1 - traced[..., 3:]) * background(scene)
    shading = radiance(scene, face + layers, samples, white=True)[..., :3]

    size = scene.size
    tracer = Tracer(scene.camera, size, face)
    hits = tracer.surface()
    flat_depth = np.full(size * size, np.nan, np.float32)
    flat_depth[hits.pixel] = tracer.depth(hits)
    albedo = _painted(scene, tracer.colours(hits)[:, :3], hits.pixel, flat_depth, decals)
    covered = 1 - _transmittance(scene, flat_depth, layers).reshape(size, size)
    photo, hidden = photograph(picture, covered.astype(np.float32), scene)

    def image(values: FloatArray) -> NDArray[np.float32]:
        full = np.zeros((size * size, *values.shape[1:]), np.float32)
        full[hits.pixel] = values
        return full.reshape(size, size, *values.shape[1:])

    depth = flat_depth.reshape(size, size)
    return rendering(
        scene,
        photo,
        hidden,
        normals=image(tracer.unit(hits, "normals")),
        normals_smooth=image(tracer.unit(hits, "smooth")),
        depth=depth,
        albedo=image(albedo),
        shading=shading * (np.isfinite(depth) & ~hidden)[..., None],
        irradiance=illumination(scene.lighting, "cpu").harmonics().numpy(),
    )


def radiance(
    scene: Scene, meshes: list[FineMesh], samples: int, white: bool = False
) -> NDArray[np.float32]:
    """(H, W, 4) linear radiance, premultiplied with alpha, of everything but the background.

    With `white` the face is matt and white and light does not bounce: radiance is then the direct
    irradiance over pi.
    """
    mi = load_mitsuba()
    content: dict[str, Any] = {
        "type": "scene",
        # `volpath` lets light through the holes of textures on its way to a lamp; `path` does not.
        "integrator": {"type": "volpath", "max_depth": 2 if white else 5, "hide_emitters": True},
        "sensor": _sensor(scene),
        "sky": {"type": "envmap", "bitmap": mi.Bitmap(_environment(scene))},
    }
    for index, lamp in enumerate(scene.lighting.lamps):
        content[f"lamp{index}"] = _lamp(lamp)
    for index, mesh in enumerate(meshes):
        plain = white and mesh.part.kind in FACE_KINDS
        content[f"part{index}"] = to_mesh(mesh, _white() if plain else _bsdf(mesh))
    picture = mi.render(mi.load_dict(content), spp=samples, seed=scene.seed % 2**32)
    return np.array(picture).astype(np.float32)


def _painted(
    scene: Scene, albedo: FloatArray, pixel: Any, depth: FloatArray, decals: list[FineMesh]
) -> FloatArray:
    """`albedo` (P, 3) of the face's pixels with brows and lashes on it."""
    full = np.zeros((scene.size**2, 3))
    full[pixel] = albedo
    if decals:
        tracer = Tracer(scene.camera, scene.size, decals)
        for hits in reversed(list(tracer.layers(pixel, depth[pixel] - _DECAL_REACH))):
            colour, near = (
                tracer.colours(hits),
                tracer.depth(hits) < depth[hits.pixel] + _DECAL_REACH,
            )
            alpha = colour[:, 3:] * near[:, None]
            full[hits.pixel] += (colour[:, :3] - full[hits.pixel]) * alpha
    return full[pixel]


def _transmittance(scene: Scene, depth: FloatArray, layers: list[FineMesh]) -> FloatArray:
    """(H W,) how much of the surface at `depth` (H W,) is seen through what is before it."""
    result = np.ones(len(depth))
    if layers:
        tracer, pixel = Tracer(scene.camera, scene.size, layers), np.flatnonzero(np.isfinite(depth))
        for hits in tracer.layers(pixel, np.zeros(len(pixel))):
            before = tracer.depth(hits) < depth[hits.pixel]
            result[hits.pixel] *= 1 - tracer.colours(hits)[:, 3] * before
    return result


def _sensor(scene: Scene) -> dict[str, Any]:
    """Our camera. Mitsuba's looks along its own +z with x to the left."""
    mi = load_mitsuba()
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
    mi = load_mitsuba()
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
        "to_world": place
        @ mi.ScalarTransform4f().scale([_LAMP_DISTANCE * float(np.tan(radius))] * 3),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}},
    }


def _white() -> dict[str, Any]:
    return {
        "type": "twosided",
        "inner": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 1.0}},
    }


def _bsdf(mesh: FineMesh) -> dict[str, Any]:
    mi = load_mitsuba()
    material = mesh.part.material
    picture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(material.texture[..., :3])),
        "wrap_mode": "clamp",
    }
    inner: dict[str, Any] = {"type": "diffuse", "reflectance": picture}
    if mesh.part.kind not in (*DECAL_KINDS, "hair", "hat"):
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
