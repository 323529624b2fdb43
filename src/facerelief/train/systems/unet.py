"""The floor of the comparison: a plain encoder and decoder with standard skips (figure 6d of
Cross-modal), trained on pairs alone."""

from __future__ import annotations

from typing import Any, ClassVar

from facerelief.train.systems.cross_modal import CrossModal


class UNet(CrossModal):
    """ResNet-18 (``paper``) or EfficientNet-Lite0 (``compact``) U-Net; options as CrossModal's."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        name: {**options, "architecture": "plain"} for name, options in CrossModal.presets.items()
    }
