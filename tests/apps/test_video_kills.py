"""Films whose work is killed: it goes on from the last whole part, and makes the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli_lines import names

pytest.importorskip("av")
clips = pytest.importorskip("clips")  # which imports it
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")

#: `facerelief` with parts of so few pictures that a short film has several.
SHORT_PARTS = """
import sys
from facerelief.apps.video import running
running.PART = int(sys.argv.pop())
from facerelief.__main__ import main
main()
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Begins a command on `clip.mp4`, in parts of so many pictures, into a folder."""
    script = tmp_path / "short.py"
    script.write_text(SHORT_PARTS)

    def begin(part: int, folder: Path, command: str, *more: object) -> subprocess.Popen[str]:
        words = [script, command, tmp_path / "clip.mp4", "-o", folder, "--threads", 1, *more, part]
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )

    return begin


def kill_at(process: subprocess.Popen[str], wanted: Path) -> None:
    """Kill it as soon as there is a file, which it makes on its way; nothing has a name yet."""
    while process.poll() is None and not wanted.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    assert {name for name in names(wanted.parents[1]) if name[0] != "."} == set()


def end_of(process: subprocess.Popen[str]) -> str:
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    return errors


def same_but_for_notes(one: Path, other: Path) -> bool:
    """Whether two sidecars say the same of what was made."""
    said, known = (json.loads(path.read_bytes()) for path in (one, other))
    return all(said[key] == known[key] for key in ("steadiness", "faces", "files"))


def test_normals_go_on_wherever_they_were(
    start: Callable[..., subprocess.Popen[str]], tiny_folder: Path, tmp_path: Path
) -> None:
    frames = list(clips.pictures(44, (160, 120), path=lambda t: (20 * t, 0), noise=3))
    frames[20:23] = [np.full_like(frames[0], 80)] * 3
    clips.write(tmp_path / "clip.mp4", frames, sound="aac", seconds=1.4)
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ["--system", tiny_folder / "tiny.onnx", "--video", "side,normals,frames"]
    assert end_of(start(8, whole, "normals", *options)) == ""
    came = []
    for parts in (0, 1, 4):  # as far as a run comes before it is killed
        kill_at(start(8, out, "normals", *options), out / ".clip.work" / f"side.{parts:06}.nut")
        came.append((out / ".clip.work" / "state.npz").exists())
    assert came == [False, True, True]
    errors = end_of(start(8, out, "normals", *options))
    assert "went on after picture" in errors and int(errors.rsplit(" ", 1)[1]) >= 32
    assert names(out) == names(whole) and ".clip.work" not in names(out)
    for name in ("clip_side.mp4", "clip_normals.mp4", "clip_faces.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    for path in (whole / "clip_frames").iterdir():
        assert (out / "clip_frames" / path.name).read_bytes() == path.read_bytes()
    assert same_but_for_notes(out / "clip_video.json", whole / "clip_video.json")


def test_heads_go_on_wherever_they_were(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Killed in the third part, and when all pictures are done but the GLB."""
    frames = clips.pictures(14, (160, 120), path=lambda t: (40 * t, 0), noise=2)
    clips.write(tmp_path / "clip.mp4", frames)
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ["--texture", 256]
    assert end_of(start(5, whole, "mesh", *options)) == ""
    for made in ("faces.000002.csv", "coefficients.csv"):
        kill_at(start(5, out, "mesh", *options), out / ".clip.work" / made)
    assert "went on after picture 14" in end_of(start(5, out, "mesh", *options))
    assert names(out) == names(whole) and "clip.glb" in names(out)
    for name in ("clip.glb", "clip_coefficients.csv", "clip_faces.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert same_but_for_notes(out / "clip_video.json", whole / "clip_video.json")
