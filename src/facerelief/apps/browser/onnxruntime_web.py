"""What of the npm package onnxruntime-web a page needs, from where a user has it.

It is 14 MB of WebAssembly, so it is not part of this package. Version and sums are pinned
(`onnxruntime_web.json`), as a lock file would: what differs is refused.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from facerelief.inputs import in_line

NAME = "onnxruntime-web"
#: Where npm puts it, relative to the working directory.
USUAL = Path("node_modules") / NAME
_LARGEST = 64 * 2**20  # bytes of a file of it


class OrtError(ValueError):
    """No onnxruntime-web, or another than the pinned one; one line that says what to do."""


@lru_cache(maxsize=1)
def pinned() -> dict[str, Any]:
    """Version, licence, and the sha256 of its files by their names."""
    text = (files("facerelief.apps.browser") / "onnxruntime_web.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def how_to_get() -> str:
    return f"npm install {NAME}@{pinned()['version']}"


def read(source: Path, webgpu: bool = False) -> dict[str, bytes]:
    """The files that a page needs, by name, from npm's folder or from its `.tgz`.

    Raises OrtError where one is missing or not the pinned one.
    """
    sums = pinned()["files"] | (pinned()["webgpu"] if webgpu else {})
    try:
        contents = _of_folder(source, sums) if source.is_dir() else _of_archive(source, sums)
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or "not its folder or .tgz"
        raise OrtError(in_line(f"{source}: {reason}; get it by: {how_to_get()}")) from None
    for name, wanted in sums.items():
        if name not in contents:
            text = f"{source}: no {name} in it; get it by: {how_to_get()}"
            raise OrtError(in_line(text))
        if hashlib.sha256(contents[name]).hexdigest() != wanted:
            version = pinned()["version"]
            text = (
                f"{source}: its {name} is not that of {NAME} {version}; get it by: {how_to_get()}"
            )
            raise OrtError(in_line(text))
    return {name: contents[name] for name in sums}


def _of_folder(source: Path, names: dict[str, str]) -> dict[str, bytes]:
    places = [source / "dist", source / "node_modules" / NAME / "dist", source]
    place = next((one for one in places if (one / next(iter(names))).is_file()), source)
    paths = {name: place / name for name in names}
    return {
        name: path.read_bytes()
        for name, path in paths.items()
        if path.is_file() and path.stat().st_size <= _LARGEST
    }


def _of_archive(source: Path, names: dict[str, str]) -> dict[str, bytes]:
    """Read by name, never unpacked: an archive's paths could lead anywhere."""
    found = {}
    with tarfile.open(source, "r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("package/dist/")
            if name in names and member.isfile() and member.size <= _LARGEST:
                part = archive.extractfile(member)
                if part is not None:
                    found[name] = part.read()
    return found
