"""What a lens does; see `facerelief.render.film`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def blur(picture, weights):
    """(H, W, C) blurred down and across with `weights` (2 R + 1,); borders are repeated."""
    height, width, channels = picture.shape
    reach, line = len(weights) // 2, width * channels
    lines = picture.reshape(height, line)
    down = np.zeros((height, line), picture.dtype)
    result = np.zeros((height, line), picture.dtype)
    wide = np.empty(line + 2 * reach * channels, picture.dtype)
    for row in range(height):
        for k in range(len(weights)):
            weight, own = weights[k], lines[min(max(row + k - reach, 0), height - 1)]
            for n in range(line):
                down[row, n] += weight * own[n]
        for n in range(line):
            wide[reach * channels + n] = down[row, n]
        for n in range(reach * channels):
            wide[n] = down[row, n % channels]
            wide[reach * channels + line + n] = down[row, line - channels + n % channels]
        for k in range(len(weights)):
            weight, first = weights[k], k * channels
            for n in range(line):
                result[row, n] += weight * wide[first + n]
    return result.reshape(height, width, channels)
