"""Find landmark schemes on the built-in head: src/facerelief/weights/landmark_schemes.npz.

    FACERELIEF_DATA=... python tools/build_landmark_schemes.py

* FaceMesh's 468 points of the skin are where `geometry.anchor_refinement` finds them on heads that
  were made from scans, as open photographs show them. Its irises lie on the membrane between the
  lids, where the mean head's eyes look ahead.
* The 106 points of JD-landmark (Liu et al., "Grand Challenge of 106-Point Facial Landmark
  Localization", 2019) are the 68 of iBUG, points between those of the jaw, and points of FaceMesh.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from trimesh.triangles import closest_point, points_to_barycentric

from facerelief.data import facemesh, pseudo_normals
from facerelief.data.folders import cache_folder, data_root
from facerelief.geometry import position
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.head import builtin_head
from facerelief.geometry.landmark_schemes import JD106_OF_68
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.uv import skin_layout

DESTINATION = Path(__file__).parents[1] / "src/facerelief/weights/landmark_schemes.npz"

#: Points of the 106 that the 68 lack, but for those of the jaw, as FaceMesh's.
JD106_OF_FACEMESH = {
    38: 55, 39: 65, 40: 52, 41: 53, 47: 283, 48: 282, 49: 295, 50: 285,  # lower edges of the brows
    55: 193, 56: 198, 57: 64, 63: 294, 64: 420, 65: 417,  # sides of the nose
    68: 159, 72: 145, 74: 468, 77: 386, 81: 374, 83: 473, 104: 468, 105: 473,  # lids and pupils
}  # fmt: skip


def closest(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> Anchors:
    """Places on `triangles` of `vertices` (V, 3), nearest to points (n, 3)."""
    corners = vertices[triangles].astype(float)
    index, shares = [], []
    for point in points:  # all of them: a membrane's triangles are of very different sizes
        near = closest_point(corners, np.repeat(point[None], len(corners), 0))
        index.append(np.linalg.norm(near - point, axis=1).argmin())
        shares.append(points_to_barycentric(corners[index[-1:]], near[index[-1:]])[0])
    return Anchors.on_triangles(triangles, index, np.clip(shares, 0, 1))


def build(root: Path, cache: Path) -> dict[str, np.ndarray]:
    head = builtin_head(SUBDIVISIONS)
    paths, points = facemesh.stored_points(root)
    mean = facemesh.mean_face(points[::12])
    people = pseudo_normals.training_head(root, cache)
    skin = pseudo_normals.facemesh_anchors(people, paths, points, mean, cache)
    # Some are found on an eyeball or a tooth, and belong on the rim before it.
    mesh = skin_mesh()
    outside = mesh.source[mesh.triangles[mesh.outer_triangles | ~mesh.face[mesh.triangles].all(1)]]
    off = ~np.isin(skin.vertices, mesh.source).all(axis=1)
    onto = closest(skin.of(people.mean)[off], people.mean, outside)
    skin.vertices[off], skin.weights[off] = onto.vertices, onto.weights
    print(f"{np.count_nonzero(off)} points moved from eyes and teeth to the skin")

    # Sockets as `position.read` spreads them.
    spread = head.mean.copy()
    spread[mesh.source] = position.read(skin_layout(SUBDIVISIONS, 256).write(head.mean))
    membranes = mesh.source[mesh.triangles[mesh.inner[mesh.triangles].any(axis=1)]]
    irises = Anchors.on_triangles(
        head.triangles,
        head.facemesh_triangles[facemesh.SKIN_POINTS :],
        head.facemesh_barycentrics[facemesh.SKIN_POINTS :],
    )
    eyes = closest(irises.of(head.mean), spread, membranes)
    all_478 = joined(skin, eyes)

    all_106 = Anchors.at_vertices(np.zeros(106, int))
    all_106.vertices[list(JD106_OF_68)] = head.landmarks[:, None]
    for own, theirs in JD106_OF_FACEMESH.items():
        all_106.vertices[own], all_106.weights[own] = (
            all_478.vertices[theirs], all_478.weights[theirs]
        )  # fmt: skip
    jaw = head.mean[head.landmarks[:17]]
    between = closest((jaw[1:] + jaw[:-1]) / 2, head.mean, outside)
    all_106.vertices[1:33:2], all_106.weights[1:33:2] = between.vertices, between.weights
    return {
        f"{name}_{field}": getattr(anchors, field).astype(kind)
        for name, anchors in (("facemesh", all_478), ("jd106", all_106))
        for field, kind in (("vertices", np.uint16), ("weights", np.float32))
    }


def joined(first: Anchors, second: Anchors) -> Anchors:
    return Anchors(
        np.concatenate([first.vertices, second.vertices]),
        np.concatenate([first.weights, second.weights]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DESTINATION)
    args = parser.parse_args()
    np.savez_compressed(args.output, **build(data_root(), cache_folder()))
    print(f"{args.output}: {os.path.getsize(args.output) / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
