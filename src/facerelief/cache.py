"""What takes long to derive is made once and kept: whole or not at all, by one process.

An entry's name ends with a digest of all that it depends on, code included (`digest`), so that a
stale one is never read. It is made under a name of its own and takes its place when it is whole; of
processes that start together one makes it and the others wait. One that cannot be read is made
again. Everything lies in one folder, `cache_folder()`, which may be deleted at any time.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]

#: What reading a damaged entry raises.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def cache_folder() -> Path:
    """Where derived data is kept: ``FACERELIEF_CACHE``, or ``~/.cache/facerelief``."""
    return Path(os.environ.get("FACERELIEF_CACHE") or Path.home() / ".cache" / "facerelief")


def digest(*parts: bytes | str | NDArray[Any] | ModuleType) -> str:
    """12 digits that change with any of `parts`; of a module counts its code, not its comments."""
    total = hashlib.sha256()
    for part in parts:
        content: bytes | memoryview
        if isinstance(part, ModuleType):
            content = _code(part)
        elif isinstance(part, np.ndarray):
            total.update(f"{part.dtype} {part.shape} ".encode())
            content = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
        else:
            content = part.encode() if isinstance(part, str) else part
        total.update(f"{len(content)} ".encode())
        total.update(content)
    return total.hexdigest()[:12]


def cached(folder: Path, key: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
    """The arrays that `make` gives, kept as ``folder/key.npz``.

    Raises OSError where nothing can be written, and what `make` raises.
    """

    def write(path: Path) -> None:
        with open(path, "wb") as file:  # given a name, NumPy would add an ending to it
            np.savez(file, **make())  # type: ignore[arg-type]

    def read(path: Path) -> dict[str, NDArray[Any]]:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    return kept(folder / f"{key}.npz", write, read)


def cached_rows(
    folder: Path,
    key: str,
    names: Iterable[str],
    make: Callable[[], Iterable[Arrays]],
    count: int,
) -> dict[str, NDArray[Any]]:
    """The same for large arrays, of which `make` gives row after row, `count` of them.

    They are kept as ``folder/key/name.npy`` and mapped into memory, which processes share.
    """

    def write(path: Path) -> None:
        path.mkdir()
        stacks: dict[str, np.memmap[Any, Any]] = {}
        for index, row in enumerate(make()):
            for name, array in row.items():
                if index == 0:
                    shape = (count, *np.shape(array))
                    stacks[name] = np.lib.format.open_memmap(
                        path / f"{name}.npy", "w+", np.asarray(array).dtype, shape
                    )
                stacks[name][index] = array
        for stack in stacks.values():
            stack.flush()

    def read(path: Path) -> dict[str, NDArray[Any]]:
        return {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in names}

    return kept(folder / key, write, read)


def kept(path: Path, make: Callable[[Path], object], read: Callable[[Path], T]) -> T:
    """What `read` gives of the file or folder `path`, which `make` writes where it is told."""
    try:
        return read(path)
    except _DAMAGE:
        pass  # or not there
    with locked(path):
        try:
            return read(path)  # another process was quicker
        except _DAMAGE:
            _remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{path.name}.*.partial"):  # by makers that were killed
            _remove(left)
        partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
        try:
            make(partial)
            os.replace(partial, path)
        finally:
            _remove(partial)
    return read(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process or thread works on `path`; it need not exist."""
    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / digest(str(path.resolve()))):
        yield


@lru_cache(maxsize=64)
def _code(module: ModuleType) -> bytes:
    return ast.unparse(ast.parse(inspect.getsource(module))).encode()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
