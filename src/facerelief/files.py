"""Writing so that nothing half-written stays and nothing of anybody's is lost."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfile, rmtree

from facerelief.signals import held_interrupts

#: What a process that was killed may leave: `.name.HOST-PID.tmp`, or without a host as once.
_LEFT = re.compile(
    r"\..+\.(?:([0-9a-f]{8})-|(?:png|jpg|npy|json|glb|obj|mtl|ply|zip)\.)(\d{1,9})\.tmp"
)


@held_interrupts()
def write_files(contents: Mapping[Path, bytes], without: Collection[Path] = ()) -> None:
    """Write all of `contents` and remove what is there of `without`, or do nothing at all.

    Each goes to a temporary file in its own folder first; only when all are on the disk do they
    take their names, and what had those names before comes back if one of them cannot. Raises
    OSError, with nothing left behind.
    """
    new = {path: temporary_path(path) for path in contents}
    old = {path: temporary_path(path, "old.") for path in (*contents, *without)}
    changed: list[Path] = []
    try:
        for path in old:
            _check_target(path)
        for path, content in contents.items():
            new[path].write_bytes(content)
        for path in old:
            if path.exists():
                _keep(path, old[path])
        for path in old:
            changed.append(path)
            if path in new:
                os.replace(new[path], path)
            else:
                path.unlink(missing_ok=True)
    except BaseException:
        for path in changed:
            if old[path].exists():
                os.replace(old[path], path)
            elif path in new and not new[path].exists():  # it has taken its name already
                path.unlink(missing_ok=True)
        raise
    finally:
        for path in (*new.values(), *old.values()):
            path.unlink(missing_ok=True)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Where to make the file or folder `path`, which takes its name when the `with` block is done.

    That place is this process's own, so that several can make the same at a time; of a folder the
    first one stays. Raises OSError, with nothing left behind.
    """
    own = temporary_path(path)
    _remove(own)  # of a process that had this number
    try:
        yield own
        try:
            os.replace(own, path)
        except OSError:
            if not (own.is_dir() and path.is_dir()):
                raise
    finally:
        _remove(own)


def make_folder(folder: Path) -> None:
    """Make `folder`, clean it and prove that files can be written there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = temporary_path(folder / "facerelief")
    try:
        probe.write_bytes(b"?")
    finally:
        probe.unlink(missing_ok=True)
    remove_leftovers(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what is temporary in `folder` of processes of this computer that are no more."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".tmp")]
    except OSError:
        return
    for match in filter(None, map(_LEFT.fullmatch, names)):
        if match[1] in (None, _host()) and not _is_alive(int(match[2])):
            with suppress(OSError):  # somebody else's disturbs nothing
                _remove(folder / match[0])


def temporary_path(path: Path, kind: str = "") -> Path:
    """Where a file lies, beside its place, until it is whole."""
    return path.with_name(f".{path.name}.{kind}{_host()}-{os.getpid()}.tmp")


def identities(paths: Iterable[Path]) -> frozenset[tuple[int, int]]:
    """What tells the files that are at `paths`, whatever other names they go by."""
    return frozenset(filter(None, map(_identity, paths)))


def check_not_among(paths: Iterable[Path], inputs: frozenset[tuple[int, int]]) -> None:
    """Raises FileExistsError for the first of `paths` that is one of `inputs` (`identities`)."""
    for path in paths:
        if _identity(path) in inputs:
            raise FileExistsError(errno.EEXIST, f"{path} is an input, and stays as it is")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _check_target(path: Path) -> None:
    """Raises OSError where a file cannot take the name `path`: a folder, a device."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, f"{path} is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{path} is no ordinary file")


def _keep(path: Path, aside: Path) -> None:
    """The file at `path` under a second name."""
    aside.unlink(missing_ok=True)  # of a process that had this number
    try:
        os.link(path, aside)
    except OSError:  # file systems without links
        copyfile(path, aside)


def _remove(path: Path) -> None:
    """The file or folder `path`, if it is there."""
    if path.is_dir() and not path.is_symlink():
        rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _host() -> str:
    """8 digits for this computer, or this container: where a process number means something."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where `kill` ends a process whatever the signal
        return True
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # else it is somebody else's
    return True
