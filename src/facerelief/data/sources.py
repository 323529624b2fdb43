"""Training sources and validation sets by name, and the loader that mixes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch.utils.data import IterableDataset, get_worker_info

from facerelief.cache import cache_folder
from facerelief.data import augment, yaleb, yaleb_samples
from facerelief.data.additive_light import (
    AdditiveLight,
    LightRange,
    MixRange,
    ReliefRange,
    TurnRange,
)
from facerelief.data.folders import data_root
from facerelief.data.heads import Unknown
from facerelief.data.laid_faces import LaidPhotos, LaidRenderings
from facerelief.data.photos import Photos
from facerelief.data.renderings import Renderings
from facerelief.data.sample import Sample, concatenate
from facerelief.data.taught_photos import TaughtPhotos

#: Of all pictures that a training validates with, which stay in memory.
MOST_PIXELS = 2**28

VALIDATION = ("laid_photos", "laid_renderings", "renderings", "yaleb")
SOURCES = (
    "additive_light",
    "laid_photos",
    "laid_renderings",
    "photos",
    "renderings",
    "taught_photos",
)

# Options of sources that are themselves groups of settings.
_RANGES: dict[str, Any] = {
    "warp": augment.WarpRange,
    "photometric": augment.PhotometricRange,
    "light": LightRange,
    "mix": MixRange,
    "relief": ReliefRange,
    "turn": TurnRange,
}


class Source(Protocol):
    """Endless random samples."""

    def batch(self, count: int, size: int, g: torch.Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels, drawn from ``g`` alone."""


def build_source(name: str, options: dict[str, Any]) -> Source:
    """A training source by name.

    Raises:
        ValueError: unknown name; the message lists the valid ones.
    """
    options = _with_ranges(options)
    if name == "additive_light":
        root = data_root()
        people = yaleb.load_splits(root)[options.pop("people", "train")]
        people = people[: options.pop("limit", len(people))]
        return AdditiveLight(root, people, cache_folder() / "yaleb", **options)
    if name == "photos":
        heads = options.pop("heads", False)
        photos = Photos(data_root(), cache_folder() / "photos", **options)
        return Unknown(photos) if heads else photos
    if name == "taught_photos":
        return TaughtPhotos(data_root(), cache_folder() / "photos", **options)
    if name == "renderings":
        return Renderings(**options)
    if name == "laid_photos":
        return LaidPhotos(data_root(), cache_folder(), **options)
    if name == "laid_renderings":
        return LaidRenderings(cache=cache_folder(), **options)
    raise ValueError(f"unknown source {name!r}; one of {', '.join(SOURCES)}")


def build_validation(name: str, size: int, batch: int, options: dict[str, Any]) -> list[Sample]:
    """A validation set by name, as batches.

    Raises:
        ValueError: unknown name; the message lists the valid ones.
    """
    if name == "yaleb":
        return yaleb_samples.batches(data_root(), cache_folder() / "yaleb", size, batch, **options)
    if name == "renderings":
        return _renderings(size, batch, _with_ranges(options))
    if name in ("laid_photos", "laid_renderings"):
        count = _count(options, size)
        return _drawn(build_source(name, options), count, size, batch)
    raise ValueError(f"unknown validation set {name!r}; one of {', '.join(VALIDATION)}")


def _with_ranges(options: dict[str, Any]) -> dict[str, Any]:
    """Options, those that are groups of settings as what they are of."""
    return {k: _RANGES[k](**v) if k in _RANGES else v for k, v in options.items()}


def _renderings(size: int, batch: int, options: dict[str, Any]) -> list[Sample]:
    """The same draws for every run, with what is seen in them left as it is."""
    count = _count(options, size)
    source = Renderings(
        options.pop("folder"),
        photometric=augment.NO_PHOTOMETRIC,
        occluded=0.0,
        **options,
    )
    return _drawn(source, count, size, batch)


def _count(options: dict[str, Any], size: int) -> int:
    count: int = options.pop("count", 256)
    if count * size**2 > MOST_PIXELS:
        raise ValueError(f"{count} pictures of {size} x {size} to validate with: too much memory")
    return count


def _drawn(source: Source, count: int, size: int, batch: int) -> list[Sample]:
    sizes = [batch] * (count // batch) + [count % batch] * (count % batch > 0)
    return [source.batch(n, size, torch.Generator().manual_seed(i)) for i, n in enumerate(sizes)]


class Mixture(IterableDataset[Sample]):
    """Endless batches with a fixed share of each source.

    With ``alternate`` a batch is of one source, drawn by the shares: for systems whose batches are
    of one kind (pairs, pictures only, normals only).

    Batch ``i`` depends on the seed and on ``i`` alone, whatever the number of workers; a resumed
    run goes on with the batch it stopped before. With ``repeat`` there are so many batches, again
    and again.
    """

    def __init__(
        self,
        sources: list[tuple[Source, float]],
        batch: int,
        size: int,
        seed: int,
        start: int = 0,
        alternate: bool = False,
        repeat: int = 0,
    ) -> None:
        self.sources, self.alternate, self.count = sources, alternate, batch
        self.repeat = repeat
        total = sum(share for _, share in sources)
        counts = [round(batch * share / total) for _, share in sources]
        counts[0] += batch - sum(counts)
        self.parts = [(s, n) for (s, _), n in zip(sources, counts, strict=True) if n > 0]
        self.size, self.seed, self.start = size, seed, start

    def batch(self, index: int) -> Sample:
        """The batch of an index."""
        g = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        if self.alternate:
            shares = torch.tensor([share for _, share in self.sources])
            chosen, _ = self.sources[int(torch.multinomial(shares, 1, generator=g))]
            return chosen.batch(self.count, self.size, g)
        return concatenate([source.batch(count, self.size, g) for source, count in self.parts])

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        index, step = (self.start, 1) if worker is None else (
            self.start + worker.id, worker.num_workers)  # fmt: skip
        while True:
            yield self.batch(index % self.repeat if self.repeat else index)
            index += step
