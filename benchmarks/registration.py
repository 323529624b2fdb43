"""How far ICT-FaceKit's heads, registered to the built-in head, lie from the true ones.

    FACERELIEF_DATA=... python benchmarks/registration.py [--heads N]

Random heads of both models from the same coefficients, half of them neutral and half with four
random expressions. Points spread evenly over one surface are measured to the nearest of the other,
both ways: ours to theirs says whether what we render is true, theirs to ours whether anything is
missing. Regions are the built-in head's; what does not show from outside is left out, and so are
the shoulders, which lie beyond the border of the built-in head.

Normals are compared at the same points: the smooth normals that renderings are made with.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from tables import write

from facerelief.cache import cache_folder
from facerelief.data.ict import lay_head_on_ict, load_ict, registered_ict
from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.mesh import face_areas, vertex_normals
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.registration import border_vertices, seen_from_outside

POINTS = 10_000  # on each surface
EXPRESSIONS = 4  # at a time
REGIONS = ("face", "forehead", "eyelids", "nose", "lips", "cheeks", "chin", "jaw", "ears", "neck",
           "scalp")  # fmt: skip


class Mesh:
    """What is seen of a model's skin, with points spread evenly over its mean."""

    def __init__(self, model: MorphableModel, rng: np.random.Generator) -> None:
        skin = model.regions["skin"]
        seen = skin & seen_from_outside(model.mean, model.triangles)
        self.skin = model.triangles[skin[model.triangles].all(axis=1)]
        self.border = border_vertices(self.skin, len(model.mean))
        shown = model.triangles[seen[model.triangles].all(axis=1)]
        areas = face_areas(model.mean, shown)
        self.corners = shown[rng.choice(len(shown), POINTS, p=areas / areas.sum())]
        self.weights = rng.dirichlet((1, 1, 1), POINTS)

    def at_points(self, values: np.ndarray) -> np.ndarray:
        """Values (V, C) of the vertices at the points."""
        return np.einsum("pc,pcx->px", self.weights, values[self.corners])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def compare(a: np.ndarray, mesh_a: Mesh, b: np.ndarray, mesh_b: Mesh) -> tuple[np.ndarray, ...]:
    """Of the points of `a`: distance to `b` in mm, angle between the normals, the nearest vertices
    on `a` and on `b`; points beyond the border of `b` are left out."""
    found = ClosestPoints(b, mesh_b.skin)(mesh_a.at_points(a))
    met = mesh_b.skin[found.triangle]
    normals_a = unit(mesh_a.at_points(vertex_normals(a, mesh_a.skin)))
    normals_b = unit(
        np.einsum("pc,pcx->px", found.barycentrics, vertex_normals(b, mesh_b.skin)[met])
    )
    cosine = np.clip((normals_a * normals_b).sum(axis=1), -1, 1)
    nearest = met[np.arange(len(met)), found.barycentrics.argmax(axis=1)]
    within = ~mesh_b.border[nearest]
    own = mesh_a.corners[np.arange(POINTS), mesh_a.weights.argmax(axis=1)]
    columns = found.distance, np.degrees(np.arccos(cosine)), own, nearest
    return tuple(column[within] for column in columns)


def coefficients(
    model: BuiltinHead, ict: MorphableModel, neutral: bool, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """An identity, and the weights of expressions that both have."""
    identity = rng.standard_normal(len(ict.identity))
    if neutral:
        return identity, {}
    shared = [name for name in ict.expression_names if name != "mouthClose"]
    chosen = rng.choice(shared, EXPRESSIONS, replace=False)
    return identity, {str(name): float(rng.uniform(0.2, 0.8)) for name in chosen}


def summary(distances: np.ndarray, angles: np.ndarray) -> dict[str, float]:
    return {
        "mean": round(float(distances.mean()), 4),
        "p95": round(float(np.quantile(distances, 0.95)), 4),
        "normal_mean": round(float(angles.mean()), 2),
        "normal_p95": round(float(np.quantile(angles, 0.95)), 2),
    }


def region_masks(model: BuiltinHead) -> dict[str, np.ndarray]:
    masks = {name: model.regions[name] for name in REGIONS if name in model.regions}
    lips = [mask for name, mask in model.regions.items() if name.startswith("lips")]
    return {**masks, "lips": np.any(lips, axis=0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--heads", type=int, default=20)
    options = parser.parse_args()
    root = os.environ.get("FACERELIEF_DATA")
    if not root:
        parser.error("FACERELIEF_DATA names no data folder")
    ict = load_ict(Path(root))
    ours = registered_ict(Path(root), cache_folder())
    laid = lay_head_on_ict(ict, builtin_head(1))
    # The registered model's origin is elsewhere: the same vertices say where.
    shift = np.median(laid.vertices[laid.matched] - ours.mean[laid.matched], axis=0)

    rng = np.random.default_rng(0)
    mesh_ours, mesh_ict = Mesh(ours, rng), Mesh(ict, rng)
    masks = region_masks(ours)
    kinds: dict[str, dict[str, list[tuple[np.ndarray, ...]]]] = {}
    for index in track(range(options.heads), "heads", transient=True):
        neutral = index % 2 == 0
        identity, weights = coefficients(ours, ict, neutral, rng)
        here = ours.vertices(identity, ours.expression_weights(**weights)) + shift
        there = ict.vertices(identity, ict.expression_weights(**weights))
        rows = kinds.setdefault("neutral" if neutral else "expressions", {})
        rows.setdefault("ours to theirs", []).append(compare(here, mesh_ours, there, mesh_ict))
        rows.setdefault("theirs to ours", []).append(compare(there, mesh_ict, here, mesh_ours))

    result: dict[str, Any] = {"heads": options.heads, "regions": {}}
    for kind, directions in kinds.items():
        for direction, rows in directions.items():
            distance, angle, *ends = (np.concatenate(part) for part in zip(*rows, strict=True))
            vertex = ends[0] if direction == "ours to theirs" else ends[1]  # of ours
            table = {
                name: summary(distance[mask[vertex]], angle[mask[vertex]])
                for name, mask in masks.items()
                if mask[vertex].any()
            }
            result["regions"][f"{kind}, {direction}"] = table
            print(f"{kind}, {direction}")
            for name, row in table.items():
                print(
                    f"  {name:10s}" + "".join(f"  {key} {value:7.3f}" for key, value in row.items())
                )
    face = [table["face"]["mean"] for table in result["regions"].values()]
    result["face_mean"] = round(max(face), 4)
    print(f"face, worst of these: {result['face_mean']:.3f} mm")
    if not os.environ.get("DRY"):
        write("registration", result)


if __name__ == "__main__":
    main()
