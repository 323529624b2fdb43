"""Writing so that nothing half-written stays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write all of `contents` or none of them.

    Each goes to a temporary file in its own folder first; only when all are on the disk do they
    take their names. Raises OSError, with nothing left behind.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, content in contents.items():
            temporary[path].write_bytes(content)
        for path in contents:
            os.replace(temporary[path], path)
    except BaseException:
        for path in temporary.values():
            path.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make `folder` and prove that files can be written there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".facerelief.{os.getpid()}.tmp"
    try:
        probe.write_bytes(b"?")
    finally:
        probe.unlink(missing_ok=True)
