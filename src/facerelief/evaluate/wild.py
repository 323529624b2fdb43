"""Photographs as people take them, without truth: which normals explain the picture best?

Two things are measured on photographs that no training has seen (`photos.held_out_paths`). The
share of a face's brightness that its normals explain: under the light that fits best, second-order
harmonics of the normals as Ramamoorthi and Hanrahan (2001) have them, what is left is albedo,
shadow and wrong shape, and the first two are the same for every system. And the angle to the smooth
normals of MediaPipe's FaceMesh, a model's opinion. FaceMesh's own mesh has a line of its own: a
network that explains more than it has seen something in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.data import facemesh, photos
from facerelief.data.folders import data_root
from facerelief.evaluate import predictions, predictors
from facerelief.evaluate.groups import mesh_normals
from facerelief.evaluate.predictors import MEAN_MAP
from facerelief.evaluate.protocol import Floor, Protocol
from facerelief.evaluate.report import labelled, spread, table
from facerelief.evaluate.scores import mean_and_error
from facerelief.geometry.light import LUMINANCE, sh_basis, srgb_to_linear
from facerelief.geometry.normals import angular_error
from facerelief.images import load_photo

SOURCES = ("ffhq", "unsplash", "lfw", "utkface")
FACEMESH = "facemesh"  # the line of the mesh itself
_BATCH = 16  # faces at a time


@dataclass(frozen=True, eq=False)
class WildFace:
    """A face in a photograph, and where FaceMesh sees it."""

    path: str
    crop: NDArray[np.uint8]  # (256, 256, 3)
    smooth: NDArray[np.float32]  # (256, 256, 3) FaceMesh's normals
    mask: NDArray[np.bool_]  # (256, 256) its outline, within the photo


class Wild(Protocol[Sequence[int], list[WildFace], dict[str, Any]]):
    """Args: limit: take the first so many photographs."""

    name = "wild"
    reserved = (FACEMESH, MEAN_MAP)
    kept = False

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def keys(self) -> list[Sequence[int]]:
        """Photographs that are kept from training, by their place among FaceMesh's."""
        root = data_root()
        self.paths, self.points = facemesh.stored_points(root)
        self.triangles = facemesh.triangulate(facemesh.mean_face(self.points[::12]))
        held = photos.held_out_paths(root)
        chosen = [i for i, p in enumerate(self.paths) if p in held and p.split("/")[0] in SOURCES]
        chosen = sorted(chosen, key=lambda i: self.paths[i])[: self.limit]
        return [chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)]

    def load(self, key: Sequence[int]) -> list[WildFace]:
        return [self.face(index) for index in key]

    def face(self, index: int) -> WildFace:
        """Cropped by its FaceMesh points."""
        photo = load_photo(data_root() / "photos" / self.paths[index])
        crop = photos.landmark_crop(self.points[index])
        smooth, outline = mesh_normals(self.points[index], self.triangles, crop)
        mask = outline & crop.inside(photo.shape[:2])
        return WildFace(self.paths[index], crop.extract(photo), smooth, mask)

    def pictures(self, subject: list[WildFace]) -> tuple[list[str], list[NDArray[np.uint8]]]:
        return [face.path for face in subject], [face.crop for face in subject]

    def floors(self) -> dict[str, Floor[list[WildFace]]]:
        return {
            FACEMESH: lambda faces: [{"normals": face.smooth} for face in faces],
            MEAN_MAP: lambda faces: predictors.mean_map(len(faces)),
        }

    def score(self, folder: Path, subject: list[WildFace]) -> list[dict[str, Any]]:
        rows = []
        for face in subject:
            normals, expected = predictions.read(folder, face.path, face.mask.shape)
            rows.append({"photograph": face.path, **score(face, normals, expected)})
        return rows

    def tabulate(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        keys = ("explained", "disagreement", "expected_error")
        return {key: mean_and_error(one[key] for one in scores) for key in keys}

    def facts(self, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"photographs": len(scores), "floors": list(self.reserved)}

    @staticmethod
    def table(results: dict[str, Any]) -> str:
        systems = labelled(results["systems"], results["floors"])
        rows = (
            [
                label,
                spread(system["explained"], " %"),
                spread(system["disagreement"]),
                spread(system["expected_error"]),
            ]
            for label, system in systems.items()
        )
        headings = ["System", "Brightness explained", "From FaceMesh", "Expected error"]
        return f"""\
{results["photographs"]} photographs that no training has seen, ± standard errors: how much of the \
face's brightness the normals explain under the light that fits best, and in degrees the mean \
angle to FaceMesh's smooth normals, which are no truth, and the error that the network expects.

{table(headings, rows)}
"""


def score(
    face: WildFace, normals: NDArray[np.float32], expected: NDArray[np.float32] | None
) -> dict[str, float | None]:
    """``explained`` (%), ``disagreement`` and ``expected_error`` (degrees) of one photograph."""
    answered = face.mask & normals.any(axis=-1)
    if np.count_nonzero(answered) < 100:
        return {"explained": None, "disagreement": None, "expected_error": None}
    angle = angular_error(normals[answered], face.smooth[answered])
    return {
        "explained": round(100 * explained(face.crop[answered], normals[answered]), 3),
        "disagreement": round(float(np.mean(angle)), 3),
        "expected_error": None if expected is None else round(float(expected[answered].mean()), 3),
    }


def explained(pixels: NDArray[np.uint8], normals: NDArray[np.floating[Any]]) -> float:
    """Share of the variance of linear brightness that a light on the normals (N, 3) explains.

    0 to 1: least squares on the nine harmonics, the first of which is constant. Turning or
    mirroring all normals at once changes nothing, since the light turns with them.
    """
    bright = srgb_to_linear(pixels / 255.0) @ LUMINANCE
    basis = sh_basis(np.asarray(normals, np.float64))
    found = np.linalg.lstsq(basis, bright, rcond=None)[0]
    left, total = np.var(bright - basis @ found), np.var(bright)
    return float(1 - left / total) if total > 1e-9 else 0.0
