"""What a renderer gives: a picture, and everything known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rendering:
    """A picture and everything known about it. Masks are bool, (H, W)."""

    photo: NDArray[np.uint8]  # (H, W, 3) sRGB
    normals: NDArray[np.float32]  # (H, W, 3) with wrinkles and pores; zero outside the face
    normals_smooth: NDArray[np.float32]  # (H, W, 3) of the mesh alone
    depth: NDArray[np.float32]  # (H, W) mm, distance along the viewing axis; NaN outside the head
    albedo: NDArray[np.uint8]  # (H, W, 3) sRGB
    shading: NDArray[np.float16]  # (H, W, 3) linear irradiance / pi, shadows included
    mask: NDArray[np.bool_]  # visible face: skin, eyes and teeth, nothing before them
    occluder: NDArray[np.bool_]  # hair, glasses, hats and cut-outs over the head
    #: (256, 256, 3) UV position map of the skin, seen or not (PRNet): pixel x, pixel y and camera z
    #: (mm times the pixels that a mm has at the head's origin); row 0 at v = 1, NaN off the charts.
    position: NDArray[np.float32]
    landmarks: NDArray[np.float32]  # (68, 2) pixels
    landmarks_visible: NDArray[np.bool_]  # (68,)
    rotation: NDArray[np.float32]  # (3, 3)
    translation: NDArray[np.float32]  # (3,)
    focal: float  # pixels
    centre: NDArray[np.float32]  # (2,) pixel that the viewing axis goes through: off the middle
    irradiance: NDArray[np.float32]  # (9, 3) harmonics of all light, unshadowed
    coefficients: dict[str, Any] = field(default_factory=dict)
