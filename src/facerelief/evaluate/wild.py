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

from facerelief import __version__
from facerelief.data import facemesh, photos
from facerelief.data.folders import cache_folder, data_root
from facerelief.evaluate import predictors, protocol, report
from facerelief.evaluate.comparison import expanded
from facerelief.evaluate.groups import mean_and_error, mesh_normals
from facerelief.evaluate.predictors import MEAN_MAP
from facerelief.files import make_folder
from facerelief.geometry.light import sh_basis, srgb_to_linear
from facerelief.geometry.normals import angular_error
from facerelief.images import load_photo

SOURCES = ("ffhq", "unsplash", "lfw", "utkface")
FACEMESH = "facemesh"  # the line of the mesh itself
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB (ITU-R BT.709)


@dataclass(frozen=True, eq=False)
class WildFace:
    """A face in a photograph, and where FaceMesh sees it."""

    path: str
    crop: NDArray[np.uint8]  # (256, 256, 3)
    smooth: NDArray[np.float32]  # (256, 256, 3) FaceMesh's normals
    mask: NDArray[np.bool_]  # (256, 256) its outline, within the photo


def run_wild(
    systems: Sequence[str],
    out: Path,
    *,
    threads: int | None = None,
    progress: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Estimate the normals of photographs and say how well they explain them.

    Args:
        systems: as of `run_table`, without folders of predictions.
        out: folder for ``results.json``, ``results.md`` and ``photographs.csv``; made if missing.
        threads, progress: as of `run_yaleb`.
        limit: take the first so many photographs.

    Returns:
        What ``results.json`` holds.

    Raises:
        FileNotFoundError: the data is not there. Else as `run_yaleb`.
    """
    root, cache = data_root(), cache_folder() / "yaleb"
    track = protocol.bar if progress else protocol.silent
    entrants = protocol.entrants(expanded(systems), root, None, threads, (MEAN_MAP, FACEMESH))
    make_folder(out)
    faces = list(track(wild_faces(root, limit), "photographs"))
    entrants.insert(0, predictors.mean_map(predictors.training_mean(root, cache)))
    estimates: dict[str, Any] = {FACEMESH: [(face.smooth, None) for face in faces]}
    crops = [face.crop for face in faces]
    for entrant in track(entrants, "systems"):
        estimates[entrant.label] = list(protocol.predict(crops, entrant))
    about = {entrant.label: entrant.about for entrant in entrants}
    rows = [
        (label, face.path, score(face, normals, expected))
        for label, made in estimates.items()
        for face, (normals, expected) in zip(faces, made, strict=True)
    ]
    results: dict[str, Any] = {
        "protocol": "wild",
        "version": __version__,
        "photographs": len(faces),
        "floors": [FACEMESH, MEAN_MAP],
        "systems": {
            label: {
                **about.get(label, {}),
                **{
                    key: mean_and_error(found[key] for name, _, found in rows if name == label)
                    for key in ("explained", "disagreement", "expected_error")
                },
            }
            for label in estimates
        },
    }
    lines = [{"system": label, "photograph": path, **found} for label, path, found in rows]
    protocol.write_results(out, results, report.wild_markdown(results))
    protocol.write_rows(out / "photographs.csv", lines)
    return results


def wild_faces(root: Path, limit: int | None = None) -> list[WildFace]:
    """Faces of photographs that are kept from training, cropped by their FaceMesh points."""
    paths, points = facemesh.stored_points(root)
    triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))
    held = photos.held_out_paths(root)
    chosen = [i for i, p in enumerate(paths) if p in held and p.split("/")[0] in SOURCES]
    faces = []
    for index in sorted(chosen, key=lambda i: paths[i])[:limit]:
        photo = load_photo(root / "photos" / paths[index])
        crop = photos.landmark_crop(points[index])
        smooth, outline = mesh_normals(points[index], triangles, crop)
        mask = outline & crop.inside(photo.shape[:2])
        faces.append(WildFace(paths[index], crop.extract(photo), smooth, mask))
    return faces


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
