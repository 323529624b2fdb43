"""Real colour photographs: face outline and, weakly, smooth normals from their FaceMesh points.

The weak normals are those of FaceMesh's own mesh, or those of a head that was fitted to its points
(`data.pseudo_normals`), which reach further and come with a confidence.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Generator

from facerelief.cache import cached_rows, digest
from facerelief.data import augment, facemesh, positions, pseudo_normals
from facerelief.data.sample import Sample, Shapes
from facerelief.geometry import align, alignment_solver
from facerelief.geometry.align import Alignment, AlignmentError
from facerelief.geometry.uv import filled
from facerelief.images import load_photo
from facerelief.types import Crop

MARGIN = 1.5  # kept around the crop, so that training can move it
PIXELS = 320  # side of a kept picture
SURFACE_PIXELS = 160  # of its normals: they are smooth
POSITION_TEXELS = 128  # of its position map
POSITION_STEP = 1 / 32  # pixels
_OUTLINE_KNOWN = 0.1  # how far points of a picture's outline are believed to be places on the skin
_DEPTH_KNOWN = 0.3  # how far FaceMesh's depth is, beside x and y
_VERSION = "1"

#: What the weak normals are of: FaceMesh's mesh, or a head fitted to its points.
Truth = Literal["facemesh", "aligned"]


class Photos:
    """A source of photograph samples; the normals are weak.

    Args:
        root: the data folder; cache: where crops are kept, those of other sources apart (about 2 GB
            for 6,000 photos).
        sources: names in the manifest's ``source`` column, or None for all.
        held_out: give the photos that training never sees instead of those that it does.
        truth: what the normals are of. ``aligned`` is for the open photos only, and its
            ``normals_mask`` is a confidence; ``face_known`` leaves out where skin may be or not.
        positions: give what is known of positions too: UV position maps of the fitted heads
            (``aligned``), or points, FaceMesh's and the 68 that were annotated (``facemesh``).
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
        positions: bool = False,
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
        self.positions: np.ndarray | None = None
        self.points: np.ndarray | None = None
        if truth == "facemesh":
            paths, self.pictures, self.surfaces = _prepared(Path(root), Path(cache), sources)
            self.points = _points(Path(root), paths) if positions else None
        else:
            paths, self.pictures, self.surfaces, maps = _prepared_aligned(
                Path(root), Path(cache), sources or []
            )
            self.positions = maps if positions else None
        held = held_out_paths(Path(root))
        self.chosen = torch.tensor([i for i, p in enumerate(paths) if (p in held) == held_out])
        if not len(self.chosen):
            raise ValueError(f"no photographs of {sources} under {root}")

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
            estimated=torch.zeros(count, dtype=torch.bool),
            pictured=torch.ones(count, dtype=torch.bool),
            shapes=self._shapes(index, warp, size),
        )
        return augment.spoil(sample, self.occluded, self.photometric, g)

    def _shapes(self, index: np.ndarray, warp: augment.Warp, size: int) -> Shapes | None:
        if self.positions is not None:  # x, y and z in steps, and how far the head is believed
            stored = self.positions[index]
            known = torch.from_numpy(stored[:, 0, 0, 3].astype(np.float32)) / 100
            maps = torch.from_numpy(stored[..., :3] * np.float32(POSITION_STEP))
            return positions.shapes(warp, size, maps.permute(0, 3, 1, 2), known)
        if self.points is not None:
            points, known = torch.from_numpy(self.points[index]).split((3, 2), -1)
            return positions.shapes(warp, size, points=points, points_known=known)
        return None


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


def _of_sources(
    root: Path, paths: Sequence[str], sources: Sequence[str] | None
) -> NDArray[np.int64]:
    """Which of all photos are of `sources`, of any if None. Raises ValueError if none is."""
    found = [i for i, path in enumerate(paths) if not sources or path.split("/")[0] in sources]
    if not found:
        raise ValueError(f"no photographs of {', '.join(sources or ())} under {root}")
    return np.array(found)


def _prepared(
    root: Path, cache: Path, sources: Sequence[str] | None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Paths, pictures (N, 320, 320, 3) and surfaces (N, 160, 160, 4), made on first use."""
    paths, points = facemesh.stored_points(root)
    chosen = _of_sources(root, paths, sources)
    # Some hundred faces give the mean; the rest would not move it.
    triangles = facemesh.triangulate(facemesh.mean_face(points[::12]))

    def prepare(index: int) -> dict[str, np.ndarray]:
        return _prepare(load_photo(root / "photos" / paths[index]), points[index], triangles)

    key = digest(points[::12], points[chosen], _VERSION)
    names = ("pictures", "surfaces")
    pictures, surfaces = _prepared_once(cache, key, names, prepare, chosen)
    return [paths[i] for i in chosen], pictures, surfaces


def _prepared_aligned(
    root: Path, cache: Path, sources: Sequence[str]
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """The same of open photos: surfaces (N, 160, 160, 6) of heads fitted to them, and maps.

    Channels are the normal, its confidence, whether there is a face, and whether there may be.
    Maps (N, 128, 128, 4) int16 are positions in steps of 1/32 pixel from the picture's middle and,
    the same for all texels, how far the fit is believed, in percent.
    """
    paths, points = facemesh.stored_points(root)
    chosen = _of_sources(root, paths, sources)
    # Heads and anchors have their own digests, by which the fitter finds them.
    fitter = pseudo_normals.head_fitter(root, cache.parent)
    code = (sys.modules[__name__], positions, pseudo_normals, align, alignment_solver)
    anchors = (fitter.aligner.anchors.vertices, fitter.aligner.anchors.weights)
    key = digest(*pseudo_normals.head_arrays(fitter.head), points[chosen], *code, *anchors)

    def prepare(index: int) -> dict[str, np.ndarray]:
        return _prepare_aligned(load_photo(root / "photos" / paths[index]), points[index], fitter)

    names = ("pictures", "surfaces", "maps")
    pictures, surfaces, maps = _prepared_once(cache, f"aligned_{key}", names, prepare, chosen)
    return [paths[i] for i in chosen], pictures, surfaces, maps


def _prepared_once(
    folder: Path,
    key: str,
    names: Sequence[str],
    prepare: Callable[[int], dict[str, np.ndarray]],
    indices: Sequence[int] | NDArray[np.int64],
) -> list[np.ndarray]:
    """What `prepare` makes of the photos `indices`, stacked: the arrays `names`."""

    def rows() -> Iterator[dict[str, np.ndarray]]:
        # The matrices of a fit are small: threads of BLAS would wait for each other.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(2) as pool:
            yield from pool.map(prepare, indices)

    stacks = cached_rows(folder, key, names, rows, len(indices))
    return [stacks[name] for name in names]


def _points(root: Path, paths: Sequence[str]) -> np.ndarray:
    """(N, P, 5) of the photos `paths`: `positions.POINTS` in pixels from the kept picture's middle,
    and how far x with y, and z, are believed. Jaws and outlines are the picture's, hence less."""
    stored = dict(zip(*facemesh.stored_points(root), strict=True))
    mesh_known = np.tile((1, _DEPTH_KNOWN), (facemesh.SKIN_POINTS, 1))
    mesh_known[list(facemesh.OUTLINE), 0] = _OUTLINE_KNOWN
    marks_known = np.where(np.arange(68) < 17, _OUTLINE_KNOWN, 1)
    marks = np.zeros((len(paths), 68 + facemesh.SKIN_POINTS, 5), np.float32)
    with np.load(root / "photos" / "landmarks.npz") as marked:
        names = set(marked.files)
        for row, path in zip(marks, paths, strict=True):
            mesh = stored[path]
            crop = _kept_crop(mesh)
            skin = mesh[: facemesh.SKIN_POINTS]
            row[68:, :2] = crop.to_crop(skin[:, :2]) - crop.size / 2
            row[68:, 2] = -skin[:, 2] / crop.scale  # theirs is smaller where it is nearer
            row[68:, 3:] = mesh_known
            if path in names and len(marked[path]) == 68:
                row[:68, :2] = crop.to_crop(marked[path]) - crop.size / 2
                row[:68, 3] = marks_known
    return marks


def _kept_crop(points: np.ndarray) -> Crop:
    """What is kept of a photo with the (478, 3) FaceMesh points."""
    tight = landmark_crop(points)
    return Crop(tight.centre, tight.side * MARGIN, 0.0, PIXELS)


def _prepare(photo: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> dict[str, np.ndarray]:
    crop = _kept_crop(points)
    scale = SURFACE_PIXELS / crop.side
    moved = np.concatenate([crop.to_crop(points[:, :2]) / 2, points[:, 2:] * scale], 1)
    normals, mask = facemesh.smooth_normals(moved, triangles, SURFACE_PIXELS)
    surface = np.concatenate([normals, mask[..., None]], -1)
    return {"pictures": crop.extract(photo), "surfaces": _bytes(surface)}


def _prepare_aligned(
    photo: np.ndarray, points: np.ndarray, fitter: pseudo_normals.HeadFitter
) -> dict[str, np.ndarray]:
    """Of a photo that no head fits only the FaceMesh outline is known."""
    crop = _kept_crop(points)
    small = Crop(crop.centre, crop.side, 0.0, SURFACE_PIXELS)
    moved = np.concatenate([small.to_crop(points[:, :2]), points[:, 2:] / small.scale], 1)
    _, outline = facemesh.smooth_normals(moved, fitter.triangles, SURFACE_PIXELS)
    normals = np.zeros((SURFACE_PIXELS, SURFACE_PIXELS, 3), np.float32)
    confidence, head = np.zeros(outline.shape), outline
    position = np.zeros((POSITION_TEXELS, POSITION_TEXELS, 4), np.int16)
    try:
        alignment = fitter.fit(points)
    except AlignmentError:
        pass
    else:
        seen = fitter.surface(alignment, points, small.extract(photo), small.inverse_matrix)
        normals, confidence, head = seen.normals, seen.confidence, seen.head
        position = _position(alignment, crop)
    # Ears, neck and what hair may cover: a face or not.
    face = outline | (confidence > 0.5)
    surface = np.dstack([normals, confidence, face, head & ~face])
    return {"pictures": crop.extract(photo), "surfaces": _bytes(surface), "maps": position}


def _position(alignment: Alignment, crop: Crop) -> np.ndarray:
    """(128, 128, 4) int16, see `_prepared_aligned`."""
    points = np.array(alignment.projected, np.float64)
    points[:, :2] = crop.to_crop(points[:, :2]) - crop.size / 2
    points[:, 2] = (points[:, 2] - alignment.translation[2]) * alignment.scale / crop.scale
    texels = filled(positions.layout(POSITION_TEXELS).write(points))
    steps = np.clip(np.round(texels / POSITION_STEP), -32768, 32767)
    believed = np.full((*steps.shape[:2], 1), round(100 * alignment.confidence))
    return np.concatenate([steps, believed], -1).astype(np.int16)


def _bytes(surface: np.ndarray) -> np.ndarray:
    return np.round(surface * 127).astype(np.int8)
