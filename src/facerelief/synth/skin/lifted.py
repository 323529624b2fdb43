"""Skins lifted from openly licensed studio portraits: a head is fitted, the photo unwrapped.

The light is estimated as spherical harmonics and divided out; what is hidden on one side is taken
from the other, what is hidden on both is continued from its surroundings towards the skin's
typical colour. Photos that show glasses, an open mouth, too much hair or too little face are left
out.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from threadpoolctl import threadpool_limits

from facerelief.cache import digest, kept
from facerelief.data import facemesh, pseudo_normals
from facerelief.data.pseudo_normals import HeadFitter, skin_likeness
from facerelief.geometry import align, alignment_solver
from facerelief.geometry.align import Alignment, AlignmentError
from facerelief.geometry.light import fit_sh, linear_to_srgb, shade_sh, srgb_to_linear
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.images import load_photo
from facerelief.synth.skin.colour import skin_colour
from facerelief.synth.skin.map import Map, SkinMap

#: Sources of the photo manifest whose pictures are lifted: studio portraits under open licences.
SOURCES = ("webmorph",)
SIZE = 512  # texels along a side
_TURNED = 18.0  # degrees off the camera beyond which a photo is left out
_MOUTH = 0.035  # gap between the lips over the height of the face, likewise
_LEAST_FACE = 0.55  # share of the face's skin that must be seen
_LEAST_SKIN = 0.80  # mean likeness to skin round the eyes: less is glasses
_LEAST_FOREHEAD = 0.5  # and of the forehead's: less is hair
_DARK = 0.4  # by which the logarithm of hair's reflectance is below the skin's, at least
_HIDDEN = 4.0  # mm behind what the camera sees from which on a texel is hidden
_GLOSS = 8.0  # mm: highlights are narrower
_LIPS = (13, 14)  # FaceMesh's points in the middle of the upper and lower lip
_HEIGHT = (10, 152)  # and at the top and bottom of the face


@dataclass(frozen=True, eq=False)
class Lifted:
    """One skin and where it comes from."""

    albedo: NDArray[np.uint8]  # (S, S, 3) sRGB in the head's layout, row 0 at v = 1
    seen: Map  # (S, S) in [0, 1]: from the photo, not made up
    coverage: float  # share of the face's skin that was seen
    likeness: float  # round the eyes, to skin


def lifted_skins(root: Path, cache: Path, head: MorphableModel) -> NDArray[np.uint8]:
    """Albedos (N, 512, 512, 3) uint8 sRGB in the layout of `head`, the built-in head.

    Made on first use (a few minutes) and kept under `cache`. None, (0, 512, 512, 3), where `root`
    holds no open studio photographs.

    Raises:
        ValueError: a head of another topology.
    """
    photographs = open_portraits(root)
    if not photographs:
        return np.zeros((0, SIZE, SIZE, 3), np.uint8)
    fitter = pseudo_normals.head_fitter(root, cache.parent)
    if fitter.head.triangles.shape != head.triangles.shape:
        raise ValueError(f"skins are lifted onto the built-in head, not onto {head.name}")
    paths, points = zip(*photographs.items(), strict=True)
    code = (sys.modules[__name__], pseudo_normals, align, alignment_solver)
    places = fitter.aligner.anchors.of(fitter.head.mean)
    key = digest(*pseudo_normals.head_arrays(fitter.head), *code, places, np.stack(points), *paths)

    def lift(file: Path) -> None:
        lifter = Lifter(fitter, SIZE)
        skins = []
        with threadpool_limits(1, "blas"):  # as for all fits: their matrices are small
            for path, face in zip(paths, points, strict=True):
                skin = lifter.lift(load_photo(root / "photos" / path), face)
                if skin is not None:
                    skins.append(skin.albedo)
        with open(file, "wb") as opened:
            np.save(opened, np.stack(skins) if skins else np.zeros((0, SIZE, SIZE, 3), np.uint8))

    return kept(cache / f"lifted_{key}.npy", lift, lambda file: np.load(file, mmap_mode="r"))


def open_portraits(root: Path, sources: Sequence[str] = SOURCES) -> dict[str, NDArray[np.float32]]:
    """FaceMesh points (478, 3) of the open studio photographs by their path; empty without any."""
    folder = root / "photos"
    if not (folder / "manifest.csv").is_file() or not (folder / "facemesh478.npz").is_file():
        return {}
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        wanted = {
            row["path"]
            for row in csv.DictReader(file)
            if row["source"] in sources and row["licence"].startswith("CC")
        }
    stored = zip(*facemesh.stored_points(root), strict=True)
    return {path: face for path, face in stored if path in wanted}


class Lifter:
    """Lifts skins from photographs into the head's own texture of `size` x `size` texels."""

    def __init__(self, fitter: HeadFitter, size: int = SIZE) -> None:
        self.fitter, self.size = fitter, size
        self.map = SkinMap(fitter.head, size)
        head, texels = fitter.head, self.map.mask

        def area(*names: str) -> NDArray[np.bool_]:
            inside = np.any([head.regions[name] for name in names], axis=0)
            result: NDArray[np.bool_] = (self.map.from_vertices(inside) > 0.5) & texels
            return result

        self._inner = area("mouth_inside", "nostrils", "eye_sockets")
        # Scalp, ears and neck are under hair or clothes as a rule: never lifted.
        self._lifted = ndimage.binary_erosion(area("face"), iterations=3) & ~self._inner
        brows = ndimage.binary_dilation(area("brow_left", "brow_right"), iterations=10)
        side = area("face") & (np.abs(self.map.position[..., 0]) > 50)
        self._covered = (area("forehead") | side) & ~brows
        self._lids = area("eyelids") & ~brows  # whose edges are eyes in the photo
        self._forehead = area("forehead") & self._lifted
        self._face = area("face") & ~self._inner
        self._plain = area("cheeks", "nose", "forehead", "chin") & ~self._inner
        self._plain &= ~area("brow_left", "brow_right", "lips_upper", "lips_lower", "eyelids")
        centre = head.mean[head.regions["eye_left"]].mean(axis=0)
        away = self.map.position * np.array([1, 1, 0], np.float32)
        away = np.abs(away) - np.abs(centre * (1, 1, 0)).astype(np.float32)
        # Below the eyes and between them, where spectacles show and brows do not.
        below = self.map.position[..., 1] - centre[1]
        self._rims = self._plain & (below < -8) & (below > -30) & (np.abs(away[..., 0]) < 25)

    def lift(self, photo: NDArray[np.uint8], points: NDArray[np.float32]) -> Lifted | None:
        """The skin of one `photo` (H, W, 3) with FaceMesh `points` (478, 3); None for a bad one."""
        gap = np.linalg.norm(points[_LIPS[0], :2] - points[_LIPS[1], :2])
        if gap > _MOUTH * np.linalg.norm(points[_HEIGHT[0], :2] - points[_HEIGHT[1], :2]):
            return None
        try:
            alignment = self.fitter.fit(points)
        except AlignmentError:
            return None
        if alignment.rotation[2, 2] < np.cos(np.radians(_TURNED)) or alignment.confidence < 0.5:
            return None
        colour, likeness, normals, weight = self._unwrap(alignment, photo)
        doubtful = self._covered | self._lids
        covered = np.where(doubtful, ((likeness - 0.5) / 0.4).clip(0, 1), 1)
        covered = ndimage.gaussian_filter(ndimage.grey_erosion(covered, 5), 1.5)
        weight = (weight * covered * self._lifted).astype(np.float32)
        albedo = self._without_light(colour, normals, weight)
        rims = float(likeness[self._rims].mean())
        if albedo is None or rims < _LEAST_SKIN:
            return None
        typical = np.median(albedo[self._plain & (weight > 0.5)], axis=0)
        hair = (albedo - typical).mean(axis=-1) < -_DARK
        hair = ndimage.grey_dilation((hair & self._covered).astype(np.float32), 5)
        weight = weight * (1 - ndimage.gaussian_filter(hair, 1.5))
        coverage = float(weight[self._face].mean())
        forehead = float(weight[self._forehead].mean())
        if coverage < _LEAST_FACE or forehead < _LEAST_FOREHEAD:
            return None
        albedo = albedo + _cast(typical)
        complete, seen = self._complete(albedo, weight)
        encoded = np.rint(255 * linear_to_srgb(np.exp(complete).clip(0, 1)))
        return Lifted(encoded.astype(np.uint8), seen, coverage, rims)

    def _unwrap(self, alignment: Alignment, photo: NDArray[np.uint8]) -> tuple[Map, Map, Map, Map]:
        """Linear colour (S, S, 3), likeness to skin, normals (S, S, 3) and how well all is seen."""
        head, place = self.fitter.head, alignment.projected
        low = np.floor(place[:, :2].min(axis=0)).clip(0)
        high = np.ceil(place[:, :2].max(axis=0)).clip(0, photo.shape[1::-1])
        left, top, right, bottom = (int(v) for v in (*low, *high))
        cut = photo[top:bottom, left:right]
        normals = vertex_normals(alignment.camera_vertices, head.triangles)
        screen = place - (left, top, 0)
        # Half the resolution is enough to tell what is hidden, and what is skin.
        half = screen * (0.5, 0.5, 1)
        raster = rasterise(
            half,
            head.triangles,
            ((bottom - top) // 2, (right - left) // 2),
            perspective=alignment.camera.perspective,
            cull_back_faces=True,
        )
        core = self.fitter.core(normals)
        small = cut[: 2 * len(raster.mask), : 2 * raster.mask.shape[1]]
        small = small.reshape(len(raster.mask), 2, -1, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
        skin = skin_likeness(small, raster.interpolate(core) > 0.5)

        at = self.map.from_vertices(screen)
        where = [at[..., 1] - 0.5, at[..., 0] - 0.5]
        colour = np.stack(
            [
                ndimage.map_coordinates(plane, where, order=1, mode="nearest")
                for plane in np.moveaxis(srgb_to_linear(cut.astype(np.float32) / 255), -1, 0)
            ],
            axis=-1,
        )
        where = [at[..., 1] / 2 - 0.5, at[..., 0] / 2 - 0.5]
        front = ndimage.map_coordinates(np.nan_to_num(raster.depth, nan=-1e9), where, order=0)
        likeness = ndimage.map_coordinates(skin, where, order=1, mode="nearest")
        unit = normalise(self.map.from_vertices(normals))
        facing = ((unit[..., 2] - 0.2) / 0.35).clip(0, 1)
        inside = (at[..., 0] > 1) & (at[..., 1] > 1)
        inside &= (at[..., 0] < right - left - 1) & (at[..., 1] < bottom - top - 1)
        visible = (at[..., 2] > front - _HIDDEN) & inside & self.map.mask
        weight = ndimage.gaussian_filter(
            ndimage.grey_erosion(facing * visible, 5).astype(np.float32), 2
        )
        return (
            colour.astype(np.float32),
            likeness.astype(np.float32),
            unit.astype(np.float32),
            (weight * visible).astype(np.float32),
        )

    def _without_light(self, colour: Map, normals: Map, weight: Map) -> Map | None:
        """Logarithm (S, S, 3) of the albedo, up to one factor that makes plain skin as it was."""
        plain = self._plain & (weight > 0.5)
        light = colour.mean(axis=-1)
        if np.count_nonzero(plain) < 1000:
            return None
        harmonics = fit_sh(light[plain][::7], normals[plain][::7], ridge=3e-3)
        shading = shade_sh(normals, harmonics)
        usual = float(np.median(shading[plain]))
        if not usual > 0:
            return None
        # Light that hardly arrives cannot be divided out.
        factor = np.maximum(shading / usual, 0.35)
        logarithm = np.log(np.maximum(colour, 2e-3)) - np.log(factor)[..., None]
        # What is brighter than its surroundings is gloss, most of the time.
        sigma = _GLOSS / float(np.median(self.map.texel[self._face]))
        grey = logarithm.mean(axis=-1)
        gloss = np.maximum(grey - _blurred(grey[..., None], weight, sigma)[1][..., 0] - 0.06, 0)
        result: Map = (logarithm - 0.75 * gloss[..., None]).astype(np.float32)
        return result

    def _complete(self, albedo: Map, weight: Map) -> tuple[Map, Map]:
        """The logarithm of a whole albedo (S, S, 3), and how much of it was seen (S, S)."""
        # The layout is symmetric about u = 1/2.
        other = (1 - weight) * weight[:, ::-1]
        seen = weight + other
        share = np.divide(weight, seen, out=np.zeros_like(seen), where=seen > 1e-3)[..., None]
        known: Map = (share * albedo + (1 - share) * albedo[:, ::-1]).astype(np.float32)
        plain = self._plain & (seen > 0.5)
        typical = np.median(known[plain], axis=0)
        filled: Map = np.broadcast_to(typical, known.shape).astype(np.float32)
        for sigma in (64, 32, 16, 8, 4):
            near, nearby = _blurred(known, seen, sigma)
            there = (near / (near + 0.05))[..., None]
            filled = (there * nearby + (1 - there) * filled).astype(np.float32)
        seen = seen.clip(0, 1)
        whole = seen[..., None] * known + (1 - seen[..., None]) * filled
        return whole.astype(np.float32), seen.astype(np.float32)


def _cast(typical: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(3,) to add to logarithms of colour, so that `typical` skin has a hue that skin can have.

    Brightness stays: nothing tells a bright light from a bright skin.
    """
    tone, flush = np.meshgrid(np.linspace(0.05, 0.95, 60), np.linspace(0.15, 0.45, 30))
    gap = np.log(skin_colour(tone, flush)) - typical
    hue = gap - gap.mean(axis=-1, keepdims=True)
    best = np.argmin((hue**2).sum(axis=-1) + 0.3 * gap.mean(axis=-1) ** 2)
    result: NDArray[np.float32] = hue.reshape(-1, 3)[best].astype(np.float32)
    return result


def _blurred(values: Map, weight: Map, sigma: float) -> tuple[Map, Map]:
    """How much `weight` (S, S) there is round every texel, and the mean of `values` (S, S, C)."""
    packed = np.dstack([values * weight[..., None], weight])
    step = 4 if sigma >= 16 and len(weight) % 4 == 0 else 1
    if step > 1:  # as smooth as this, few texels tell
        count = len(weight) // step
        packed = packed.reshape(count, step, count, step, -1).mean(axis=(1, 3))
    wide: Map = ndimage.gaussian_filter(packed, (sigma / step, sigma / step, 0), truncate=2.5)
    if step > 1:
        wide = ndimage.zoom(wide, (step, step, 1), order=1, mode="nearest", grid_mode=True)
    near = wide[..., -1]
    return near, wide[..., :-1] / (near[..., None] + 1e-6)


def attribution(root: Path) -> dict[str, int]:
    """How many photographs each source and licence of those that are drawn with has, for credits.

    Keys are ``source (licence)``, in the manifest's order.
    """
    counts: dict[str, int] = {}
    with open(root / "photos" / "manifest.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["source"] in facemesh.WHOLE_SOURCES and row["licence"].startswith("CC"):
                key = f"{row['source']} ({row['licence']})"
                counts[key] = counts.get(key, 0) + 1
    return counts
