"""Real colour photographs: face outline and, weakly, smooth normals from their FaceMesh points."""

from __future__ import annotations

import csv
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from facerelief.data import augment, facemesh
from facerelief.data.sample import Sample
from facerelief.images import load_photo
from facerelief.types import Crop

OPEN_SOURCES = ("fairface", "webmorph")  # whose licence lets weights be open
MARGIN = 1.5  # kept around the crop, so that training can move it
PIXELS = 320  # side of a kept picture
SURFACE_PIXELS = 160  # of its normals: they are smooth
_VERSION = "1"


class Photos:
    """A source of photograph samples; the normals are weak.

    Args:
        root: the data folder; cache: where crops are kept (about 2 GB for 6,000 photos).
        sources: names in the manifest's ``source`` column, or None for all.
        held_out: give the photos that training never sees instead of those that it does.
        warp, photometric, occluded: what is varied.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        sources: list[str] | None = None,
        held_out: bool = False,
        warp: augment.WarpRange | None = None,
        photometric: augment.PhotometricRange | None = None,
        occluded: float = 0.3,
    ) -> None:
        self.warp = warp or augment.WarpRange(rotation=15, stretch=0.04)
        # Photographs bring their own colours and quality; vary them less than flash pictures.
        self.photometric = photometric or augment.PhotometricRange(gain=0.2, gamma=0.15, tint=0.06)
        self.occluded = occluded
        paths, self.pictures, self.surfaces = _prepared(Path(root), Path(cache))
        held = held_out_paths(Path(root))
        wanted = [
            i
            for i, path in enumerate(paths)
            if (path in held) == held_out and (sources is None or path.split("/")[0] in sources)
        ]
        if not wanted:
            raise ValueError(f"no photographs of {sources} under {root}")
        self.chosen = torch.tensor(wanted)

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        index = self.chosen[torch.randint(len(self.chosen), (count,), generator=g)].numpy()
        pictures = torch.from_numpy(self.pictures[index]).permute(0, 3, 1, 2).float() / 255
        stored = torch.from_numpy(self.surfaces[index]).permute(0, 3, 1, 2).float() / 127
        mask = stored[:, 3:]
        unit = PIXELS / MARGIN
        warp = augment.random_warp(count, unit / size, unit, self.warp, g)
        image = warp.apply(pictures, size, samples=2 if size <= 128 else 1)
        # The surface is kept at half the picture's resolution.
        ratio = SURFACE_PIXELS / PIXELS
        coarse = augment.Warp(warp.matrix * ratio, warp.offset * ratio, warp.relief)
        surface = coarse.apply(torch.cat([stored[:, :3] * mask, mask], 1), size)
        mask = (surface[:, 3:] > 0.5).float()
        normals = augment.Warp(warp.matrix, warp.offset, warp.relief).normals(surface[:, :3])
        sample = Sample(
            image=image,
            normals=normals * mask,
            normals_mask=mask,
            face_mask=mask,
            face_known=torch.ones_like(mask),
            weak=torch.ones(count, dtype=torch.bool),
        )
        return augment.spoil(sample, self.occluded, self.photometric, g)


def held_out_paths(root: Path) -> set[str]:
    """Photographs kept from training: the landmark test list, and one in twenty of the others."""
    with open(root / "photos" / "manifest.csv", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    listed = json.loads((root / "photos" / "landmark_splits.json").read_text())
    others = [path for path in paths if path not in set(listed["train"])]
    twentieth = {p for p in others if hashlib.sha256(p.encode()).digest()[0] < 256 / 20}
    return set(listed["test"]) | twentieth


def landmark_crop(points: np.ndarray) -> Crop:
    """The design's crop of one photo, from its (478, 3) FaceMesh points."""
    return Crop.from_landmarks(points[list(facemesh.TO_68), :2].astype(np.float64))


def _prepared(root: Path, cache: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Paths, pictures (N, 320, 320, 3) and surfaces (N, 160, 160, 4), made on first use."""
    with np.load(root / "photos" / "facemesh478.npz") as stored:
        paths, points = [str(p) for p in stored["paths"]], stored["points"].astype(np.float32)
    digest = hashlib.sha256(points.tobytes() + _VERSION.encode()).hexdigest()[:12]
    folder = cache / digest
    if not (folder / "surfaces.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Some hundred faces give the mean; the rest would not move it.
        triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))

        def prepare(index: int) -> tuple[np.ndarray, np.ndarray]:
            photo = load_photo(root / "photos" / paths[index])
            return _prepare(photo, points[index], triangles)

        pictures = np.lib.format.open_memmap(
            folder / "pictures.partial", "w+", np.uint8, (len(paths), PIXELS, PIXELS, 3)
        )
        surfaces = np.zeros((len(paths), SURFACE_PIXELS, SURFACE_PIXELS, 4), np.int8)
        with ThreadPoolExecutor(2) as pool:
            for index, (picture, surface) in enumerate(pool.map(prepare, range(len(paths)))):
                pictures[index], surfaces[index] = picture, surface
        pictures.flush()
        (folder / "pictures.partial").replace(folder / "pictures.npy")
        np.save(folder / "surfaces.partial.npy", surfaces)
        (folder / "surfaces.partial.npy").replace(folder / "surfaces.npy")
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return paths, pictures, np.load(folder / "surfaces.npy", mmap_mode="r")


def _prepare(
    photo: np.ndarray, points: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    tight = landmark_crop(points)
    crop = Crop(tight.centre, tight.side * MARGIN, 0.0, PIXELS)
    scale = SURFACE_PIXELS / crop.side
    moved = np.concatenate([crop.to_crop(points[:, :2]) / 2, points[:, 2:] * scale], 1)
    normals, mask = facemesh.smooth_normals(moved, triangles, SURFACE_PIXELS)
    surface = np.concatenate([normals, mask[..., None]], -1)
    return crop.extract(photo), np.round(surface * 127).astype(np.int8)
