"""What is named as a photo: files, folders and globs, and what is said of an input that is none."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# What counts as a photo in a folder. A file named on its own may end in anything. The last four
# are named there even where nothing reads them, so that no photo is left out in silence.
# fmt: off
SUFFIXES = frozenset((
    ".avif", ".bmp", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pgm", ".png", ".ppm",
    ".tga", ".tif", ".tiff", ".webp", ".heic", ".heif", ".hif", ".jxl",
))
# fmt: on


class PhotoError(ValueError):
    """An input that is no usable photo; its text is one line that names the input."""

    def __init__(self, text: str) -> None:
        super().__init__(in_line(text))


class ForeignError(PhotoError):
    """A file that is in no format which is read."""


def in_line(text: str) -> str:
    """`text` as one line that any terminal may show: what does not print is written in escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def expand_inputs(inputs: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that `inputs` (files, folders, globs) stand for, each once, in order.

    A folder gives the pictures in it, not in folders below, sorted by name and without hidden
    files; a glob gives the files it matches, `**` included. What stands for nothing stays in the
    list as it is, so that `load_photo` can say of it alone what is wrong.
    """
    found: dict[str, Path] = {}
    for item in inputs:
        path = Path(item).expanduser()
        for file in _expand(path) or [path]:
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def expand_trees(inputs: Iterable[str | os.PathLike[str]]) -> dict[Path, list[Path]]:
    """As `expand_inputs`, with all folders below: the files by the place of theirs in the tree.

    What was named itself is at the place ".". Each file comes once, whatever links lead to it, and
    links to folders are followed, but never round and round. A folder that cannot be read stays in
    the list, as what stands for nothing does.
    """
    seen: set[str] = set()
    found: dict[Path, list[Path]] = {}
    for item in inputs:
        path = Path(item).expanduser()
        pairs = list(_below(path, seen)) if path.is_dir() else [(Path(), f) for f in _expand(path)]
        for place, file in pairs or [(Path(), path)]:
            try:
                real = os.path.realpath(file)
            except ValueError:  # a null byte, of which reading says so
                real = str(file)
            if real not in seen:
                seen.add(real)
                found.setdefault(place, []).append(file)
    return found


def _below(top: Path, seen: set[str]) -> Iterator[tuple[Path, Path]]:
    """Places and pictures of a folder and those below, but for the folders `seen`."""
    folders = [top]
    while folders:
        folder = folders.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        place = folder.relative_to(top)
        try:
            entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
        except OSError:
            yield place, folder
            continue
        seen.add(real)
        yield from ((place, entry) for entry in entries if _is_picture(entry))
        folders += [entry for entry in reversed(entries) if entry.is_dir()]


def _expand(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return sorted(p for p in path.iterdir() if _is_picture(p))
        if path.exists():
            return [path]
        matches = (Path(p) for p in sorted(glob.glob(str(path), recursive=True)))
        return [p for p in matches if p.is_file()]
    except (OSError, ValueError):  # no right to look, a name too long or with a null in it
        return []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
