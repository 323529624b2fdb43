"""UV position maps: where each texel of the skin is in the picture (PRNet, section 3.1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.raster import Raster, rasterise
from facerelief.synth.scene import Scene

SIZE = 256  # pixels, of the map


def position_map(scene: Scene) -> NDArray[np.float32]:
    """(256, 256, 3) pixel x, pixel y and z of the scene's skin; NaN off the charts.

    z is camera space relative to the head's origin, in the pixels that a mm has there: nearer is
    larger, and a map turned about the viewing axis stays one.
    """
    skin = next(part for part in scene.parts if part.kind == "skin")
    raster = _charts(skin.uv.tobytes(), skin.uv_triangles.tobytes())
    camera = skin.vertices @ np.asarray(scene.rotation).T + scene.translation
    scale = scene.camera.focal / -scene.translation[2]
    points = scene.camera.project(camera)
    points[:, 2] = (points[:, 2] - scene.translation[2]) * scale
    seen = raster.mask
    corners = skin.triangles[raster.triangle[seen]]
    result = np.full((SIZE, SIZE, 3), np.nan, np.float32)
    result[seen] = np.einsum("pc,pck->pk", raster.barycentrics[seen], points[corners])
    return result


@lru_cache(maxsize=2)
def _charts(uv: bytes, triangles: bytes) -> Raster:
    """The layout drawn once: which triangle is at each texel."""
    points = np.frombuffer(uv, np.float32).reshape(-1, 2) * (SIZE, -SIZE) + (0, SIZE)
    flat = np.concatenate([points, np.zeros((len(points), 1))], 1)
    return rasterise(flat, np.frombuffer(triangles, np.int32).reshape(-1, 3), (SIZE, SIZE))
