"""RI2ITN: an encoder and a decoder that see their own answer again, by dense feedback.

Section 3.3 of "Detailed 3D face reconstruction in full pose range". What its text leaves out is
that of the network that it changes, Chen et al., "Self-supervised learning of detailed 3D face
reconstruction" (IEEE TIP 2020) and their published code: kernels of 3 x 3 with ReLU and no norm,
the first layer of stride 1 and nine of stride 2, maps of 512 x 512 texels, skips that are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.geometry.laid_out import CHANNELS

#: Chen et al.'s, from 512 texels a side to one: x_1 to x_10, of which f_1 to f_9 are decoded.
PAPER_WIDTHS = (16, 32, 64, 128, 256, 512, 512, 512, 512, 512)
COMPACT_WIDTHS = (32, 48, 80, 128, 160)


class RI2ITN(nn.Module):
    """Maps in, a map in [-1, 1] out, after `passes` through one encoder and one decoder.

    As printed, equation 7 adds maps of different sizes: x_i has half the side of f_(i-1). Both of
    its own cases, that nothing comes back to the input (i = 0 of equation 6) and that f_1 to f_9
    do, are right if they are added to what a level reads,

        x_i^t = E_i(x_(i-1)^t + D(f_(i-1)^(t-1))),

    which is what this does. One chain of convolutions goes down from each f_j, and what it has at
    each scale is added there. Weights are those of all passes.

    Args:
        channels: of the maps. widths: of the levels, the finest first.
        passes: t of the paper. packed: texels a side that are one place of the first level.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], passes: int = 2, packed: int = 1
    ) -> None:
        super().__init__()
        self.passes, self.packed = passes, packed
        first = widths[0]
        self.encoder = nn.ModuleList(
            [nn.Conv2d(channels * packed**2, first, 3, padding=1)]
            + [_halving(a, b) for a, b in pairwise(widths)]
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 3, 2, 1, output_padding=1) for a, b in pairwise(widths)
        )
        # From f_j down to each coarser level that has something fed back.
        kept = list(widths[:-1])
        self.feedback = nn.ModuleList(
            nn.ModuleList(_halving(a, b) for a, b in pairwise(kept[start:]))
            for start in range(len(kept) if passes > 1 else 0)
        )
        self.last = nn.ConvTranspose2d(first, packed**2, 3, 1, 1)
        self.joined = nn.Conv2d(passes * packed**2, packed**2, 1)
        for module in [*self.encoder, *self.decoder]:
            nn.init.kaiming_normal_(cast(Tensor, module.weight), nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, module.bias))
        # An untrained one answers with (nearly) no relief, though features grow with each pass.
        nn.init.normal_(self.joined.weight, std=1e-3 / 4 ** (passes - 1))
        nn.init.zeros_(cast(Tensor, self.joined.bias))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, S, S) to (B, 1, S, S)."""
        given = F.pixel_unshuffle(maps, self.packed) if self.packed > 1 else maps
        decoded: list[Tensor] = []  # f_1 ... of the pass before
        answers = []
        for _ in range(self.passes):
            decoded = self._decoded(self._encoded(given, self._fed_back(decoded)))
            answers.append(self.last(decoded[0]))
        answer = torch.tanh(self.joined(torch.cat(answers, 1)))
        return F.pixel_shuffle(answer, self.packed) if self.packed > 1 else answer

    def _encoded(self, given: Tensor, back: list[Tensor]) -> list[Tensor]:
        """x_1 ...; `back` are D(f_1) ..., or nothing in the first pass."""
        levels = [F.relu(self.encoder[0](given))]
        for index, layer in enumerate(self.encoder[1:]):
            seen = levels[-1] + back[index] if back else levels[-1]
            levels.append(F.relu(layer(seen)))
        return levels

    def _decoded(self, levels: list[Tensor]) -> list[Tensor]:
        """f_1 ... (equation 8), the deepest of which is made of what was encoded last."""
        decoded = [levels[-1]]
        for layer, skip in zip(self.decoder[::-1], levels[-2::-1], strict=True):
            decoded.append(F.relu(layer(decoded[-1])) + skip)
        return decoded[:0:-1]

    def _fed_back(self, decoded: list[Tensor]) -> list[Tensor]:
        """D(f_i) of equation 6 for i from 1: f_i, and what comes down from all finer ones."""
        sums = list(decoded)
        for start, chain in enumerate(self.feedback if decoded else ()):
            down = decoded[start]
            for level, layer in enumerate(cast(nn.ModuleList, chain), start + 1):
                down = F.relu(layer(down))
                sums[level] = sums[level] + down
        return sums


def channels_of(names: Sequence[str]) -> list[int]:
    """Places of the channels called `names` among those of `geometry.laid_out.CHANNELS`."""
    starts, at = {}, 0
    for name, count in CHANNELS.items():
        starts[name] = range(at, at + count)
        at += count
    return [index for name in names for index in starts[name]]


def _halving(width: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(width, out, 3, 2, 1)
