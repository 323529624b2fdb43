"""Point-to-point distances of coarse and detailed meshes, mm, on renderings of real scans.

The protocol of Chen et al. (2020) on the MICC scans, which the full-pose paper's table 2 follows
(its appendix E): the scan's face, up to 95 mm from the tip of its nose, is laid on the mesh by
seven points (corners of the eyes and of the mouth, and under the nose), then by iterative closest
points; what counts is the distance of its vertices from the nearest points of the mesh. Meshes made
of a photo have no size of their own: it is fitted too, as NoW does (Sanyal et al., CVPR 2019).

``system+kind`` is a system's mesh with a kind of relief in its vertices; beside it stands what that
adds to the distances of the same pictures without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.data.basel import Scan
from facerelief.evaluate import predictors
from facerelief.evaluate.reconstruction import Reconstruction, distances, summary
from facerelief.evaluate.report import labelled, spread, table
from facerelief.evaluate.scores import mean_and_error

#: Corners of the eyes and the mouth, and the foot of the nose's bridge, of the 68.
SEVEN = (36, 39, 42, 45, 33, 48, 54)
_POSES = ("frontal", "large")


class PointToPoint(Reconstruction):
    """Of systems that make shapes. Args: limit: take the first so many poses of each scan."""

    name = "p2p"
    everything = staticmethod(predictors.detailed_systems)
    poses = tuple((yaw, 0) for yaw in (0, 60, 20, -60, -20, 80, -80))

    @staticmethod
    def measured(
        points: NDArray[np.floating[Any]],
        scan: Scan,
        triangles: NDArray[np.integer[Any]],
        landmarks: NDArray[np.floating[Any]],
        rough: bool,
    ) -> float:
        """mm."""
        return float(distances(points, scan, triangles, landmarks, SEVEN, rough).mean())

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """`reconstruction.summary` in mm, and ``errors`` of all pictures in their order."""
        each = [row["error"] if row["error"] is None else round(row["error"], 5) for row in scores]
        return {**summary(scores), "errors": each}

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {**super().facts(scores), "yaws": [row["yaw"] for row in scores]}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = results["systems"]
        added = {
            label: relief(system["errors"], systems[coarse]["errors"])
            for label, system in systems.items()
            if (coarse := label.rpartition("+")[0]) in systems
        }
        rows = (
            [
                label,
                *(spread(system[pose]) for pose in _POSES),
                spread(system["all"]),
                spread(added.get(label)) if label in added else "",
            ]
            for label, system in labelled(systems, results["floors"]).items()
        )
        headings = ["System", "Small pose", "Large pose", "All", "Relief adds"]
        return f"""\
Distance in mm of the faces of {len(results["scans"])} scans, to 95 mm from the tip of the nose, \
from the meshes found in {results["pictures"]} renderings of them, ± standard errors: yaw to 20 \
degrees, of 60 and 80, all; and how much farther relief brings the same pictures' meshes.

{table(headings, rows)}
"""


def relief(
    detailed: Sequence[float | None], coarse: Sequence[float | None]
) -> dict[str, float] | None:
    """Mean and standard error of what relief adds to the errors of the same pictures."""
    pairs = zip(detailed, coarse, strict=True)
    return mean_and_error(a - b for a, b in pairs if a is not None and b is not None)
