"""Real colour photographs: face outline and, weakly, smooth normals from their FaceMesh points.

The weak normals are those of FaceMesh's own mesh, or those of a head that was fitted to its points
(`data.pseudo_normals`), which reach further and come with a confidence.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock
from threadpoolctl import threadpool_limits
from torch import Generator

from facerelief.data import augment, facemesh, pseudo_normals
from facerelief.data.sample import Sample
from facerelief.geometry import align, alignment_solver
from facerelief.geometry.align import AlignmentError
from facerelief.images import load_photo
from facerelief.types import Crop

MARGIN = 1.5  # kept around the crop, so that training can move it
PIXELS = 320  # side of a kept picture
SURFACE_PIXELS = 160  # of its normals: they are smooth
_VERSION = "1"

#: What the weak normals are of: FaceMesh's mesh, or a head fitted to its points.
Truth = Literal["facemesh", "aligned"]


class Photos:
    """A source of photograph samples; the normals are weak.

    Args:
        root: the data folder; cache: where crops are kept (about 2 GB for 6,000 photos).
        sources: names in the manifest's ``source`` column, or None for all.
        held_out: give the photos that training never sees instead of those that it does.
        truth: what the normals are of. ``aligned`` is for the open photos only, and its
            ``normals_mask`` is a confidence; ``face_known`` leaves out where skin may be or not.
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
        truth: Truth = "facemesh",
    ) -> None:
        self.warp = warp or augment.WarpRange(rotation=15, stretch=0.04)
        # Photographs bring their own colours and quality; vary them less than flash pictures.
        self.photometric = photometric or augment.PhotometricRange(gain=0.2, gamma=0.15, tint=0.06)
        self.occluded, self.truth = occluded, truth
        if truth not in ("facemesh", "aligned"):
            raise ValueError(f"unknown truth {truth!r}; one of facemesh, aligned")
        if truth == "aligned" and not set(sources or ("all",)) <= set(facemesh.OPEN_SOURCES):
            raise ValueError(
                f"heads are fitted to the sources {', '.join(facemesh.OPEN_SOURCES)} only"
            )
        prepare = _prepared if truth == "facemesh" else _prepared_aligned
        paths, self.pictures, self.surfaces = prepare(Path(root), Path(cache))
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
        if stored.shape[1] == 4:  # FaceMesh's: one mask for everything
            face = stored[:, 3:]
            stored = torch.cat([stored, face, torch.zeros_like(face)], 1)
        believed = stored[:, 3:4]
        unit = PIXELS / MARGIN
        warp = augment.random_warp(count, unit / size, unit, self.warp, g)
        image = warp.apply(pictures, size, samples=2 if size <= 128 else 1)
        # The surface is kept at half the picture's resolution.
        ratio = SURFACE_PIXELS / PIXELS
        coarse = augment.Warp(warp.matrix * ratio, warp.offset * ratio, warp.relief)
        surface = coarse.apply(torch.cat([stored[:, :3] * believed, stored[:, 3:]], 1), size)
        confidence, face = surface[:, 3:4], (surface[:, 4:5] > 0.5).float()
        if self.truth == "facemesh":
            confidence, known = face, torch.ones_like(face)
        else:
            known = (surface[:, 5:] < 0.5).float()
            confidence = torch.where(confidence > 0.05, confidence, 0)
        normals = augment.Warp(warp.matrix, warp.offset, warp.relief).normals(surface[:, :3])
        sample = Sample(
            image=image,
            normals=normals * (confidence > 0),
            normals_mask=confidence,
            face_mask=face,
            face_known=known,
            weak=torch.ones(count, dtype=torch.bool),
            pictured=torch.ones(count, dtype=torch.bool),
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
    paths, points = facemesh.stored_points(root)
    digest = hashlib.sha256(points.tobytes() + _VERSION.encode()).hexdigest()[:12]
    folder = cache / digest
    # Some hundred faces give the mean; the rest would not move it.
    triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))

    def prepare(index: int) -> tuple[np.ndarray, np.ndarray]:
        return _prepare(load_photo(root / "photos" / paths[index]), points[index], triangles)

    _write_once(folder, prepare, range(len(paths)), 4)
    return paths, *_read(folder)


def _prepared_aligned(root: Path, cache: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The same of the open photos: surfaces (N, 160, 160, 6) of heads fitted to them.

    Channels are the normal, its confidence, whether there is a face, and whether there may be.
    """
    paths, points = facemesh.stored_points(root)
    chosen = [i for i, path in enumerate(paths) if path.split("/")[0] in facemesh.OPEN_SOURCES]
    if not chosen:
        raise ValueError(f"no photographs of {', '.join(facemesh.OPEN_SOURCES)} under {root}")
    # Heads and anchors have their own digests, by which the fitter finds them.
    fitter = pseudo_normals.head_fitter(root, cache.parent)
    code = [
        Path(file).read_bytes()
        for file in (__file__, pseudo_normals.__file__, align.__file__, alignment_solver.__file__)
    ]
    anchors = (fitter.aligner.anchors.vertices, fitter.aligner.anchors.weights)
    digest = pseudo_normals.head_digest(
        fitter.head, points[chosen].tobytes(), *code, *(array.tobytes() for array in anchors)
    )
    folder = cache / f"aligned_{digest}"

    def prepare(index: int) -> tuple[np.ndarray, np.ndarray]:
        return _prepare_aligned(load_photo(root / "photos" / paths[index]), points[index], fitter)

    _write_once(folder, prepare, chosen, 6)
    return [paths[i] for i in chosen], *_read(folder)


def _write_once(
    folder: Path,
    prepare: Callable[[int], tuple[np.ndarray, np.ndarray]],
    indices: Sequence[int],
    channels: int,
) -> None:
    """Pictures and surfaces of the photos `indices` into `folder`; surfaces.npy comes last.

    Of processes that start together, one does the work and the others wait for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if (folder / "surfaces.npy").exists():
            return
        pictures = np.lib.format.open_memmap(
            folder / "pictures.partial", "w+", np.uint8, (len(indices), PIXELS, PIXELS, 3)
        )
        surfaces = np.zeros((len(indices), SURFACE_PIXELS, SURFACE_PIXELS, channels), np.int8)
        # The matrices of a fit are small: threads of BLAS would wait for each other.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(2) as pool:
            for row, (picture, surface) in enumerate(pool.map(prepare, indices)):
                pictures[row], surfaces[row] = picture, surface
        pictures.flush()
        (folder / "pictures.partial").replace(folder / "pictures.npy")
        np.save(folder / "surfaces.partial.npy", surfaces)
        (folder / "surfaces.partial.npy").replace(folder / "surfaces.npy")


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return pictures, np.load(folder / "surfaces.npy", mmap_mode="r")


def _kept_crop(points: np.ndarray) -> Crop:
    """What is kept of a photo with the (478, 3) FaceMesh points."""
    tight = landmark_crop(points)
    return Crop(tight.centre, tight.side * MARGIN, 0.0, PIXELS)


def _prepare(
    photo: np.ndarray, points: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    crop = _kept_crop(points)
    scale = SURFACE_PIXELS / crop.side
    moved = np.concatenate([crop.to_crop(points[:, :2]) / 2, points[:, 2:] * scale], 1)
    normals, mask = facemesh.smooth_normals(moved, triangles, SURFACE_PIXELS)
    surface = np.concatenate([normals, mask[..., None]], -1)
    return crop.extract(photo), np.round(surface * 127).astype(np.int8)


def _prepare_aligned(
    photo: np.ndarray, points: np.ndarray, fitter: pseudo_normals.HeadFitter
) -> tuple[np.ndarray, np.ndarray]:
    """Of a photo that no head fits only the FaceMesh outline is known."""
    crop = _kept_crop(points)
    small = Crop(crop.centre, crop.side, 0.0, SURFACE_PIXELS)
    moved = np.concatenate([small.to_crop(points[:, :2]), points[:, 2:] / small.scale], 1)
    _, outline = facemesh.smooth_normals(moved, fitter.triangles, SURFACE_PIXELS)
    normals = np.zeros((SURFACE_PIXELS, SURFACE_PIXELS, 3), np.float32)
    confidence, head = np.zeros(outline.shape), outline
    try:
        found = fitter.fit(points)
    except AlignmentError:
        pass
    else:
        seen = fitter.surface(found, points, small.extract(photo), small.inverse_matrix)
        normals, confidence, head = seen.normals, seen.confidence, seen.head
    # Ears, neck and what hair may cover: a face or not.
    face = outline | (confidence > 0.5)
    surface = np.dstack([normals, confidence, face, head & ~face])
    return crop.extract(photo), np.round(surface * 127).astype(np.int8)
