"""Odd calls of the commands on photos and maps, by seed, within this process.

    counts = arguments(folder, photo, system, count, seed)
    counts = conversions(folder, count, seed)

The words counted: "done" and "refused" are as it should be; "traceback", "odd exit", "silent"
(refused without a word), "long" (more than a few lines) and "slow" are not.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from broken_pictures import SPOILERS
from PIL import Image
from typer.testing import CliRunner

from facerelief.cli import app
from facerelief.normal_png import encode_png

Random = random.Random
SLOW = 10.0  # seconds of a core that no call may take

_ODD = ("", "0", "-1", "1e9", "100000", "nan", "inf", "x", ",", "0x10", "9" * 40, "½", "a" * 300,
        "\x1b[31m", "\udc80", "..", "all", "--help", "left,size")  # fmt: skip
_PHOTOS = {"--order": ("size", "left"), "--max-faces": ("1", "2"), "--smallest": ("12", "500"),
           "--threads": ("1", "100000"), "--whole": (), "--crops": (), "--recursive": (),
           "--json": ()}  # fmt: skip
#: Options of each command, and what they may be; flags are nothing.
_OPTIONS = {
    "normals": {**_PHOTOS, "--size": ("64", "300", "native"), "--frame": ("crop", "photo",
                "crop,photo"), "--only": ("normal", "normal,exr,json", "npy,error"),
                "--bits": ("8", "16"), "--crop-scale": ("1", "1.3")},
    "mesh": {**_PHOTOS, "--format": ("glb", "obj,ply"), "--head": ("face", "full"),
             "--texture": ("256", "1024"), "--landmarks": ("ibug68",), "--overlay": (),
             "--eye-distance": ("63", "58.5")},
    "swap": {"--threads": ("1",), "--provider": ("cpu",)},
    "convert": {"--to": ("opengl", "directx"), "--from": ("opencv",), "--bits": ("8", "16")},
}  # fmt: skip


def arguments(folder: Path, photo: Path, system: str | Path, count: int, seed: int) -> Counter[str]:
    """What came of `count` calls, in words."""
    folder.mkdir(exist_ok=True)
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "text.txt").write_text("no picture")
    inputs = [*24 * [str(photo)], str(folder / "empty"), str(folder / "text.txt"),
              "", str(folder / "none.jpg"), "*.nothing", "a\0b.jpg", "\udcff.jpg",
              "-"]  # fmt: skip
    counts: Counter[str] = Counter()
    for number in range(count):
        draw = Random(seed * 1_000_003 + number)
        command = draw.choice(("normals", "normals", "normals", "mesh", "swap", "convert"))
        named = draw.choice((1, 1, 1, 2)) + (command == "swap")
        said = [command, *(draw.choice(inputs) for _ in range(named))]
        out = draw.choice((*6 * [folder / f"out{number}"], folder / "text.txt", "/dev/null/x"))
        said += ["-o", str(out)] if draw.random() < 0.95 else []
        said += ["--system", str(system)] if command == "normals" and draw.random() < 0.95 else []
        options = _OPTIONS[command]
        for option in draw.sample(sorted(options), draw.choice((1, 2, min(3, len(options) - 1)))):
            values = options[option]
            said.append(option)
            if values:
                said.append(draw.choice(values if draw.random() < 0.7 else _ODD))
        _judge(counts, said)
    return counts


def conversions(folder: Path, count: int, seed: int) -> Counter[str]:
    """What came of `count` calls of `convert` on maps that are mostly broken, in words."""
    folder.mkdir(exist_ok=True)
    rows, columns = np.mgrid[-1:1:24j, -1:1:20j]
    field = np.stack([columns, -rows, np.ones_like(rows)], axis=-1)
    normals = (field / np.linalg.norm(field, axis=-1, keepdims=True)).astype(np.float32)
    mask = np.hypot(rows, columns) < 1
    whole = [encode_png(normals, mask, "opengl", bits) for bits in (8, 16)]
    counts: Counter[str] = Counter()
    for number in range(count):
        draw = Random(seed * 1_000_003 + number)
        content = draw.choice(whole)
        for _ in range(draw.choice((0, 1, 1, 2))):
            content = draw.choice(SPOILERS)(draw, content)
        path = folder / "map.png"
        path.write_bytes(content)
        if draw.random() < 0.1:
            Image.fromarray(np.uint8(255 * mask)).save(path)
        out = folder / draw.choice(("out.png", "out.png", "out.png", "out.jpg", "", "map.png"))
        frames = ("opengl", "directx", "opencv", "tangent", "", "x")
        said = ["convert", str(path), "-o", str(out), "--to", draw.choice(frames)]
        if draw.random() < 0.4:
            said += ["--from", draw.choice(frames)]
        if draw.random() < 0.3:
            said += ["--bits", draw.choice(("8", "16", "0", "-8", "x"))]
        if draw.random() < 0.3:
            said += ["--reference", draw.choice((str(path), str(folder / "none.png"), ""))]
        _judge(counts, said)
    return counts


def _judge(counts: Counter[str], said: list[str]) -> None:
    began = time.process_time()
    result = CliRunner().invoke(app, said)
    word = "done" if result.exit_code == 0 else "refused"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        word = "traceback"
        print(said, repr(result.exception), file=sys.stderr)
    elif result.exit_code not in (0, 1, 2):
        word = "odd exit"
    elif result.exit_code and not result.stderr.strip():
        word = "silent"
    elif result.exit_code and result.stderr.count("\n") > 12:  # Typer's frame round a wrong option
        word = "long"
    if word not in ("done", "refused"):
        print(word, said, result.stderr[-300:], file=sys.stderr)
    counts[word] += 1
    counts["slow"] += time.process_time() - began > SLOW
