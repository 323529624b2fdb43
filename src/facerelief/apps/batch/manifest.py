"""What is done, so that a run that was stopped anywhere goes on where it was: lines of JSON.

`manifest.jsonl` in OUT begins with the settings; then comes a line for each group of photos, once
all of theirs is on the disk. A line that is torn was not: its end is cut off, and its photos are
done again. A process that is killed loses its lock with its life.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from facerelief.apps.batch.keys import digest
from facerelief.apps.batch.work import DONE, FAILED, NO_FACE, Result, fingerprint
from facerelief.files import write_files

FAILURES = "failures.jsonl"


class ManifestError(RuntimeError):
    """A folder that this run must not write to; one line that says why."""


@dataclass(frozen=True)
class Shard:
    """One of several runs that share the photos: by their keys, so that no order matters."""

    index: int = 0
    count: int = 1

    def has(self, number: int) -> bool:
        """Whether a photo whose key has the digest `number` is its."""
        return number % self.count == self.index

    @property
    def ending(self) -> str:
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"


@dataclass
class Counts:
    """Photos by what became of them, and faces."""

    done: int = 0
    no_face: int = 0
    failed: int = 0
    faces: int = 0

    def add(self, status: str, faces: int, sign: int = 1) -> None:
        name = {DONE: "done", NO_FACE: "no_face", FAILED: "failed"}[status]
        setattr(self, name, getattr(self, name) + sign)
        self.faces += sign * faces

    @property
    def photos(self) -> int:
        return self.done + self.no_face + self.failed


class Manifest:
    """That of one run into the folder `out`, which exists. Raises ManifestError and OSError.

    Several runs may have the shards of one job in the same folder: each has its own manifest, and
    reads the others' once. Attributes: `known`, the digests of all photos that are done; `failed`,
    of those of them that failed; `parts`, the names of all tables; `counts` of its own shard.
    """

    def __init__(self, out: Path, described: Mapping[str, Any], shard: Shard = Shard()) -> None:
        self.out, self.shard = out, shard
        self.path = out / f"manifest{shard.ending}.jsonl"
        self.known: set[int] = set()
        self.failed: set[int] = set()
        self.parts: set[str] = set()
        self.counts = Counts()
        lock = _locked(out / f".batch{shard.ending}.lock")
        if lock is None:
            raise ManifestError(f"{out}: another run writes there")
        self._lock = lock
        try:
            self._check_others()
            _repair(self.path)
            self._read_all(described)
            self._file: IO[bytes] = open(self.path, "ab", buffering=0)  # noqa: SIM115
        except BaseException:
            self._lock.close()
            raise
        if not self._file.tell():
            head = {"fingerprint": fingerprint(described), "settings": dict(described)}
            self._append(head)

    def record(self, results: Sequence[Result[Any]], part: str | None = None) -> None:
        """All that was made of these photos is on the disk, in the table `part` if in one."""
        rows = [[r.key, r.status, len(r.made), r.reason] for r in results]
        self._append({"part": part, "photos": rows})
        self._take(rows, part, own=True)

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_failures(self) -> None:
        """`failures.jsonl`: the photos of its shard that failed and were not done since."""
        failing: dict[str, str] = {}
        for line in _lines(self.path):
            for key, status, _, reason in line.get("photos", ()):
                failing.pop(key, None)
                if status == FAILED:
                    failing[key] = reason
        path = self.path.with_name(FAILURES.replace(".", f"{self.shard.ending}."))
        said = [json.dumps({"key": k, "reason": r}, ensure_ascii=False) for k, r in failing.items()]
        if said:
            text = "".join(f"{line}\n" for line in said)
            write_files({path: text.encode("utf-8", "backslashreplace")})
        else:
            path.unlink(missing_ok=True)

    def remove_orphans(self, pattern: re.Pattern[str]) -> None:
        """Tables of a run that was killed before it could say so; running shards keep theirs."""
        for path in self.out.glob("part*"):
            if not pattern.fullmatch(path.name) or path.name in self.parts:
                continue
            if self._is_abandoned(path.name):
                path.unlink(missing_ok=True)

    def _is_abandoned(self, part: str) -> bool:
        ending = part.removesuffix(".parquet").partition("part")[2].rpartition("-")[0]
        if ending == self.shard.ending:
            return True
        lock = _locked(self.out / f".batch{ending}.lock")
        if lock is None:
            return False
        lock.close()
        return True

    def _check_others(self) -> None:
        """No run that shares the photos in another way writes here now."""
        for path in self.out.glob(".batch*.lock"):
            ending = path.name.removeprefix(".batch").removesuffix(".lock")
            same = ending.rpartition("-")[2] == str(self.shard.count) and self.shard.count > 1
            if ending == self.shard.ending or same:
                continue
            lock = _locked(path)
            if lock is None:
                text = f"{self.out}: another run, with other shards, writes there"
                raise ManifestError(text)
            lock.close()

    def _read_all(self, described: Mapping[str, Any]) -> None:
        others = sorted(path for path in self.out.glob("manifest*.jsonl") if path != self.path)
        for path in (*others, self.path):
            for number, line in enumerate(_lines(path)):
                if number == 0 and line.get("fingerprint") != fingerprint(described):
                    was = line.get("settings", {})
                    raise ManifestError(f"{self.out}: {_differ(was, described)}")
                self._take(line.get("photos", ()), line.get("part"), own=path == self.path)

    def _take(self, rows: Sequence[Sequence[Any]], part: str | None, own: bool) -> None:
        if part is not None:
            self.parts.add(part)
        for key, status, faces, _ in rows:
            number = digest(key)
            if own:
                if number in self.failed:  # and was tried again
                    self.counts.add(FAILED, 0, -1)
                self.counts.add(status, faces)
            self.known.add(number)
            self.failed.discard(number)
            if status == FAILED:
                self.failed.add(number)

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(line) + "\n").encode())
        os.fsync(self._file.fileno())


def _differ(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In which settings two runs differ."""
    names = sorted(k for k in {*was, *now} if was.get(k) != now.get(k))
    said = ", ".join(f"{k} {json.dumps(was.get(k))}" for k in names) or "unknown settings"
    return (
        f"an earlier run had other settings ({said}): choose another folder, or the same settings"
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; none where there is no file. Raises ManifestError."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return  # another shard's run is writing it
                try:
                    said = json.loads(line)
                    if not isinstance(said, dict):
                        raise ValueError
                except ValueError:
                    raise ManifestError(f"{path}: line {number} is damaged") from None
                yield said
    except FileNotFoundError:
        return


def _repair(path: Path) -> None:
    """Cut off a line that was not written to its end."""
    with suppress(FileNotFoundError), open(path, "r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(end - 2**16, 0)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())


def _locked(path: Path) -> IO[bytes] | None:
    """The file at `path`, which stays locked until it is closed; None where another has it."""
    file = open(path, "ab")  # noqa: SIM115
    try:
        try:
            import fcntl
        except ImportError:
            import msvcrt  # Windows

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
