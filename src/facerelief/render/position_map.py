"""UV position maps: where each texel of the skin is in the picture (PRNet, section 3.1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.uv import UVLayout
from facerelief.render.scene import Scene

SIZE = 256  # pixels, of the map


def position_map(scene: Scene) -> NDArray[np.float32]:
    """(256, 256, 3) pixel x, pixel y and z of the scene's skin; NaN off the charts.

    z is camera space relative to the head's origin, in the pixels that a mm has there: nearer is
    larger, and a map turned about the viewing axis stays one.
    """
    skin = next(part for part in scene.parts if part.kind == "skin")
    layout = (
        np.ascontiguousarray(x).tobytes() for x in (skin.uv, skin.uv_triangles, skin.triangles)
    )
    camera = skin.vertices @ np.asarray(scene.rotation).T + scene.translation
    scale = scene.camera.focal / -scene.translation[2]
    points = scene.camera.project(camera)
    points[:, 2] = (points[:, 2] - scene.translation[2]) * scale
    return _layout(*layout, len(skin.vertices)).write(points)


@lru_cache(maxsize=2)
def _layout(uv: bytes, uv_triangles: bytes, triangles: bytes, count: int) -> UVLayout:
    flat = np.frombuffer(uv, np.float32).reshape(-1, 2)
    charts, mesh = (np.frombuffer(x, np.int32).reshape(-1, 3) for x in (uv_triangles, triangles))
    return UVLayout(flat, charts, mesh, count, SIZE)
