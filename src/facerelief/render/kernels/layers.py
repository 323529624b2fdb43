"""Fragments over each other; see `facerelief.render.layers`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def compose(pixel, depth, colour, count, deepest):
    """Radiance (count, 3) and transmittance (count,) of fragments (F,) of a colour (F, 4)."""
    radiance = np.zeros((count, 3), colour.dtype)
    transmittance = np.ones(count, colour.dtype)
    # The fragments of a pixel side by side: end[p - 1] to end[p] in `order`.
    end = np.zeros(count + 1, np.int64)
    for f in range(len(pixel)):
        end[pixel[f] + 1] += 1
    for p in range(count):
        end[p + 1] += end[p]
    order = np.empty(len(pixel), np.int64)
    for f in range(len(pixel)):
        order[end[pixel[f]]] = f
        end[pixel[f]] += 1
    nearest = np.empty(deepest + 1, np.int64)
    first = 0
    for p in range(count):
        kept = 0
        for f in order[first : end[p]]:
            place = kept
            while place > 0 and depth[f] > depth[nearest[place - 1]]:
                nearest[place] = nearest[place - 1]
                place -= 1
            nearest[place] = f
            kept = min(kept + 1, deepest)
        first = end[p]
        left = transmittance[p]
        for f in nearest[:kept]:
            for c in range(3):
                radiance[p, c] += colour[f, c] * (colour[f, 3] * left)
            left *= np.float32(1) - colour[f, 3]
        transmittance[p] = left
    return radiance, transmittance


@kernel
def paint(albedo, pixel, colour):
    """`albedo` (N, 3) behind fragments (F,), in any order, of a colour (F, 4)."""
    count = len(albedo)
    total, weight = np.zeros((count, 3), colour.dtype), np.zeros(count, colour.dtype)
    transmittance = np.ones(count, colour.dtype)
    for f in range(len(pixel)):
        p, alpha = pixel[f], colour[f, 3]
        for c in range(3):
            total[p, c] += colour[f, c] * alpha
        weight[p] += alpha
        transmittance[p] *= np.float32(1) - alpha
    result = albedo.copy()
    for n in range(count):
        if weight[n] > 0:
            for c in range(3):
                mean = total[n, c] / max(weight[n], np.float32(1e-6))
                result[n, c] = mean + (albedo[n, c] - mean) * transmittance[n]
    return result
