"""Depth of a Kinect, refined by its photo, against the normals of meshes registered to it.

    FACERELIEF_DATA=... python benchmarks/depth.py [--pictures FOLDER]

Eight frames of one person (rgbd/kinect_1). The truth is the rendered normals of a mesh that was
fitted to depth and landmarks: smooth, and where an expression is strong not exactly the face. A
pixel counts on the mesh, 4 of its pixels off its outline, within the hull of the frame's landmarks,
whose brows are moved up by a quarter of the hull's height so that the forehead counts as well.

What is compared with is the registered raw depth after the smoothing that suits the frame best,
chosen knowing the truth: Gaussian or bilateral, of a sweep of widths, holes filled by their
surroundings. The settings of `FusionOptions` were chosen on the frames of `TUNED`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, processor_seconds
from PIL import Image, ImageDraw
from rich.progress import track
from scipy.ndimage import binary_erosion, map_coordinates
from scipy.spatial import ConvexHull
from tables import write

import facerelief as fr
from facerelief.arrays import BoolArray, FloatArray
from facerelief.crops import Crop
from facerelief.data.folders import data_root
from facerelief.depth_cameras import rig_of
from facerelief.depth_files import read_depth
from facerelief.depth_refinement import RefinedDepth, rays_of, refine_depth
from facerelief.geometry.depth_registration import blurred, surface_normals
from facerelief.geometry.normals import angular_error, decode, normalise

FRAMES = range(8)
TUNED = (0, 4)
SYSTEM = "accurate"
#: Photo pixels of the upper left corner of the 192 x 192 pixels that ``aligned_*`` show in three
#: times the size: where correlation with the photo is highest (0.9999).
CORNERS = (
    (213.16, 151.84), (206.84, 145.52), (208.84, 150.17), (210.17, 152.16),
    (207.17, 152.17), (204.85, 153.53), (214.49, 154.16), (210.17, 151.84),
)  # fmt: skip
GAUSSIANS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)  # mm
BILATERALS = tuple((space, depth) for space in (3.0, 5.0, 7.0) for depth in (3.0, 6.0, 12.0))
SHARE_OF_HEIGHT = 0.25  # of the landmarks' hull, by which the brows are moved up


def truth(folder: Path, frame: int, crop: Crop) -> tuple[FloatArray, BoolArray]:
    """Normals (S, S, 3) of the registered mesh on a crop's pixels, and where they count."""
    pixels = np.asarray(Image.open(folder / f"aligned_{frame:02d}_normal.png"))
    x, y = np.meshgrid(*[np.arange(crop.size) + 0.5] * 2)
    photo = crop.to_photo(np.stack([x, y], -1))
    places = (photo - CORNERS[frame]) * 3 - 0.5

    def looked_up(values: FloatArray) -> FloatArray:
        return map_coordinates(values, [places[..., 1], places[..., 0]], order=1)

    decoded, on_mesh = decode(pixels), binary_erosion(pixels.any(-1), iterations=4)
    normals = normalise(np.stack([looked_up(decoded[..., k]) for k in range(3)], -1))
    return normals, (looked_up(on_mesh.astype(float)) > 0.99) & face_of(folder, frame, crop)


def face_of(folder: Path, frame: int, crop: Crop) -> BoolArray:
    """(S, S) the hull of the landmarks, with the forehead."""
    points = np.loadtxt(folder / f"pose_{frame:02d}.land", skiprows=1) * (640, -480) + (0, 480)
    height = np.ptp(points[:, 1])
    above = points[15:27] - (0, SHARE_OF_HEIGHT * height)
    hull = crop.to_crop(np.concatenate([points, above]))
    hull = hull[ConvexHull(hull).vertices]
    picture = Image.new("1", (crop.size, crop.size))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in hull], fill=1)
    return np.asarray(picture)


def bilateral(distance: FloatArray, space: float, depth: float) -> FloatArray:
    """Distances (H, W) smoothed over `space` pixels and `depth` mm; NaN holes stay."""
    reach = int(np.ceil(2 * space))
    total, amount = np.zeros_like(distance), np.zeros_like(distance)
    padded = np.pad(distance, reach, constant_values=np.nan)
    height, width = distance.shape
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            other = padded[reach + down :, reach + right :][:height, :width]
            near = (down**2 + right**2) / space**2 + ((other - distance) / depth) ** 2
            weight = np.nan_to_num(np.exp(-near / 2))
            total += weight * np.nan_to_num(other)
            amount += weight
    return np.where(np.isfinite(distance), total / np.maximum(amount, 1e-12), np.nan)


def gaussian(distance: FloatArray, sigma: float) -> FloatArray:
    """Distances smoothed over `sigma` pixels, holes filled as far as anything is near."""
    known = np.isfinite(distance).astype(float)
    smooth, weight = blurred(np.nan_to_num(distance), known, sigma)
    return np.where(weight > 1e-4, smooth, np.nan)


def smoothings(made: RefinedDepth) -> dict[str, FloatArray]:
    """Normals (S, S, 3) of the registered raw depth after every smoothing of the sweeps."""
    pixel = made.middle / made.rig.photo.focal[0] * made.face.crop.scale  # mm
    rays, raw = rays_of(made.face.crop, made.rig.photo), made.measured
    found = {f"Gaussian {sigma:g} mm": gaussian(raw, sigma / pixel) for sigma in GAUSSIANS}
    for space, depth in BILATERALS:
        smooth = bilateral(raw, space / pixel, depth)
        filled = np.where(np.isfinite(smooth), smooth, gaussian(raw, space / pixel))
        found[f"bilateral {space:g} mm, {depth:g} mm"] = filled
    return {name: surface_normals(distance, rays) for name, distance in found.items()}


def score(normals: FloatArray, true: FloatArray, mask: BoolArray) -> float:
    """Mean angle, degrees; what has no normal counts as one that faces the camera."""
    shown = np.where(normals.any(-1, keepdims=True), normals, [0.0, 0.0, 1.0])
    return round(float(angular_error(shown, true)[mask].mean()), 3)


def measure(folder: Path, frame: int, estimator: fr.Estimator, out: Path | None) -> dict[str, Any]:
    photo = fr.load_photo(folder / f"pose_{frame:02d}_rgb.jpg")
    depth = read_depth(folder / f"pose_{frame:02d}_depth_mm.png")
    calibration = rig_of("kinect", depth.distance.shape, photo.shape[:2])
    (face,) = estimator(photo, max_faces=1)
    made = refine_depth(face, depth, calibration)
    seconds = processor_seconds(refine_depth, face, depth, calibration)
    raw = surface_normals(made.measured, rays_of(face.crop, made.rig.photo))
    true, on_mesh = truth(folder, frame, face.crop)
    mask = on_mesh & made.mask
    smooth = smoothings(made)
    errors = {name: score(normals, true, mask) for name, normals in smooth.items()}
    kinds = {
        kind: min((error, name) for name, error in errors.items() if name.startswith(kind))
        for kind in ("Gaussian", "bilateral")
    }
    best = min(kinds.values())
    refined = score(made.normals, true, mask)
    if out is not None:
        write_row(out / f"{frame:02d}.png", photo, made, smooth[best[1]], true)
    return {
        "frame": frame,
        "tuned": frame in TUNED,
        "pixels": int(mask.sum()),
        "raw": score(raw, true, mask),
        "gaussian": kinds["Gaussian"],
        "bilateral": kinds["bilateral"],
        "photo": score(face.normals, true, mask),
        "refined": refined,
        "better": round(1 - refined / best[0], 4),
        "better_than_all_frames_best": None,
        "errors": errors,
        "moved_mm": [round(float(v), 2) for v in made.rig.translation[:2]],
        "agreement": round(made.agreement, 4),
        "holes": round(float(np.mean(~np.isfinite(made.measured[mask]))), 4),
        "residual_mm": round(made.residual, 3),
        "seconds": round(seconds, 3),
    }


def write_row(
    path: Path, photo: np.ndarray, made: RefinedDepth, smooth: FloatArray, true: FloatArray
) -> None:
    """Photo, raw, smoothed, refined and true surface under one light."""
    light = normalise(np.array([-0.5, 0.4, 0.75]))
    raw = surface_normals(made.measured, rays_of(made.face.crop, made.rig.photo))
    shaded = [np.clip(n @ light, 0, 1) * n.any(-1) for n in (raw, smooth, made.normals, true)]
    grey = [np.repeat((255 * one).astype(np.uint8)[..., None], 3, -1) for one in shaded]
    crop = replace(made.face.crop)
    Image.fromarray(np.concatenate([crop.extract(photo), *grey], axis=1)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=Path, help="write a row of pictures of each frame there")
    options = parser.parse_args()
    folder = data_root() / "rgbd" / "kinect_1"
    if not folder.is_dir():
        parser.error("needs FACERELIEF_DATA with rgbd/kinect_1")
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    estimator = fr.load(SYSTEM)
    frames = [measure(folder, frame, estimator, options.pictures) for frame in track(FRAMES)]
    names = frames[0]["errors"]
    common = min(names, key=lambda name: sum(one["errors"][name] for one in frames))
    for one in frames:
        one["better_than_all_frames_best"] = round(1 - one["refined"] / one["errors"][common], 4)
    write(
        "depth",
        {"system": SYSTEM, "smoothing_of_all": common, "frames": frames, "machine": machine()},
    )


if __name__ == "__main__":
    main()
