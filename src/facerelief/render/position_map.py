"""UV position maps: where each texel of the skin is in the picture (PRNet, section 3.1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facerelief.geometry.raster import rasterise
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
    seen, weights = _charts(*layout, len(skin.vertices))
    camera = skin.vertices @ np.asarray(scene.rotation).T + scene.translation
    scale = scene.camera.focal / -scene.translation[2]
    points = scene.camera.project(camera)
    points[:, 2] = (points[:, 2] - scene.translation[2]) * scale
    result = np.full((SIZE, SIZE, 3), np.nan, np.float32)
    result[seen] = weights @ points.astype(np.float32)  # as the weights, or they are converted
    return result


@lru_cache(maxsize=2)
def _charts(
    uv: bytes, uv_triangles: bytes, triangles: bytes, count: int
) -> tuple[NDArray[np.bool_], sparse.csr_array]:
    """Of a layout: which texels (256, 256) show skin, and their weights (texels, V) of vertices."""
    points = np.frombuffer(uv, np.float32).reshape(-1, 2) * (SIZE, -SIZE) + (0, SIZE)
    flat = np.concatenate([points, np.zeros((len(points), 1))], 1)
    raster = rasterise(flat, np.frombuffer(uv_triangles, np.int32).reshape(-1, 3), (SIZE, SIZE))
    corners = np.frombuffer(triangles, np.int32).reshape(-1, 3)[raster.triangle[raster.mask]]
    rows = np.repeat(np.arange(len(corners)), 3)
    shares = raster.barycentrics[raster.mask].astype(np.float32)
    weights = sparse.csr_array((shares.ravel(), (rows, corners.ravel())), (len(corners), count))
    return raster.mask, weights
