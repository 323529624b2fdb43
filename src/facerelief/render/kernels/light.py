"""Light on a surface; see `facerelief.render.light` and `illumination`."""

from __future__ import annotations

import numpy as np

from facerelief.render.kernels.compile import kernel


@kernel
def sky_light(
    arriving, points, smooth, detail, albedo, specular, roughness, weights, floor, sky,
    blend, least, greatest, bounce,
):  # fmt: skip
    """Irradiance (N, 3) and gloss (N, 3), from light `arriving` (N, 7): direct, hidden, openness.

    `weights` (9, 3) of the harmonics as polynomials, `sky` (h, w, 3) blurred radiance.
    """
    irradiance, gloss = np.empty_like(points), np.empty_like(points)
    one, two = np.float32(1), np.float32(2)
    mirrored = np.empty(3, points.dtype)
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        length = np.sqrt(x * x + y * y + z * z)
        vx, vy, vz = -x / length, -y / length, -z / length
        dx, dy, dz = detail[n, 0], detail[n, 1], detail[n, 2]
        sx, sy, sz = smooth[n, 0], smooth[n, 1], smooth[n, 2]
        x, y, z = dx + blend * (sx - dx), dy + blend * (sy - dy), dz + blend * (sz - dz)
        length = np.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length

        facing = dx * vx + dy * vy + dz * vz
        turn = two * facing
        _read(sky, turn * dx - vx, turn * dy - vy, turn * dz - vz, mirrored)
        smoothness = (one - roughness[n]) * (one - roughness[n])
        fresnel = _schlick(facing, specular[n], smoothness) * min(two * arriving[n, 6], one)
        for c in range(3):
            with_detail = max(_harmonics(x, y, z, weights, c), floor[c])
            without = max(_harmonics(sx, sy, sz, weights, c), floor[c])
            change = min(max(with_detail / without, least), greatest)
            irradiance[n, c] = arriving[n, c] * change + arriving[n, 3 + c] * albedo[n, c] * bounce
            gloss[n, c] = mirrored[c] * fresnel
    return irradiance, gloss


@kernel
def lamp_light(reach, directions, colours, smooth, detail, view, specular, roughness, subsurface):
    """Irradiance (N, 3) and gloss (N, 3) of lamps that `reach` (L, N) a surface."""
    irradiance, gloss = np.zeros_like(detail), np.zeros_like(detail)
    for lamp in range(len(directions)):
        x, y, z = directions[lamp]
        colour = colours[lamp]
        for n in range(len(detail)):
            share = reach[lamp, n]
            if share == 0:
                continue
            along = detail[n, 0] * x + detail[n, 1] * y + detail[n, 2] * z
            calm = smooth[n, 0] * x + smooth[n, 1] * y + smooth[n, 2] * z
            back = _ggx(detail[n], view[n], directions[lamp], along, specular[n], roughness[n])
            for c in range(3):
                lit = share * colour[c]
                if calm > 0:
                    cosine = along + subsurface[c] * (calm - along)
                    irradiance[n, c] += lit * max(cosine, np.float32(0))
                gloss[n, c] += lit * back
    return irradiance, gloss


@kernel
def _harmonics(x, y, z, weights, c):
    one, three = np.float32(1), np.float32(3)
    return (
        weights[0, c]
        + weights[1, c] * y
        + weights[2, c] * z
        + weights[3, c] * x
        + weights[4, c] * (x * y)
        + weights[5, c] * (y * z)
        + weights[6, c] * (three * z * z - one)
        + weights[7, c] * (x * z)
        + weights[8, c] * (x * x - y * y)
    )


@kernel
def _read(sky, x, y, z, into):
    """Bilinear values (3,) of an equirectangular map towards a direction; edges are repeated."""
    height, width = sky.shape[0], sky.shape[1]
    half, one, pi = np.float32(0.5), np.float32(1), np.float32(np.pi)
    u = (np.arctan2(x, -z) / pi + one) * half * np.float32(width) - half
    v = np.arccos(min(max(y, -one), one)) / pi * np.float32(height) - half
    u = min(max(u, np.float32(0)), np.float32(width - 1))
    v = min(max(v, np.float32(0)), np.float32(height - 1))
    left, above = int(u), int(v)
    right, below = min(left + 1, width - 1), min(above + 1, height - 1)
    u, v = u - np.float32(left), v - np.float32(above)
    for c in range(3):
        high = sky[above, left, c] * (one - u) + sky[above, right, c] * u
        low = sky[below, left, c] * (one - u) + sky[below, right, c] * u
        into[c] = high * (one - v) + low * v


@kernel
def _schlick(cosine, at_normal, at_grazing):
    away = min(max(np.float32(1) - cosine, np.float32(0)), np.float32(1))
    square = away * away
    return at_normal + max(at_grazing - at_normal, np.float32(0)) * square * square * away


@kernel
def _ggx(normal, view, light, nl, f0, roughness):
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    if not nl > 0:
        return zero
    hx, hy, hz = view[0] + light[0], view[1] + light[1], view[2] + light[2]
    length = max(np.sqrt(hx * hx + hy * hy + hz * hz), np.float32(1e-12))
    nv = max(normal[0] * view[0] + normal[1] * view[1] + normal[2] * view[2], np.float32(1e-3))
    nh = min(max((normal[0] * hx + normal[1] * hy + normal[2] * hz) / length, zero), one)
    vh = (view[0] * hx + view[1] * hy + view[2] * hz) / length
    alpha = roughness * roughness
    alpha2 = alpha * alpha
    spread = nh * nh * (alpha2 - one) + one
    distribution = alpha2 / (np.float32(np.pi) * spread * spread)
    low, high = two * nl * nv, nl + nv
    masking = np.float32(0.5) / max(low + alpha * (high - low), np.float32(1e-4))
    return distribution * masking * _schlick(vh, f0, one) * nl
