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
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from facerelief.data import basel
from facerelief.data.basel import Scan
from facerelief.data.folders import data_root
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.basel_pictures import SIZE, Light, Pose, in_picture, show
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.report import labelled, number, spread, table
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry import position
from facerelief.geometry.camera import camera_space
from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import builtin_head
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.uv import skin_layout
from facerelief.types import Crop

MEAN_HEAD = "mean-head"
YAWS = (0, 20, 40, 60, 80)  # degrees, to both sides
PITCHES = (-15, 0, 20, 25)  # the paper's, and none
FRONTAL, LARGE = 20, 60  # degrees of yaw: up to one a pose counts as small, from the other as large
ROUNDS = 60  # of iterative closest points, at most
INNER = tuple(range(17, 68))  # landmarks: jaws are drawn differently everywhere
_STILL = 1e-5  # change of scale in a round, under which they end
PATIENT = 200  # rounds, all of them, where the start is the pose alone
_SCORED, _LAID = 3, 11  # every so many of a scan's vertices are measured, and laid on the mesh
_LAMP = Light("frontal", np.full(3, 0.6), np.array([0.0, 0.5, 1.0]) / np.hypot(0.5, 1.0),
              np.full(3, 0.35))  # fmt: skip
_PICTURE = Crop((SIZE / 2, SIZE / 2), SIZE, size=SIZE)  # is its own photo


@dataclass(frozen=True, eq=False)
class Turned:
    """A scan in a picture."""

    scan: Scan
    yaw: int
    pitch: int
    rotation: NDArray[np.float64]  # (3, 3) head space to camera space
    crop: NDArray[np.uint8]  # (256, 256, 3), the whole picture

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.scan.name}_yaw{self.yaw:+03d}_pitch{self.pitch:+03d}"


class Reconstruction(Protocol[str, list[Turned], dict[str, Any]]):
    """Of systems that make shapes, one scan after the other.

    Args: limit: take the first so many poses of each scan.
    """

    name = "reconstruction"
    reserved = (MEAN_HEAD,)
    csv = "pictures.csv"
    answers = staticmethod(predictors.shapes)
    everything = staticmethod(predictors.shape_systems)
    #: Yaw and pitch, degrees, of each picture.
    poses: ClassVar[Sequence[tuple[int, int]]] = tuple(
        (side * yaw, pitch)
        for yaw in YAWS
        for side in ((1, -1) if yaw else (1,))
        for pitch in PITCHES
    )

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def keys(self) -> list[str]:
        return basel.scan_names(data_root())

    def load(self, key: str) -> list[Turned]:
        return list(turned(basel.load_scan(data_root(), key), self.poses[: self.limit]))

    def pictures(self, subject: list[Turned]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        return [one.name for one in subject], [one.crop for one in subject]

    def floors(self) -> dict[str, Floor[list[Turned]]]:
        mesh, points = skin_mesh(), camera_space(mean_head())
        head = {"vertices": points, "triangles": mesh.triangles[mesh.face_triangles],
                "landmarks": points[mesh.landmarks]}  # fmt: skip
        return {MEAN_HEAD: lambda shown: [head] * len(shown)}

    def score(self, folder: Path, subject: list[Turned]) -> list[dict[str, Any]]:
        """``error`` is None where there is no answer."""
        known: dict[bytes, float] = {}  # the mean head's is always the same
        rows = []
        for one in subject:
            mesh = predictions.read_mesh(folder, one.name, _PICTURE)
            found = None
            if mesh is not None:
                rough = mesh.landmarks is None
                marks = start(mesh.vertices, one) if mesh.landmarks is None else mesh.landmarks
                place = mesh.vertices.tobytes() + marks.tobytes()
                if place not in known:
                    points, marks = map(camera_space, (mesh.vertices, marks))
                    known[place] = self.measured(points, one.scan, mesh.triangles, marks, rough)
                found = known[place]
            rows.append({"scan": one.scan.name, "yaw": one.yaw, "pitch": one.pitch, "error": found})
        return rows

    @staticmethod
    def measured(
        points: NDArray[np.floating[Any]],
        scan: Scan,
        triangles: NDArray[np.integer[Any]],
        landmarks: NDArray[np.floating[Any]],
        rough: bool,
    ) -> float:
        """What one mesh is scored by; arguments are those of `error`."""
        return error(points, scan, triangles, landmarks, rough)

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return summary(scores)

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        scans = list(dict.fromkeys(row["scan"] for row in scores))
        return {"scans": scans, "pictures": len(scores), "floors": list(self.reserved)}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = labelled(results["systems"], results["floors"])
        yaws = list(next(iter(systems.values()))["yaws"])
        rows = (
            [
                label,
                *(spread(system["yaws"][yaw]) for yaw in yaws),
                *(spread(system.get(name)) for name in ("frontal", "large", "all")),
                number(ratio(system)),
            ]
            for label, system in systems.items()
        )
        poses = [f"To {FRONTAL}°", f"From {LARGE}°", "All", "Large over small"]
        return f"""\
Distance of the faces of {len(results["scans"])} scans from the meshes found in \
{results["pictures"]} renderings of them, in percent of the distance of the eyes' outer corners, \
± standard errors, by yaw; and those of large poses over those of small ones.

{table(["System", *(f"{yaw}°" for yaw in yaws), *poses], rows)}
"""


def turned(scan: Scan, angles: Sequence[tuple[int, int]]) -> Iterator[Turned]:
    """A scan turned by yaws and pitches, degrees, under one lamp and an even sky."""
    poses = [
        Pose("reconstruction", f"{yaw}", _rotation(yaw, pitch), (_LAMP,)) for yaw, pitch in angles
    ]
    for (yaw, pitch), one in zip(angles, show(scan, poses), strict=True):
        yield Turned(scan, yaw, pitch, one.pose.rotation, one.photos[0])


def mean_head() -> NDArray[np.float32]:
    """(M, 3) of `skin_mesh`, mm, with skin over eyes and mouth as maps have it."""
    return position.read(skin_layout(SUBDIVISIONS, 256).write(builtin_head().mean))


def start(vertices: NDArray[np.floating[Any]], one: Turned) -> NDArray[np.float64]:
    """Where landmarks (68, 3) must be about of a mesh without: crop pixels, as its vertices.

    Where the scan's own are in the picture, as deep as the mesh is there.
    """
    marks = in_picture(one.scan.landmarks, one.scan, one.rotation)
    near = cKDTree(vertices[:, :2]).query(marks[:, :2], k=min(8, len(vertices)))[1]
    front = vertices[near.reshape(68, -1), 2].max(axis=1)
    marks[:, 2] += np.median(front - marks[:, 2])
    return marks


def error(
    points: NDArray[np.floating[Any]],
    scan: Scan,
    triangles: NDArray[np.integer[Any]] | None = None,
    landmarks: NDArray[np.floating[Any]] | None = None,
    patient: bool = False,
) -> float:
    """Percent of the distance of the eyes' outer corners: the mean of `distances`.

    Args:
        points: (V, 3) in any place, size and right-handed frame.
        triangles, landmarks: (T, 3) of the face, and (68, 3) about where it is laid at first; None
            are those of `skin_mesh`.
        patient: the start is rough.
    """
    mesh, corners = skin_mesh(), scan.landmarks[[36, 45]]
    if triangles is None or landmarks is None:
        triangles, landmarks = mesh.triangles[mesh.face_triangles], points[mesh.landmarks]
    found = distances(points, scan, triangles, landmarks, INNER, patient)
    return float(100 * found.mean() / np.linalg.norm(corners[0] - corners[1]))


def distances(
    points: NDArray[np.floating[Any]],
    scan: Scan,
    triangles: NDArray[np.integer[Any]],
    landmarks: NDArray[np.floating[Any]],
    marks: Sequence[int],
    patient: bool = False,
) -> NDArray[np.floating[Any]]:
    """(K,) mm from every third vertex of the scan's face to the nearest point of a mesh.

    The scan is laid on the mesh by some of the 68 landmarks, `marks`, and then by iterative closest
    points: turned, moved and made larger or smaller. Other arguments are those of `error`.
    """
    # Scans are moved to meshes and not meshes to scans, so that one search tree does.
    search = ClosestPoints(points, triangles)
    face, chosen = scan.vertices[scan.face], list(marks)
    laid = Similarity.between(scan.landmarks[chosen], landmarks[chosen])
    some = face[::_LAID]
    for _ in range(PATIENT if patient else ROUNDS):
        before = laid
        laid = Similarity.between(some, search(laid(some)).points)
        if abs(laid.scale / before.scale - 1) < _STILL and not patient:
            break
    return search(laid(face[::_SCORED])).distance / laid.scale


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means of the error, in percent: near the front, far from it, and by yaw to both sides.

    And ``missed``: how many pictures have no answer.
    """
    return {
        "frontal": mean_and_error(row["error"] for row in rows if abs(row["yaw"]) <= FRONTAL),
        "large": mean_and_error(row["error"] for row in rows if abs(row["yaw"]) >= LARGE),
        "yaws": {
            str(yaw): mean_and_error(row["error"] for row in rows if abs(row["yaw"]) == yaw)
            for yaw in YAWS
        },
        "all": mean_and_error(row["error"] for row in rows),
        "missed": sum(row["error"] is None for row in rows),
    }


def ratio(figures: dict[str, Any]) -> float | None:
    """Error of large poses over that of small ones, of a `summary`; None where one is not known."""
    large, small = figures.get("large"), figures["frontal"]
    return large["mean"] / small["mean"] if large and small and small["mean"] else None


def _rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """(3, 3) head space to camera space; positive pitch turns the face down."""
    turn: NDArray[np.float64] = Rotation.from_euler("YX", (yaw, pitch), degrees=True).as_matrix()
    return turn
