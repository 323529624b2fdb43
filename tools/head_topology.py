"""Which part of MakeHuman's base mesh is the head, and what its parts are called."""

from __future__ import annotations

from dataclasses import dataclass

import makehuman
import numpy as np

MM = 105.0  # of a MakeHuman unit: with the nominal 100 heads come out small

GROUPS = ("helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth",
          "helper-tongue")  # fmt: skip
LASHES = np.arange(14742, 14992)  # helpers that eyelash meshes hang on: vertices, never drawn
LEFT_EYE_JOINT, RIGHT_EYE_JOINT = np.arange(13606, 13614), np.arange(13614, 13622)


@dataclass(frozen=True, eq=False)
class Topology:
    """The head's own numbering. `slide` moves the cut edge onto a smooth curve."""

    vertices: np.ndarray  # (V,) of the base mesh
    quads: np.ndarray  # (Q, 4)
    uv: np.ndarray  # (U, 2) MakeHuman's
    uv_quads: np.ndarray  # (Q, 4)
    symmetry: np.ndarray  # (V,)
    groups: np.ndarray  # (Q,) 0 is the body's skin, then GROUPS
    slide_to: np.ndarray  # (V,) of the base mesh: where a cut vertex moves to
    slide_by: np.ndarray  # (V,) how far, 0 to 1


def cut_level(points: np.ndarray) -> np.ndarray:
    """Above the cut, hundredths of a unit: below the collar bones and up over the shoulders."""
    x, y, z = np.moveaxis(points * 100, -1, 0)
    return y - (566 + 0.6 * np.maximum(np.abs(x) - 50, 0) - 0.3 * (z - 20))


def cut_out(base: makehuman.BaseMesh) -> Topology:
    """The head of the base mesh."""
    level = cut_level(base.vertices)
    body = base.quads["body"]
    kept = (level[body] > 0).all(axis=1)
    parts = [body[kept], *(base.quads[name] for name in GROUPS)]
    uv_parts = [base.uv_quads["body"][kept], *(base.uv_quads[name] for name in GROUPS)]
    groups = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    quads, uv_quads = np.concatenate(parts), np.concatenate(uv_parts)
    vertices = np.concatenate([np.unique(quads), LASHES])
    number = np.full(makehuman.VERTICES, -1)
    number[vertices] = np.arange(len(vertices))
    uv_used, uv_numbered = np.unique(uv_quads, return_inverse=True)

    # A kept vertex at the cut moves along an edge (else a diagonal) towards one that went.
    slide_to, slide_by = vertices.copy(), np.zeros(len(vertices))
    for steps in (2, 1):  # sides last: they win
        for corner in range(4):
            for turn in {steps, -steps}:
                here, there = body[:, corner], body[:, (corner + turn) % 4]
                cut = ~kept & np.isin(here, body[kept]) & (level[there] <= 0)
                slide_to[number[here[cut]]] = there[cut]
                slide_by[number[here[cut]]] = (level[here] / (level[here] - level[there]))[cut]
    return Topology(
        vertices,
        number[quads],
        base.uv[uv_used],
        uv_numbered.reshape(quads.shape),
        number[base.symmetry[vertices]],
        groups,
        slide_to,
        slide_by,
    )
