"""Small scenes whose pictures are known from theory."""

from dataclasses import replace

import numpy as np

from facerelief.geometry.camera import Perspective
from facerelief.render.scene import Film, Kind, Lamp, Lighting, Material, Part, Scene
from spheres import uv_sphere

SIZE = 96
DISTANCE = 2000.0  # mm
RADIUS = 80.0


def plain(colour: tuple[int, ...] = (255, 255, 255, 255), **changes: object) -> Material:
    """One colour, no gloss."""
    texture = np.empty((8, 8, 4), np.uint8)
    texture[:] = colour
    return replace(Material(texture, specular=0.0, roughness=1.0), **changes)  # type: ignore[arg-type]


def ball(
    radius: float = RADIUS,
    at: tuple[float, float, float] = (0, 0, 0),
    kind: Kind = "skin",
    material: Material | None = None,
) -> Part:
    vertices, triangles, uv = uv_sphere(64, 128, radius)
    moved = (vertices + at).astype(np.float32)
    triangles = triangles.astype(np.int32)
    return Part(kind, moved, triangles, uv.astype(np.float32), triangles, material or plain())


def sheet(
    z: float,
    half: float = 60,
    kind: Kind = "skin",
    material: Material | None = None,
    steps: int = 40,
) -> Part:
    """A square that faces the camera."""
    axis = np.linspace(0, 1, steps + 1)
    v, u = np.meshgrid(axis, axis, indexing="ij")
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    points = np.concatenate([(uv * 2 - 1) * half, np.full((len(uv), 1), z)], 1)
    index = np.arange(len(uv)).reshape(steps + 1, steps + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    ).astype(np.int32)
    return Part(kind, points.astype(np.float32), triangles, uv, triangles, material or plain())


def sky(radiance: float = 1.0) -> np.ndarray:
    return np.full((16, 32, 3), radiance, np.float32)


def lamp(
    direction: tuple[float, float, float], irradiance: float = np.pi, radius: float = 0.5
) -> Lamp:
    unit = np.array(direction, np.float32) / np.linalg.norm(direction)
    return Lamp(unit, np.full(3, irradiance, np.float32), radius)


def scene(*parts: Part, lighting: Lighting | None = None, **changes: object) -> Scene:
    focal = SIZE / 2 / 100 * DISTANCE  # 100 mm from the middle to the border
    made = Scene(
        seed=1,
        size=SIZE,
        parts=parts or (ball(),),
        rotation=np.eye(3, dtype=np.float32),
        translation=np.array([0, 0, -DISTANCE], np.float32),
        camera=Perspective(focal, (SIZE / 2, SIZE / 2)),
        lighting=lighting or Lighting(sky(0.0), (lamp((0, 0, 1)),)),
        background=np.zeros((SIZE, SIZE, 3), np.uint8),
        film=Film(),
        landmarks=np.tile(np.array([0, 0, RADIUS], np.float32), (68, 1)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
