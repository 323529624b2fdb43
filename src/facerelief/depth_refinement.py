"""A face's depth, made one surface with the normals that its photo tells.

Everything happens on the pixels of the face's crop: where the sensor's distances lie there is
found (`geometry.depth_registration`), and both are put together (`geometry.depth_fusion`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, DoubleArray, FloatArray
from facerelief.crops import Crop
from facerelief.depth_cameras import Calibration
from facerelief.depth_files import DepthError, DepthMap
from facerelief.geometry.depth_fusion import FusionOptions, fused
from facerelief.geometry.depth_registration import (
    blurred,
    grid_triangles,
    laid,
    shift_between,
    surface_normals,
)
from facerelief.geometry.pinhole import Pinhole, Rig
from facerelief.types import Face, Mesh

DISTANCES = (200.0, 3000.0)  # mm, at which a face is photographed with depth
WIDTHS = (80.0, 260.0)  # mm, of the box round a face
REGISTRATIONS = ("calibration", "face")
_OPTIONS = FusionOptions()
_REACH = 120.0  # mm before and behind the middle of a face, which belong to it
_SMOOTH = 4.0  # mm: what the face is found by
_AGREED = 0.85  # mean cosine of depth's and photo's normals, under which no face was found
#: Side of the square that is looked at over the crop's, its pixels, and how many of them are tried.
_LOOKS = ((2.0, 256, 56), (1.25, 320, 12))


@dataclass(frozen=True, eq=False)
class RefinedDepth:
    """A face's surface on the pixels of its crop, in the photo's camera space."""

    face: Face
    rig: Rig  # as the depth was laid over the photo
    registration: str  # of REGISTRATIONS
    agreement: float  # mean cosine of the smoothed depth's normals and the photo's
    measured: DoubleArray  # (S, S) mm, the sensor's, laid over the crop; NaN for holes
    distance: DoubleArray  # (S, S) mm along the axis, NaN off the face
    normals: NDArray[np.float32]  # (S, S, 3) unit, x right, y up in the photo; zero off the face
    filled: BoolArray  # (S, S) where the sensor had nothing, or nothing that is believed

    @property
    def mask(self) -> BoolArray:
        """(S, S)"""
        return np.isfinite(self.distance)

    @property
    def middle(self) -> float:
        """mm from the camera."""
        return float(np.nanmedian(self.distance))

    @property
    def residual(self) -> float:
        """mm, median distance of what was measured and is believed from the surface."""
        off = np.abs(self.distance - self.measured)[self.mask & ~self.filled]
        return float(np.nanmedian(off)) if off.size else float("nan")

    @cached_property
    def mesh(self) -> Mesh:
        """In the photo's camera space, mm; texture coordinates are the crop's."""
        size = self.face.crop.size
        points = self.distance[..., None] * rays_of(self.face.crop, self.rig.photo)
        index = np.full(self.mask.shape, -1)
        index[self.mask] = np.arange(self.mask.sum())
        triangles = grid_triangles(index, self.distance[self.mask])
        used = np.unique(triangles)
        place = np.zeros(self.mask.sum(), np.int64)
        place[used] = np.arange(len(used))
        rows, columns = np.nonzero(self.mask)
        uv = np.stack([(columns + 0.5) / size, 1 - (rows + 0.5) / size], axis=-1)
        vertices = points[self.mask][used].astype(np.float32)
        return Mesh(vertices, place[triangles], uv=uv[used], scale="metric")


def refine_depth(
    face: Face,
    depth: DepthMap,
    calibration: Calibration,
    registration: str | None = None,
    options: FusionOptions = _OPTIONS,
) -> RefinedDepth:
    """The surface of a face of a photo and of depth that was taken with it.

    Args:
        face: as an estimator of normals found it.
        depth: the sensor's.
        calibration: of both pictures' sizes.
        registration: "calibration" believes where the rig says that they lie to each other; "face"
            moves the depth to where its normals are the photo's. None: as exact as the rig is.

    Raises DepthError: no face there, or one that is too near, far, large or small, which happens
    in wrong units and with wrong intrinsics.
    """
    registration = registration or ("calibration" if calibration.is_exact else "face")
    rig = calibration.rig
    check_plausible(face, depth, rig)
    if registration == "face":
        rig = _moved_to_face(face, depth, rig)
    crop, rays = face.crop, rays_of(face.crop, rig.photo)
    measured = of_face(_laid_on(crop, depth, rig), face.mask)
    normals = crop.rotate_normals_to_photo(face.normals)
    shown = _smooth_normals(measured, crop, rig.photo)
    known = face.mask & shown.any(axis=-1)
    if not known.any():
        raise _no_depth(depth)
    agreement = float(np.einsum("pi,pi->p", shown[known], normals[known]).mean())
    if agreement < _AGREED:
        raise _no_face(depth)
    try:
        made = fused(measured, normals, face.mask, rays, options)
    except ValueError as error:
        raise DepthError(f"{depth.path}: {error}") from None
    return RefinedDepth(
        face, rig, registration, agreement, measured, made.distance, made.normals, made.filled
    )


def check_plausible(face: Face, depth: DepthMap, rig: Rig) -> None:
    """Raises DepthError where a face lies at no distance, or is of no width, that a face has."""
    points = rig.points(depth.distance) - rig.translation
    screen = rig.photo.project(points)
    left, top, right, bottom = face.box
    middle, extent = (
        np.array([left + right, top + bottom]) / 2,
        np.array([right - left, bottom - top]),
    )
    with np.errstate(invalid="ignore"):
        near = (np.abs(screen[..., :2] - middle) < 0.3 * extent).all(axis=-1)
    if not near.any():
        raise _no_depth(depth)
    distance = float(np.nanmedian(-screen[near][:, 2]))
    if not DISTANCES[0] <= distance <= DISTANCES[1]:
        fitting = [f"--unit {name}" for name, step in (("mm", 1), ("cm", 10), ("m", 1000))
                   if DISTANCES[0] <= distance / depth.unit * step <= DISTANCES[1]]  # fmt: skip
        advice = f"; its numbers fit {' or '.join(fitting)}" if fitting else ""
        raise DepthError(
            f"{depth.path}: the face would be {distance / 1000:.3g} m away, not 0.2 to 3 m{advice}"
        )
    width = float(extent[0] / rig.photo.focal[0] * distance)
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise DepthError(
            f"{depth.path}: the face would be {width / 10:.0f} cm wide at {distance / 1000:.2f} m; "
            "intrinsics or unit are wrong"
        )


def rays_of(crop: Crop, camera: Pinhole) -> DoubleArray:
    """(S, S, 3) of a crop's pixels, z = -1, in the photo's camera space."""
    x, y = np.meshgrid(*[np.arange(crop.size) + 0.5] * 2)
    return camera.rays(crop.to_photo(np.stack([x, y], axis=-1)))


def of_face(distance: FloatArray, mask: BoolArray) -> DoubleArray:
    """Distances (S, S) that may be the face's, NaN for others: what lies before or behind it."""
    result = np.array(distance, np.float64)
    inside = result[mask & np.isfinite(result)]
    if inside.size:
        with np.errstate(invalid="ignore"):
            result[~(np.abs(result - np.median(inside)) < _REACH)] = np.nan
    return result


def _laid_on(crop: Crop, depth: DepthMap, rig: Rig) -> DoubleArray:
    """(S, S) mm: the depth as the crop shows it."""

    def project(points: FloatArray) -> DoubleArray:
        screen = rig.photo.project(points)
        return np.concatenate([crop.to_crop(screen[..., :2]), screen[..., 2:]], axis=-1)

    return laid(rig.points(depth.distance), project, (crop.size, crop.size))


def _moved_to_face(face: Face, depth: DepthMap, rig: Rig) -> Rig:
    """The rig with its depth moved across the view to the face."""
    for factor, size, reach in _LOOKS:
        crop = replace(face.crop, side=face.crop.side * factor, size=size)
        known, normals = _seen_from(face, crop)
        distance = of_face(_laid_on(crop, depth, rig), known)
        if not np.isfinite(distance).any():
            raise _no_depth(depth)
        middle, focal = float(np.nanmedian(distance)), rig.photo.focal[0]
        measured = _smooth_normals(distance, crop, rig.photo)
        found = shift_between(measured, normals, known, reach)
        if found is None or found.agreement < _AGREED or found.at_end:
            raise _no_face(depth)
        right, down = crop.rotation @ np.array(found.pixels) * crop.scale * middle / focal
        rig = rig.moved((right, -down, 0.0))
    return rig


def _smooth_normals(distance: FloatArray, crop: Crop, camera: Pinhole) -> FloatArray:
    """(S, S, 3) of distances (S, S) without their noise; zero where there are none."""
    sigma = _SMOOTH * camera.focal[0] / float(np.nanmedian(distance)) / crop.scale
    smooth, weight = blurred(distance, np.isfinite(distance).astype(float), sigma)
    return surface_normals(np.where(weight > 0.3, smooth, np.nan), rays_of(crop, camera))


def _no_depth(depth: DepthMap) -> DepthError:
    return DepthError(f"{depth.path}: no depth where the photo has its face")


def _no_face(depth: DepthMap) -> DepthError:
    return DepthError(
        f"{depth.path}: no face where the photo has one; is it of another moment, or are the "
        "intrinsics wrong?"
    )


def _seen_from(face: Face, crop: Crop) -> tuple[BoolArray, FloatArray]:
    """The face's mask and normals, in the photo's frame, on the pixels of a crop round its own."""
    inner = round(face.crop.side / crop.scale)
    small = replace(face.crop, size=inner)
    turned = face.crop.rotate_normals_to_photo(face.normals)
    whole = Crop((face.crop.size / 2,) * 2, face.crop.size, size=inner)
    values, mask = whole.extract(turned), whole.extract(face.mask.astype(np.float32)) > 0.99
    known = np.zeros((crop.size, crop.size), np.bool_)
    normals = np.zeros((crop.size, crop.size, 3))
    start = (crop.size - small.size) // 2
    part = slice(start, start + small.size)
    known[part, part], normals[part, part] = mask, values
    return known, normals
