"""Pictures at one brightness, whatever their exposure and encoding."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # Rec. 601
DARKEST = 0.01  # what is darker counts as this dark
BOUNDS = (0.3, 1.5)  # of the exponent: black stays black


def luminance(image: Tensor) -> Tensor:
    """(B, 1, H, W) Rec. 601 luma of (B, 3, H, W)."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def exposed(image: Tensor, target: float) -> Tensor:
    """(B, 3, H, W) pictures in [0, 1], each raised to a power of its own.

    The power brings the log-average luma of the picture's middle (half its height and width) to
    `target`, within bounds. Dark, linear and flat files so become what networks mostly see; the
    log-average is that by which tone mapping finds a scene's key (Reinhard et al. 2002,
    equation 1).
    """
    height, width = image.shape[-2:]
    middle = image[..., height // 4 : height - height // 4, width // 4 : width - width // 4]
    average = luminance(middle).clamp_min(DARKEST).log().mean((1, 2, 3), keepdim=True)
    # A white picture's average is 0: its power is the largest.
    power = torch.log(image.new_tensor(target)) / average.clamp_max(-1e-3)
    return image.clamp_min(1e-4) ** power.clamp(*BOUNDS)
