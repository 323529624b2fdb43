"""Runs of `facerelief batch`, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import facerelief

SOURCE = Path(facerelief.__file__).parent
MAIN = [sys.executable, "-m", "facerelief", "batch"]


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(SOURCE.parent), str(Path(__file__).parent)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def batch(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *map(os.fspath, map(str, words))],
        capture_output=True,
        text=True,
        env=environment(),
        input=stdin,
    )


def files(folder: Path) -> dict[str, bytes]:
    """All that a run has made but for its own books, by the place in `folder`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((".", "manifest", "failures"))
    }


def photos_of(folder: Path) -> list[tuple[str, str, int]]:
    """What the manifests say: key, status and faces of every photo, as often as they are there."""
    rows = []
    for path in sorted(folder.glob("manifest*.jsonl")):
        for line in path.read_text().splitlines():
            rows += [
                (k, status, faces) for k, status, faces, _ in json.loads(line).get("photos", ())
            ]
    return sorted(rows)


def failures_of(folder: Path) -> dict[str, str]:
    path = folder / "failures.jsonl"
    lines: list[dict[str, Any]] = (
        [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    )
    return {line["key"]: line["reason"] for line in lines}
