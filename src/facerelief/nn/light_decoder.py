"""Decoder of the compact presets: from an encoder's features to a map, on CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.nn.skips import deactivable_skip

SKIPS = ("concatenated", "deactivable", "none")

#: Of the blocks at strides 16, 8, 4, 2: multiples of 16, in which vectorised convolutions work.
WIDTHS = (128, 96, 64, 32)


class LightDecoder(nn.Module):
    """Lateral 1x1 convolutions, resize, 3x3 convolutions; output packed at stride 2.

    At stride 2 the picture itself joins, so that detail need not pass the encoder.

    Args:
        channels: of the image encoder's features at strides 2 to 32.
        deepest: channels of the code at stride 32 that is decoded.
        outputs: channels of the map; packed, there are four times as many.
        widths: see `WIDTHS`.
        skips: how the image's features join, half as many channels as a block has:
            ``concatenated``, ``deactivable`` (maximum with the last half of the block's, and only
            when they are given) or ``none``.
        detail: the encoder looks at the picture at half its size (`seen`); the map is enlarged at
            the end, with `Detail` of the full picture unless there are no skips at all.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        deepest: int,
        outputs: int,
        widths: Sequence[int] = WIDTHS,
        skips: str = "concatenated",
        detail: bool = False,
    ) -> None:
        super().__init__()
        if skips not in SKIPS:
            raise ValueError(f"unknown skips {skips!r}; one of {', '.join(SKIPS)}")
        self.skips = skips
        self.halved = detail
        self.detail = Detail(widths[-1], outputs) if detail and skips != "none" else None
        inputs = (deepest, *widths[:-1])
        if skips != "none":
            self.shallow = nn.Conv2d(3, 16, 4, 2, 1)
            joining = (*channels[-2:0:-1], channels[0] + 16)
            self.lateral = nn.ModuleList(
                nn.Conv2d(i, o // 2, 1, bias=False) for i, o in zip(joining, widths, strict=True)
            )
        self.down = nn.ModuleList(pointwise(i, o) for i, o in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(
            convolution(o + o // 2 if skips == "concatenated" else o, o) for o in widths
        )
        self.head = nn.Conv2d(widths[-1], outputs * 4, 1)

    def seen(self, maps: Tensor) -> Tensor:
        """What an encoder looks at of (B, C, H, W)."""
        return F.avg_pool2d(maps, 2) if self.halved else maps

    def laterals(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What the image contributes, and its features, at strides 16, 8, 4, 2 of what is seen."""
        shallow = torch.cat([features[0], self.shallow(self.seen(image) - 0.5)], 1)
        skips = [*features[-2:0:-1], shallow]
        return [conv(skip) for conv, skip in zip(self.lateral, skips, strict=True)]

    def forward(
        self,
        deepest: Tensor,
        laterals: list[Tensor] | None = None,
        steer: Callable[[int, Tensor], Tensor] | None = None,
        image: Tensor | None = None,
    ) -> Tensor:
        """(B, C, h, w) code to the packed map (B, 4 outputs, H / 2, W / 2).

        ``image``, (B, 3, H, W) in [0, 1], is what detail is read from; none, no detail.
        """
        x = self.features(deepest, laterals, steer)
        return self.finished(self.head(x), x, image)

    def features(
        self,
        deepest: Tensor,
        laterals: list[Tensor] | None = None,
        steer: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The last block's, at stride 2 of what is seen, of which `head` makes the map.

        ``steer`` gives what is added to a block's features, from the block's number and them.
        """
        x = deepest
        for index, (down, block) in enumerate(zip(self.down, self.blocks, strict=True)):
            x = F.interpolate(down(x), scale_factor=2.0, mode="nearest")
            x = block(self._joined(x, None if laterals is None else laterals[index]))
            if steer is not None:
                x = x + steer(index, x)
        return x

    def finished(self, raw: Tensor, features: Tensor, image: Tensor | None = None) -> Tensor:
        """A packed map of what is seen as one of the picture: enlarged, with detail, if halved."""
        if not self.halved:
            return raw
        if image is None or self.detail is None:
            return enlarged(raw)
        return self.detail(image, features, raw)

    def _joined(self, x: Tensor, lateral: Tensor | None) -> Tensor:
        if self.skips == "deactivable":
            return deactivable_skip(x, lateral)
        if lateral is None:
            if self.skips != "none":
                raise ValueError(f"a decoder with {self.skips} skips needs the image's features")
            return x
        return torch.cat([x, lateral], 1)


class Detail(nn.Module):
    """Full resolution for a network that looks at the picture at half its size.

    What a face's shape is can be seen in a small picture, in a quarter of the time. Its detail is
    local: this reads it from the full picture, beside the decoder's last features, and adds it to
    the enlarged map. It begins with adding nothing.

    Args:
        features: channels of the decoder's last block.
        outputs: channels of the map; packed, there are four times as many.
    """

    def __init__(self, features: int, outputs: int, width: int = 32) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(convolution(features + 16, width), convolution(width, width))
        self.head = nn.Conv2d(width, outputs * 4, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def forward(self, image: Tensor, features: Tensor, raw: Tensor) -> Tensor:
        """To the packed map (B, 4 outputs, H / 2, W / 2).

        Args:
            image: (B, 3, H, W) in [0, 1].
            features: (B, C, H / 4, W / 4); raw: (B, 4 outputs, H / 4, W / 4), the packed map of the
                halved picture.
        """
        wide = F.interpolate(features, scale_factor=2.0, mode="nearest")
        local = self.blocks(torch.cat([wide, self.shallow(image - 0.5)], 1))
        return enlarged(raw) + self.head(local)


def enlarged(raw: Tensor) -> Tensor:
    """A packed map (B, 4 C, h, w) of twice the size: (B, 4 C, 2 h, 2 w)."""
    plain = F.interpolate(F.pixel_shuffle(raw, 2), scale_factor=2.0, mode="bilinear")
    return F.pixel_unshuffle(plain, 2)


def convolution(width: int, out: int) -> nn.Sequential:
    """3x3, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


def pointwise(width: int, out: int) -> nn.Sequential:
    """1x1, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


def strided(width: int, out: int) -> nn.Sequential:
    """4x4 of stride 2, batch norm, leaky ReLU: a step of the encoders of normal maps."""
    return nn.Sequential(
        nn.Conv2d(width, out, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.LeakyReLU(0.2, inplace=True),
    )
