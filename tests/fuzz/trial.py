"""Broken pictures, odd calls and broken maps, with what came of them counted.

    python tests/fuzz/trial.py --count 3000 --seed 1

Ends with 1 if anything came out but an answer or a line that says why there is none. Broken
networks, training files and checkpoints are in `test_research.py`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import odd_calls
from broken_pictures import write

from facerelief.images import load_photo
from facerelief.inputs import PhotoError

SLOW = 10.0  # seconds that no picture may take
CHUNK = 100  # files of one call of the command line


def read(path: Path) -> tuple[str, float]:
    """What came of a picture, in a word, and seconds."""
    begin = time.perf_counter()
    try:
        pixels = load_photo(path)
        word = "read" if pixels.shape[2:] == (3,) and pixels.dtype == "uint8" else "wrong pixels"
    except PhotoError as error:
        text = str(error)
        fits = text.startswith(f"{path}: ") and text.isprintable()
        word = "refused" if fits else "unclear line"
    except Exception as error:
        print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        word = "traceback"
    return word, time.perf_counter() - begin


def run(paths: list[Path], out: Path, system: list[str]) -> Counter[str]:
    """What came of pictures of one call of `facerelief normals`."""
    command = [sys.executable, "-m", "facerelief", "normals", *map(str, paths), "-o", str(out)]
    done = subprocess.run([*command, "--json", *system], capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    named = {line["input"] for line in said if line["error"] or line["faces"]}
    lines = done.stderr.splitlines()
    return Counter(
        {
            "CLI: files": len(paths),
            "CLI: tracebacks": sum("Traceback" in line for line in lines),
            "CLI: unreported": len({str(path) for path in paths} - named),
            "CLI: other exits": int(done.returncode not in (0, 1)),
            "CLI: other exceptions": sum("Error: " in line or "Exception: " in line
                                         for line in lines),
        }
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cli", type=int, default=200, help="of them through the command line")
    parser.add_argument("--calls", type=int, default=200, help="odd calls of the commands")
    parser.add_argument("--maps", type=int, default=500, help="broken maps to convert")
    parser.add_argument("--system", default="default")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        kept: list[Path] = []
        slowest = (0.0, "none")
        for path in write(Path(folder), options.count, options.seed):
            word, seconds = read(path)
            counts[word] += 1
            counts["slow"] += seconds > SLOW
            slowest = max(slowest, (seconds, path.name))
            if len(kept) < options.cli:
                kept.append(path)
            else:
                path.unlink()
        system = ["--system", options.system]
        for start in range(0, len(kept), CHUNK):
            counts += run(kept[start : start + CHUNK], Path(folder) / "out", system)
        photo = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
        odd = odd_calls.arguments(
            Path(folder) / "calls", photo, options.system, options.calls, options.seed
        )
        maps = odd_calls.conversions(Path(folder) / "maps", options.maps, options.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    bad = ("traceback", "unclear line", "wrong pixels", "slow", "CLI: tracebacks",
           "CLI: unreported", "CLI: other exits", "CLI: other exceptions")  # fmt: skip
    for word in ("read", "refused", *bad, "CLI: files"):
        print(f"{counts[word]:6} {word}")
    for kind, found in (("odd calls", odd), ("conversions", maps)):
        print(f"{found.total() - found['slow']:6} {kind}: {dict(found)}")
    print(f"slowest {slowest[0]:.2f} s: {slowest[1]}; peak of reading {peak} MB")
    fine = {"done", "refused"}
    wrong = any(
        number for found in (odd, maps) for word, number in found.items() if word not in fine
    )
    return int(wrong or any(counts[word] for word in bad))


if __name__ == "__main__":
    sys.exit(main())
