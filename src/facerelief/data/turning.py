"""Heads turned a little together with their lights, out of one view.

When a matt surface and every light that shines on it are turned alike, the surface's brightness
stays what it was: the new picture is the old one, its pixels moved by what their depth asks for.
So photographs of people who all held their heads alike also tell how turned heads look. Highlights
move a little and what was hidden stays hidden: for small angles only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from facerelief.nn.losses import normalize

_STEEPEST = 3.0  # slopes beyond are outlines and noise
_STEPS = 4  # of the fixed point; each takes the error down by the sine of the angle times the slope


def turn(image: Tensor, surface: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Turn pictures and surfaces about their middle.

    Args:
        image: (B, 3, H, W).
        surface: (B, 5, H, W) unit normals, zero where they are not known; whether they are, 0 or 1;
            whether there is a picture.
        angles: (B, 2) radians: pitch, positive is up, and yaw, positive is to the picture's right.

    Returns:
        Both, turned; normals that look away from the viewer are no longer known.
    """
    rotation = _rotation(angles)
    known = surface[:, 3:4]
    depth = _depth(surface[:, :3], known)
    height, width = image.shape[-2:]
    y = (height - 1) / 2 - torch.arange(height, dtype=image.dtype)
    x = torch.arange(width, dtype=image.dtype) - (width - 1) / 2
    seen = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)  # (H, W, 2) x right, y up
    back = torch.linalg.inv(rotation[:, :2, :2])
    place = seen.expand(len(image), -1, -1, -1)
    unit = place.new_tensor([2 / width, -2 / height])
    for _ in range(_STEPS):
        z = F.grid_sample(depth, place * unit, padding_mode="border", align_corners=False)
        shifted = seen - z[:, 0, :, :, None] * rotation[:, None, None, :2, 2]
        place = torch.einsum("bij,bhwj->bhwi", back, shifted)
    moved = F.grid_sample(torch.cat([image, surface], 1), place * unit, align_corners=False)
    picture, normals, known, inside = moved.split([3, 3, 1, 1], 1)
    normals = normalize(torch.einsum("bij,bjhw->bihw", rotation, normals))
    known = ((known > 0.5) & (normals[:, 2:] > 0.1)).to(image.dtype)
    return picture, torch.cat([normals * known, known, inside], 1)


def _rotation(angles: Tensor) -> Tensor:
    """(B, 3, 3): about x by the pitch, then about y by the yaw."""
    (sp, sy), (cp, cy) = angles.sin().unbind(1), angles.cos().unbind(1)
    zero, one = torch.zeros_like(sp), torch.ones_like(sp)
    # Pitched up, a normal that looked at the viewer gains y.
    pitch = torch.stack([one, zero, zero, zero, cp, sp, zero, -sp, cp], 1).view(-1, 3, 3)
    yaw = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    return yaw @ pitch


def _depth(normals: Tensor, known: Tensor) -> Tensor:
    """(B, 1, H, W) pixels towards the viewer, about zero where known; flat where it is not.

    The least-squares surface of the slopes (Frankot and Chellappa 1988), of pictures mirrored at
    their edges so that these need not fit together.
    """
    slope = normals[:, :2] / normals[:, 2:].clamp_min(1 / _STEEPEST)
    along = (-slope[:, :1] * known).clamp(-_STEEPEST, _STEEPEST)  # dz / dx
    down = (slope[:, 1:] * known).clamp(-_STEEPEST, _STEEPEST)  # dz / d(row)
    height, width = normals.shape[-2:]
    along = torch.cat([along, -along.flip(-1)], -1)
    along = torch.cat([along, along.flip(-2)], -2)
    down = torch.cat([down, -down.flip(-2)], -2)
    down = torch.cat([down, down.flip(-1)], -1)
    u = torch.fft.rfftfreq(2 * width).view(1, -1) * 2 * math.pi
    v = torch.fft.fftfreq(2 * height).view(-1, 1) * 2 * math.pi
    power = (u**2 + v**2).clamp_min(1e-9)
    spectrum = -1j * (u * torch.fft.rfft2(along) + v * torch.fft.rfft2(down)) / power
    depth = torch.fft.irfft2(spectrum, (2 * height, 2 * width))[..., :height, :width]
    total = known.sum((1, 2, 3), keepdim=True).clamp_min(1)
    return depth - (depth * known).sum((1, 2, 3), keepdim=True) / total
