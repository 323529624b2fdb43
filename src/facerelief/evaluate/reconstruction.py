"""Shape: meshes found in renderings of five real scans, against the scans.

PRNet's protocol on the Florence scans (Feng et al. 2018, section 4.3): renderings at yaws from -80
to 80 degrees and pitches of -15, 20 and 25 degrees; the mesh is laid on the scan by iterative
closest points; the error is the mean distance of the scan's face, up to 95 mm from the tip of its
nose, in percent of the distance of the eyes' outer corners. Distances are from the scan's vertices
to the nearest points of the mesh, whose size is not known and is fitted too.

The floor is the mean head, which is the same in every picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facerelief import __version__
from facerelief.data import basel
from facerelief.data.basel import Scan
from facerelief.data.folders import data_root
from facerelief.evaluate import protocol, report
from facerelief.evaluate.basel_pictures import Light, Pose, show
from facerelief.evaluate.groups import mean_and_error
from facerelief.files import make_folder
from facerelief.geometry import position
from facerelief.geometry.camera import camera_space
from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import builtin_head
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.uv import skin_layout

MEAN_HEAD = "mean-head"
YAWS = (0, 20, 40, 60, 80)  # degrees, to both sides
PITCHES = (-15, 0, 20, 25)  # the paper's, and none
FRONTAL = 20  # degrees of yaw, up to which a face counts as nearly frontal
ROUNDS = 60  # of iterative closest points, at most
_STILL = 1e-5  # change of scale in a round, under which they end
_SCORED, _LAID = 3, 11  # every so many of a scan's vertices are measured, and laid on the mesh
_LAMP = Light("frontal", np.full(3, 0.6), np.array([0.0, 0.5, 1.0]) / np.hypot(0.5, 1.0),
              np.full(3, 0.35))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Turned:
    """A scan in a picture."""

    scan: Scan
    yaw: int
    pitch: int
    crop: NDArray[np.uint8]  # (256, 256, 3)


def run_reconstruction(
    systems: Sequence[str],
    out: Path,
    *,
    threads: int | None = None,
    progress: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Score the shapes of systems that make position maps.

    Args:
        systems, out, threads, progress: as of `run_landmarks`; ``pictures.csv`` has the pictures.
        limit: take the first so many poses of each scan.

    Returns:
        What ``results.json`` holds.

    Raises:
        EvaluationError: a system makes no position maps. FileNotFoundError: the data is not there.
    """
    root = data_root()
    names = basel.scan_names(root)
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(systems, root, None, threads, (MEAN_HEAD,))
    make_folder(out)
    shown = [
        one
        for name in track(names, "renderings")
        for one in turned(basel.load_scan(root, name), limit)
    ]
    rows = []
    for name in names:
        scan = basel.load_scan(root, name)
        mean = error(mean_head(), scan)
        rows += [_row(MEAN_HEAD, one, mean) for one in shown if one.scan.name == name]
    for entrant in entrants:
        found = protocol.skins([one.crop for one in shown], entrant)
        for one, skin in track(zip(shown, found, strict=True), entrant.label):
            points = camera_space(skin.points)
            rows.append(_row(entrant.label, one, error(points, one.scan)))
    about = {entrant.label: entrant.about for entrant in entrants}
    results: dict[str, Any] = {
        "protocol": "reconstruction",
        "version": __version__,
        "scans": names,
        "pictures": len(shown),
        "floors": [MEAN_HEAD],
        "systems": {
            label: {**about.get(label, {}), **summary([r for r in rows if r["system"] == label])}
            for label in (MEAN_HEAD, *about)
        },
    }
    protocol.write_results(out, results, report.reconstruction_markdown(results))
    protocol.write_rows(out / "pictures.csv", rows)
    return results


def turned(scan: Scan, limit: int | None = None) -> Iterator[Turned]:
    """A scan in all poses of the protocol, under one lamp and an even sky."""
    angles = [
        (side * yaw, pitch) for yaw in YAWS for side in ((1, -1) if yaw else (1,))
        for pitch in PITCHES
    ][:limit]  # fmt: skip
    poses = [
        Pose("reconstruction", f"{yaw}", _rotation(yaw, pitch), (_LAMP,)) for yaw, pitch in angles
    ]
    for (yaw, pitch), one in zip(angles, show(scan, poses), strict=True):
        yield Turned(scan, yaw, pitch, one.photos[0])


def mean_head() -> NDArray[np.float32]:
    """(M, 3) of `skin_mesh`, mm, with skin over eyes and mouth as maps have it."""
    return position.read(skin_layout(SUBDIVISIONS, 256).write(builtin_head().mean))


def error(points: NDArray[np.floating[Any]], scan: Scan) -> float:
    """Percent of the distance of the eyes' outer corners.

    Args:
        points: (M, 3) of `skin_mesh`, in any place, size and right-handed frame.
    """
    mesh = skin_mesh()
    # Scans are moved to meshes and not meshes to scans, so that one search tree does.
    search = ClosestPoints(points, mesh.triangles[mesh.face_triangles])
    face, corners = scan.vertices[scan.face], scan.landmarks[[36, 45]]
    inner = slice(17, None)  # jaws are drawn differently everywhere
    laid = Similarity.between(scan.landmarks[inner], points[mesh.landmarks][inner])
    some = face[::_LAID]
    for _ in range(ROUNDS):
        before = laid
        laid = Similarity.between(some, search(laid(some)).points)
        if abs(laid.scale / before.scale - 1) < _STILL:
            break
    distance = search(laid(face[::_SCORED])).distance.mean() / laid.scale
    return float(100 * distance / np.linalg.norm(corners[0] - corners[1]))


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means of the error, in percent: near the front, and by yaw to both sides."""
    return {
        "frontal": mean_and_error(row["error"] for row in rows if abs(row["yaw"]) <= FRONTAL),
        "yaws": {
            str(yaw): mean_and_error(row["error"] for row in rows if abs(row["yaw"]) == yaw)
            for yaw in YAWS
        },
        "all": mean_and_error(row["error"] for row in rows),
    }


def _rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """(3, 3) head space to camera space; positive pitch turns the face down."""
    turn: NDArray[np.float64] = Rotation.from_euler("YX", (yaw, pitch), degrees=True).as_matrix()
    return turn


def _row(label: str, one: Turned, found: float) -> dict[str, Any]:
    return {"system": label, "scan": one.scan.name, "yaw": one.yaw, "pitch": one.pitch,
            "error": found}  # fmt: skip
