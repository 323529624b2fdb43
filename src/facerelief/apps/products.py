"""What is made of a photo, as names and bytes, and the places that take it.

A job is a function `produce(photo) -> Product` and knows no folder; a sink takes products and knows
no job. So each new job serves every sink, and each new sink every job.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Protocol
from zipfile import ZipFile

from facerelief.files import write_files
from facerelief.images import Pixels


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, and what it is called."""

    pixels: Pixels  # (H, W, 3) RGB
    stem: str  # what the names of its files begin with
    source: str  # where it came from, for sidecars and errors: a path, an address


@dataclass(frozen=True)
class Product:
    """All that a job makes of one photo."""

    sidecars: list[dict[str, Any]]  # one a face, the largest first
    files: dict[str, bytes]  # by file name


#: A job, its system and options bound. Raises PhotoError where there is nothing to make.
Produce = Callable[[Photo], Product]


class Sink(Protocol):
    """A place for products. Several threads may use it at once."""

    def put(self, product: Product) -> None:
        """Keep all files of `product` or none of them. Raises OSError."""

    def place(self, name: str) -> str:
        """Where the file called `name` is then, for people and scripts."""


@dataclass(frozen=True)
class Folder:
    """Files in a folder that exists."""

    path: Path

    def put(self, product: Product) -> None:
        write_files({self.path / name: content for name, content in product.files.items()})

    def place(self, name: str) -> str:
        return str(self.path / name)


class Archive:
    """One zip file, which takes its name when the `with` block ends without an error.

    Its files are stored as they are: pictures are compressed already. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._zip = ZipFile(self._temporary, "w")
        self._lock = Lock()

    def put(self, product: Product) -> None:
        with self._lock:
            for name, content in product.files.items():
                self._zip.writestr(name, content)

    def place(self, name: str) -> str:
        return f"{self.path}/{name}"

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            self._zip.close()
            if error is None:
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
