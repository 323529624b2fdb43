"""What is made of a photo, as names and bytes, and the places that take it.

A job is a function `produce(photo) -> Product` and knows no folder; a sink takes products and knows
no job. So each new job serves every sink, and each new sink every job.

A folder that has an earlier product of the same job and name gives it up as a whole, and nothing
else that lies there.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Protocol
from zipfile import ZipFile

from facerelief.encode import is_marked
from facerelief.files import check_not_among, temporary_path, write_files
from facerelief.images import Pixels
from facerelief.photo_files import PhotoFile

_LONGEST = 2**20  # bytes of a sidecar that is read
#: Endings of files of ours that are not marked: their sidecar alone says whose they are.
_UNMARKED = (".glb", ".ply", "_depth.npy")
#: How files of ours begin that are no pictures and no sidecars: OBJ and MTL, landmarks, pages,
#: normals.
_BEGINNINGS = (
    b"# facerelief ",
    b'{\n  "scheme": "',
    b'{\n  "model": "facerelief.geometry.face_model"',
    b"<!doctype html>\n<!-- facerelief ",
    b'{"topology": "',
    b"\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (256, 256, 3)",
)


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, and what it is called."""

    pixels: Pixels  # (H, W, 3) RGB
    stem: str  # what the names of its files begin with
    source: str  # where it came from, for sidecars and errors: a path, an address
    file: PhotoFile | None = None  # that the pixels were read from, if they were


@dataclass(frozen=True)
class Product:
    """All that a job makes of one photo."""

    sidecars: list[dict[str, Any]]  # one a face, the largest first
    files: dict[str, bytes]  # by file name
    #: What all those names begin with, and the ending of sidecars: so an earlier product of the job
    #: is found. Both are empty for a file that a person named.
    stem: str = ""
    ending: str = ""
    left_out: tuple[str, ...] = ()  # what could not be made, and why; one line each


def face_stems(stem: str, count: int) -> list[str]:
    """The stem itself for one face; followed by _0, _1, ... from the largest on for several."""
    return [stem] if count == 1 else list(islice(_numbered(stem), count))


def _numbered(stem: str) -> Iterator[str]:
    return (f"{stem}_{number}" for number in count())


#: A job, its system and options bound. Raises PhotoError where there is nothing to make.
Produce = Callable[[Photo], Product]


class Sink(Protocol):
    """A place for products. Several threads may use it at once."""

    def put(self, product: Product) -> str | None:
        """Keep all files of `product` or none of them. Raises OSError.

        Gives the photo whose product had to make way for it, where that is another one.
        """

    def place(self, name: str) -> str:
        """Where the file called `name` is then, for people and scripts."""


@dataclass(frozen=True)
class Folder:
    """Files in a folder that exists."""

    path: Path
    #: `files.identities` of what must not be written over.
    inputs: frozenset[tuple[int, int]] = frozenset()

    def put(self, product: Product) -> str | None:
        contents = {self.path / name: content for name, content in product.files.items()}
        check_not_among(contents, self.inputs)
        if not product.stem:
            write_files(contents)
            return None
        source = product.sidecars[0]["photo"]["path"]
        stems = face_stems(product.stem, len(product.sidecars))
        before = self._before(product, stems)
        for path in contents:
            if path.is_file() and not is_ours(path, before):
                text = f"{path} is not facerelief's; move it, or choose another folder"
                raise FileExistsError(errno.EEXIST, text)
        old = [
            self.path / name
            for stem, found in before.items()
            if stem not in stems or not found.is_of(source)
            for name in (stem + product.ending, *found.files)
        ]
        write_files(contents, [p for p in old if p not in contents and is_ours(p, before)])
        return next((found.source for found in before.values() if not found.is_of(source)), None)

    def _before(self, product: Product, stems: Collection[str]) -> dict[str, _Sidecar]:
        """What a product for `stems` replaces: the sidecars there, by the stems of their faces."""
        before = {}
        for number, stem in enumerate(chain([product.stem], _numbered(product.stem))):
            found = _Sidecar.read(self.path / (stem + product.ending))
            # A photo that is called like a face of this one keeps its files if it can.
            if found and (stem == product.stem or stem in stems or found.stem != stem):
                before[stem] = found
            elif not found and number > len(stems):
                break
        return before

    def place(self, name: str) -> str:
        return str(self.path / name)


@dataclass(frozen=True)
class _Sidecar:
    """What a sidecar in a folder says; whoever wrote it."""

    source: str  # of its photo
    files: list[str]  # names in the same folder

    @classmethod
    def read(cls, path: Path) -> _Sidecar | None:
        """None where there is none of ours."""
        try:
            with open(path, "rb") as file:
                said = json.loads(file.read(_LONGEST))
            source, files = said["photo"]["path"], said.get("files", [])
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None
        if "facerelief" not in said or not isinstance(source, str) or not isinstance(files, list):
            return None
        names = [name for name in files if isinstance(name, str) and name not in ("", ".", "..")]
        return cls(source, [name for name in names if not re.search(r"[/\\\0]", name)])

    @property
    def stem(self) -> str:
        return Path(self.source).stem

    def is_of(self, source: str) -> bool:
        return os.path.abspath(self.source) == os.path.abspath(source)


def is_ours(path: Path, before: Iterable[str]) -> bool:
    """Whether an earlier run wrote the file at `path`; it left sidecars of the stems `before`."""
    if path.name.endswith(_UNMARKED):
        return path.name.startswith(tuple(before))
    if is_marked(path) or _Sidecar.read(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(128).startswith(_BEGINNINGS)
    except OSError:
        return False


class Archive:
    """One zip file, which takes its name when the `with` block ends without an error.

    Its files are stored as they are: pictures are compressed already. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = temporary_path(path)
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
