"""What a run is given, as one stream of photos: nothing of it is in memory but the present folder.

Keys are stable: they depend on what was named and on where a photo is in it, and on no other photo.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from facerelief.apps.batch import tables, tars
from facerelief.apps.batch.items import Item
from facerelief.apps.batch.keys import safe
from facerelief.inputs import SUFFIXES, in_line
from facerelief.photo_files import STDIN

LISTS = (".txt", ".lst")
_GLOB = re.compile(r"[*?[]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_BRACES = 1_000_000


@dataclass(frozen=True)
class Sources:
    """Folders with all below, globs, files, lists, tar shards and Parquet; in this order.

    Folders may hold shards and tables, too. `without` is left out of them: the output.
    """

    named: Sequence[str]
    column: str | None = None  # of tables: what holds the photos
    key: str | None = None  # of tables: what says how they are called
    without: Path | None = None

    def __iter__(self) -> Iterator[Item]:
        seen: set[str] = set()  # of folders alone
        for name in self.named:
            yield from self._named(name, seen, lists=True)

    def _named(self, name: str, seen: set[str], lists: bool) -> Iterator[Item]:
        if lists and name == STDIN:
            for line in sys.stdin:
                yield from self._line(line, seen)
            return
        path = Path(name).expanduser()
        try:
            if path.is_dir():
                yield from self._below(path, seen)
            elif lists and path.suffix.lower() in LISTS and path.is_file():
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    for line in file:
                        yield from self._line(line, seen)
            elif path.exists():
                yield from self._file(path, safe(str(path)))
            else:
                yield from self._pattern(str(path), seen)
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            yield Item(safe(name), name, problem=f"cannot be read ({reason})")

    def _line(self, line: str, seen: set[str]) -> Iterator[Item]:
        line = line.strip("\r\n")
        if line.strip():
            yield from self._named(line, seen, lists=False)

    def _pattern(self, text: str, seen: set[str]) -> Iterator[Item]:
        """What braces and wildcards stand for; what stands for nothing is an item that fails."""
        if _BRACES.search(text):
            for name in braces(text):
                yield from self._named(name, seen, lists=False)
            return
        start = _GLOB.search(text)
        if start is None:
            yield Item(safe(text), text, Path(text))  # of which reading says what is wrong
            return
        root = text[: start.start()].rpartition("/")[0] or ("/" if text[0] == "/" else ".")
        top, none = Path(root), True
        for found in sorted(glob.iglob(text, recursive=True)):
            path = Path(found)
            if path.is_file() and not self._is_left_out(path):
                none = False
                yield from self._file(path, _key(top, path))
        if none:
            yield Item(safe(text), text, problem="nothing matches")

    def _below(self, top: Path, seen: set[str]) -> Iterator[Item]:
        folders = [top]
        while folders:
            folder = folders.pop()
            real = os.path.realpath(folder)
            if real in seen or self._is_left_out(folder):
                continue
            seen.add(real)
            try:
                entries = sorted(e.name for e in os.scandir(folder) if e.name[0] != ".")
            except OSError as error:
                text = f"the folder cannot be read ({error.strerror})"
                yield Item(_key(top, folder) + "/%", str(folder), problem=text)
                continue
            deeper = []
            for name in entries:
                path = folder / name
                if path.is_dir():
                    deeper.append(path)
                elif _is_ours_to_read(name):
                    yield from self._file(path, _key(top, path))
            folders += reversed(deeper)

    def _file(self, path: Path, key: str) -> Iterator[Item]:
        ending = path.name.lower()
        if ending.endswith(tars.ENDINGS):
            yield from tars.photos(path, key)
        elif ending.endswith(tables.ENDINGS):
            yield from tables.photos(path, key, self.column, self.key)
        else:
            yield Item(key, str(path), path)

    def _is_left_out(self, path: Path) -> bool:
        if self.without is None:
            return False
        out = os.path.realpath(self.without)
        return f"{os.path.realpath(path)}{os.sep}".startswith(f"{out}{os.sep}")


def needs_pyarrow(named: Sequence[str]) -> bool:
    """Whether one of the sources is a table by its name."""
    return any(name.lower().endswith(tables.ENDINGS) for name in named)


def braces(text: str) -> Iterator[str]:
    """`a{00..02}.tar` and `{a,b}.tar`, as shells and webdataset expand them.

    Raises ValueError for more than a million.
    """
    parts = _BRACES.split(text)
    choices: list[Sequence[str]] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            choices.append([part])
        elif numbers := _RANGE.fullmatch(part):
            first, last = numbers.groups()
            if abs(int(last) - int(first)) >= _MOST_BRACES:
                raise ValueError(in_line(f"{text} stands for more than {_MOST_BRACES} names"))
            step = 1 if int(last) >= int(first) else -1
            width = len(first) if first[0] == "0" or len(first) == len(last) else 0
            choices.append([f"{n:0{width}d}" for n in range(int(first), int(last) + step, step)])
        else:
            choices.append(part.split(","))
    return ("".join(one) for one in product(*choices))


def _is_ours_to_read(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in SUFFIXES or name.lower().endswith((*tars.ENDINGS, *tables.ENDINGS))


def _key(top: Path, path: Path) -> str:
    """As `cp -r top OUT` would call it: the name of the folder, and the place in it."""
    name = top.name or Path(os.path.realpath(top)).name
    if name == "..":
        name = Path(os.path.realpath(top)).name
    return safe(f"{name}/{path.relative_to(top).as_posix()}")
