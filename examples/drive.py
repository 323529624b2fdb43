"""Drive another head with a photo's expression: coefficients by ARKit's names, and no more.

    python examples/drive.py portrait_coefficients.json -o driven.obj [--identity 2,-1,0.5]

`facerelief mesh portrait.jpg --system full_pose -o out` writes such a file. Its weights, by name,
are given to the built-in head (any other rig with ARKit's shapes takes them alike), which is turned
as the photo's head was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from facerelief.geometry.head import builtin_head
from facerelief.mesh_writing import WRITERS, Asset
from facerelief.types import Mesh


def driven(told: dict, identity: list[float]) -> Mesh:
    """The built-in head of an identity, with the expression and the turn of a photo's face."""
    head = builtin_head()
    weights = head.expression_weights(**told["expression"])
    turn = np.array(told["head_to_camera"]["rotation"], np.float32)
    vertices = head.vertices(identity or None, weights) @ turn.T
    return Mesh(vertices, head.triangles, scale="assumed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("coefficients", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="an .obj or .ply file")
    parser.add_argument("--identity", default="", help="coefficients of the head, with commas")
    options = parser.parse_args()
    identity = [float(x) for x in options.identity.split(",") if x]
    mesh = driven(json.loads(options.coefficients.read_text("utf-8")), identity)
    for name, content in WRITERS[options.out.suffix[1:]](Asset(mesh), options.out.stem).items():
        (options.out.parent / name).write_bytes(content)


if __name__ == "__main__":
    main()
