"""What does a batch of differentiable drawings cost?

    OMP_NUM_THREADS=1 python benchmarks/drawing.py [--repeats N]

Mean heads before a perspective camera, 12 a batch, under nine harmonics, with colours at the
vertices or a texture of 128 texels; processor time of one core: drawn alone, and drawn with the
gradients of all that they are made of.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from measuring import processor_seconds
from tables import write

from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.head import builtin_head
from facerelief.render.drawing import Pinhole, draw

BATCH = 12
FACE = 260.0  # mm that a picture shows, 800 mm away


def scene(fine: bool, size: int, with_texture: bool) -> tuple[list[torch.Tensor], Any]:
    """Leaves with gradients, and what draws them."""
    head = drawn_head(fine)
    triangles, uv = torch.from_numpy(head.triangles).long(), torch.from_numpy(head.uv)
    mean = torch.from_numpy(builtin_head(1, bases=False).mean[: head.count])
    generator = torch.Generator().manual_seed(0)
    places = torch.tensor([0.0, 30.0, -800.0]) + torch.randn(BATCH, 1, 3, generator=generator)
    basis = albedo_basis()
    if with_texture:
        colours = torch.from_numpy(basis.mean).permute(2, 0, 1)
    else:
        colours = torch.from_numpy(basis.vertex_albedo()[: head.count])
    leaves = [
        mean + places,
        torch.full((BATCH,), 800 * size / FACE),
        torch.full((BATCH, 2), size / 2),
        torch.randn(BATCH, 9, 3, generator=generator),
        colours.expand(BATCH, *colours.shape).contiguous(),
    ]
    for leaf in leaves:
        leaf.requires_grad_()

    def drawn() -> torch.Tensor:
        vertices, focal, centre, light, colour = leaves
        kind = {"texture": colour, "uv": uv} if with_texture else {"albedo": colour}
        return draw(vertices, triangles, Pinhole(focal, centre), (size, size), light, **kind).image

    return leaves, drawn


def measure(fine: bool, size: int, with_texture: bool, repeats: int) -> dict[str, Any]:
    _, drawn = scene(fine, size, with_texture)

    def alone() -> None:
        with torch.no_grad():
            drawn()

    def learned_from() -> None:
        drawn().square().mean().backward()

    head = drawn_head(fine)
    line: dict[str, Any] = {
        "vertices": head.count, "triangles": len(head.triangles), "size": size,
        "colours": "texture" if with_texture else "vertices",
    }  # fmt: skip
    for name, run in (("drawn_ms", alone), ("with_gradients_ms", learned_from)):
        run()
        times = [processor_seconds(run) for _ in range(repeats)]
        line[name] = round(1000 * float(np.median(times)), 1)
    return line


def main() -> None:
    """Measure and write results/drawing.json and its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    kinds = [(False, 112, False), (False, 128, False), (False, 128, True), (True, 128, False)]
    lines = [measure(*kind, repeats) for kind in kinds]
    write("drawing", {"batch": BATCH, "lines": lines})


if __name__ == "__main__":
    main()
