"""Rendered samples on the disk: tar shards as webdataset reads them, or a folder a sample.

``heads-000000.tar`` holds the members ``000000000.photo.png``, ``000000000.normals.png`` and so on
(see `samples.files`) of its samples, one after the other; ``heads-000001.tar`` goes on where it
ends. As folders, the same files are ``000000000/photo.png``. A shard or folder has its name only
once it is whole, so that an interrupted run can go on with the first one that is not there.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from facerelief.files import appearing
from facerelief.samples import files as sample_files
from facerelief.samples.files import SampleError
from facerelief.samples.rendering import Rendering

SHARD_SAMPLES = 256
_BLOCK = tarfile.BLOCKSIZE
_SHARD = re.compile(r"heads-(\d{6})\.tar")
_SAMPLE = re.compile(r"\d{9}")


@dataclass(frozen=True)
class TarShards:
    """Writes samples into tar files of `samples` each.

    The bytes depend on the samples alone: members are in the order of `samples.files.FILES` and
    have no owner and no time.
    """

    folder: Path
    samples: int = SHARD_SAMPLES

    def pending(self, count: int) -> list[range]:
        """The samples 0 to `count` that are not on the disk, shard by shard."""
        shards = [
            range(first, min(first + self.samples, count))
            for first in range(0, count, self.samples)
        ]
        return [shard for shard in shards if not self._is_whole(shard)]

    def write(self, shard: range, samples: Iterable[Mapping[str, bytes]]) -> None:
        """Write the `samples` of one of `pending`. Raises OSError, with nothing left behind."""
        path = self._path(shard)
        with appearing(path) as own, open(own, "wb") as file:
            for index, files in zip(shard, samples, strict=True):
                file.write(_to_tar(index, files))
            file.write(bytes(2 * _BLOCK))  # the end of a tar file
            file.flush()
            os.fsync(file.fileno())

    def _path(self, shard: range) -> Path:
        return self.folder / f"heads-{shard.start // self.samples:06d}.tar"

    def _is_whole(self, shard: range) -> bool:
        path = self._path(shard)
        if not path.exists():
            return False
        try:
            return _starts(path).keys() >= set(shard)
        except (SampleError, OSError):
            return False


@dataclass(frozen=True)
class SampleFolders:
    """Writes each sample into a folder of its own."""

    folder: Path

    def pending(self, count: int) -> list[range]:
        """The samples 0 to `count` that are not on the disk, one by one."""
        return [range(i, i + 1) for i in range(count) if not self._path(i).is_dir()]

    def write(self, shard: range, samples: Iterable[Mapping[str, bytes]]) -> None:
        """Write the `samples` of one of `pending`. Raises OSError, with nothing left behind."""
        for index, files in zip(shard, samples, strict=True):
            path = self._path(index)
            with appearing(path) as own:
                own.mkdir()
                for name, content in files.items():
                    (own / name).write_bytes(content)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:09d}"


class TrainingPicture(NamedTuple):
    """What a network that estimates normals trains on."""

    photo: NDArray[np.uint8]  # (H, W, 3) sRGB
    normals: NDArray[np.float32]  # (H, W, 3); zero outside the face
    mask: NDArray[np.bool_]  # (H, W) visible face
    occluder: NDArray[np.bool_]  # (H, W)


class ShardReader(Sequence[Rendering]):
    """Samples of a folder by their place in it, from shards or folders.

    Shards are mapped into memory, not read, and only the place of each sample is kept: a reader of
    a million samples is small. It can go to the worker processes of a loader.

    Raises:
        SampleError: the folder holds no samples, or a shard is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._maps: dict[Path, mmap.mmap] = {}
        self._where: dict[int, tuple[Path, int]] = {}  # folder or shard, and the place in that
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _SAMPLE.fullmatch(path.name) and path.is_dir():
                self._where[int(path.name)] = path, 0
            elif _SHARD.fullmatch(path.name):
                for index, start in _starts(path).items():
                    self._where[index] = path, start
        #: The samples' own numbers, in order.
        self.indices = sorted(self._where)
        if not self.indices:
            raise SampleError(f"{folder}: no samples there")

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, place: int) -> Rendering: ...

    @overload
    def __getitem__(self, place: slice) -> list[Rendering]: ...

    def __getitem__(self, place: int | slice) -> Rendering | list[Rendering]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        index = self.indices[place]
        try:
            return sample_files.from_files(self.files(index))
        except SampleError as error:
            raise SampleError(f"{self.folder}, sample {index}: {error}") from None

    def training(self, place: int) -> TrainingPicture:
        """The few pictures of a sample that training reads: several times as fast as all."""
        index = self.indices[place]
        names = ("photo.png", "normals.png", "mask.png", "occluder.png")
        files = self.files(index, names)
        try:
            photo, normals, mask, occluder = (sample_files.from_png(files[name]) for name in names)
        except (KeyError, SampleError) as error:
            raise SampleError(f"{self.folder}, sample {index}: {error}") from None
        return TrainingPicture(photo, sample_files.to_normals(normals), mask > 127, occluder > 127)

    def position(self, place: int) -> NDArray[np.float32]:
        """The UV position map of a sample alone. Raises SampleError where there is none."""
        index = self.indices[place]
        try:
            return sample_files.to_position(self.files(index, ("position.png", "json")))
        except SampleError as error:
            raise SampleError(f"{self.folder}, sample {index}: {error}") from None

    def facts(self, place: int) -> dict[str, Any]:
        """Everything of a sample that is no picture. Raises SampleError."""
        return self._read(place, "json", json.loads)

    def albedo(self, place: int) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of a sample. Raises SampleError."""
        return self._read(place, "albedo.png", sample_files.from_png)

    def _read(self, place: int, name: str, decode: Callable[[bytes], Any]) -> Any:
        index = self.indices[place]
        try:
            return decode(self.files(index, (name,))[name])
        except (KeyError, ValueError) as error:
            raise SampleError(f"{self.folder}, sample {index}: damaged {name} ({error})") from None

    def files(self, index: int, names: Sequence[str] = sample_files.FILES) -> dict[str, bytes]:
        """Those of the files `names` that the sample numbered `index` has, as they were written."""
        path, start = self._where[index]
        if path.is_dir():
            return {name: (path / name).read_bytes() for name in names if (path / name).exists()}
        content = self._map(path)
        members = takewhile(lambda member: member[0] == index, _members(content, start))
        return {
            name: content[place.start : place.stop] for _, name, place in members if name in names
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def _map(self, path: Path) -> mmap.mmap:
        if path not in self._maps:
            self._maps[path] = _map(path)
        return self._maps[path]


def _starts(path: Path) -> dict[int, int]:
    """Sample -> where its first header is in the tar file. Raises SampleError."""
    starts: dict[int, int] = {}
    try:
        with _map(path) as content:
            for index, _, place in _members(content):
                starts.setdefault(index, place.start - _BLOCK)
    except SampleError as error:
        raise SampleError(f"{path}: {error}") from None
    return starts


def _map(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise SampleError("an empty file") from None


def _to_tar(index: int, files: Mapping[str, bytes]) -> bytes:
    parts = []
    for name, content in files.items():
        header = tarfile.TarInfo(f"{index:09d}.{name}")
        header.size, header.mode = len(content), 0o644
        parts += [header.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % _BLOCK)]
    return b"".join(parts)


def _members(content: mmap.mmap, position: int = 0) -> Iterator[tuple[int, str, range]]:
    """Sample, file and its extent for all headers from `position` on.

    A few microseconds each; `tarfile` takes a hundred.
    """
    while (name := content[position : position + 100].rstrip(b"\0")) != b"":
        try:
            index, _, file = name.decode("ascii").partition(".")
            size = int(content[position + 124 : position + 135], 8)
            yield int(index), file, range(position + _BLOCK, position + _BLOCK + size)
        except ValueError:
            raise SampleError("not a shard of samples") from None
        position += _BLOCK + size + -size % _BLOCK
    if len(content) < position + 2 * _BLOCK:
        raise SampleError("the file is cut short")
