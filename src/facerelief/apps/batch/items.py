"""One photo of many: what it is called, and how to get at its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facerelief.inputs import PhotoError
from facerelief.photo_files import PhotoFile

MOST_BYTES = 256 * 2**20  # of a photo in a shard or table


@dataclass(frozen=True)
class Member:
    """Bytes of a file on the disk."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Raises OSError, also where the file ends before."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError(0, f"the file ends after {len(content)} of {self.size} bytes")
        return content


@dataclass(frozen=True)
class Item:
    """A photo, or what stands in its place and cannot be one."""

    key: str  # of keys.safe: the same in every run over the same source
    source: str  # where it is, for people
    content: Path | Member | bytes = b""
    problem: str | None = None  # why it cannot be read, if that is known already

    def open(self) -> PhotoFile:
        """Raises PhotoError for a photo that is none."""
        if self.problem is not None:
            raise PhotoError(f"{self.source}: {self.problem}")
        if isinstance(self.content, Path):
            return PhotoFile(self.content)
        content = self.content
        if isinstance(content, Member):
            try:
                content = content.read()
            except OSError as error:
                reason = error.strerror or error
                raise PhotoError(f"{self.source}: cannot be read ({reason})") from None
        if not content:
            raise PhotoError(f"{self.source}: an empty file")
        return PhotoFile(content, self.source)
