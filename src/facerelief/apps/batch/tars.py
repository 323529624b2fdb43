"""Photos in tar shards, as webdataset writes them: one pass, and no more than a header in memory.

The standard library reads tar files, and takes a broken header in the middle for the end of all:
here it is said, and what can be found behind it is read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from facerelief.apps.batch.items import MOST_BYTES, Item, Member
from facerelief.apps.batch.keys import safe
from facerelief.inputs import SUFFIXES

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_BLOCK = tarfile.BLOCKSIZE
_MAGIC: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_BROKEN = (OSError, EOFError, ValueError, tarfile.TarError, zlib.error, lzma.LZMAError)


def photos(path: Path, key: str) -> Iterator[Item]:
    """The pictures in the tar file at `path`, called `key`; what is broken is an item, too."""
    try:
        with open(path, "rb") as raw:
            magic = raw.read(6)
            raw.seek(0)
            opened = next((make for mark, make in _MAGIC if magic.startswith(mark)), None)
            yield from _members(path, key, opened(raw) if opened else raw, opened is None)
    except _BROKEN as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        yield Item(f"{key}/%", str(path), problem=f"the tar file cannot be read on: {reason}")


def _members(path: Path, key: str, file: IO[bytes], seekable: bool) -> Iterator[Item]:
    size = path.stat().st_size
    tar: Any = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
    while True:
        try:
            member = tar.next()
        except tarfile.TarError:
            member = None
        tar.members.clear()  # else the headers of all of them stay in memory
        if member is None:
            start = _next_header(file, tar.offset)
            if start == tar.offset:
                return
            text = "the tar file is broken"
            lost = f"{text} at byte {tar.offset}" + ("" if start else "; what follows is lost")
            yield Item(f"{key}/%{tar.offset}", str(path), problem=lost)
            if start is None:
                return
            tar.offset = start
            tar._loaded = False
            continue
        name = member.name
        if not member.isfile() or Path(name).suffix.lower() not in SUFFIXES:
            continue
        if Path(name).name.startswith("."):  # what macOS puts beside every file
            continue
        called, source = f"{key}/{safe(name)}", f"{path}/{name}"
        if member.size > MOST_BYTES:
            yield Item(called, source, problem=f"more than {MOST_BYTES // 2**20} MB")
        elif not seekable:
            file.seek(member.offset_data)
            content = file.read(member.size)
            yield Item(called, source, content)
        elif member.offset_data + member.size > size:
            yield Item(called, source, problem="the tar file ends in the middle of it")
        else:
            yield Item(called, source, Member(path, member.offset_data, member.size))


def _next_header(file: IO[bytes], offset: int) -> int | None:
    """Where a member begins at or behind `offset`; itself where the file ends as it should."""
    file.seek(offset)
    block = file.read(_BLOCK)
    if not block or (len(block) == _BLOCK and not block.strip(b"\0")):
        return offset
    while len(block) == _BLOCK:
        offset += _BLOCK
        block = file.read(_BLOCK)
        if len(block) == _BLOCK and block[257:262] == b"ustar":
            try:
                tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError:  # its sum is wrong: a picture's bytes
                continue
            return offset
    return None
