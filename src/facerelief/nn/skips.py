"""Connections from an encoder to a decoder."""

from __future__ import annotations

import torch
from torch import Tensor


def deactivable_skip(decoded: Tensor, encoded: Tensor | None) -> Tensor:
    """Maximum of the encoder's m features and the decoder's last m; without them, no change.

    Cross-modal (Abrevaya et al. 2020), section 3.2. The number of channels is the same either way,
    so that one decoder serves encoders whose features it may see and others whose it may not.

    Args:
        decoded: (B, C, H, W); encoded: (B, m, H, W) with m < C, or None to deactivate it.
    """
    if encoded is None:
        return decoded
    kept = decoded.shape[1] - encoded.shape[1]
    return torch.cat([decoded[:, :kept], torch.maximum(decoded[:, kept:], encoded)], 1)
