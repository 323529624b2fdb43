"""Compiled twins of this package's torch code: the same results up to rounding, on one core.

Plain loops over arrays. `facerelief.render.compiled` says when they are used, and the function
that calls a kernel says what it does. Each is compiled when it is first called and then kept on
disk. Constants have 32 bits: with a Python number, numba would calculate in 64.
"""

from facerelief.render.kernels.film import blur
from facerelief.render.kernels.layers import compose, paint
from facerelief.render.kernels.light import lamp_light, sky_light
from facerelief.render.kernels.raster import fragments, seen_places, visible
from facerelief.render.kernels.shading import dot, tilted, unit, vertex_normals
from facerelief.render.kernels.shadows import depth_maps, visibility
from facerelief.render.kernels.textures import (
    sample_bytes,
    sample_numbers,
    slopes,
    uv_gradients,
)

__all__ = [
    "blur",
    "compose",
    "depth_maps",
    "dot",
    "fragments",
    "lamp_light",
    "paint",
    "sample_bytes",
    "sample_numbers",
    "seen_places",
    "sky_light",
    "slopes",
    "tilted",
    "unit",
    "uv_gradients",
    "vertex_normals",
    "visibility",
    "visible",
]
