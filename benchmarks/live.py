"""How fast a live picture is answered, beside MediaPipe's FaceMesh.

    FACERELIEF_DATA=... python benchmarks/live.py --peer-python PYTHON

PYTHON is an interpreter that has MediaPipe (`pip install mediapipe==0.10.21`). Forty photos of 448
pixels with one face each, from array to answer, every photo by everybody in turns, on two threads.
Everybody is asked for one face.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from measured_tables import live_markdown
from measuring import busy_cores, machine
from tables import write

from facerelief import Estimator, Face, find, load, load_photo

THREADS, PHOTOS, ROUNDS, SIDE = 2, 40, 7, 448
SOURCE = "fairface"  # CC BY 4.0, photos of that side
#: How many times as long as MediaPipe an answer may take.
AT_MOST = {"default": 4.0, "prnet": 5.0}

# Answers a photo's number with the seconds that it took.
PEER = """
import sys, time
from importlib import import_module
import numpy as np
photos = np.load(sys.argv[1])
face_mesh = import_module("mediapipe.python.solutions.face_mesh")
network = face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)
for line in sys.stdin:
    began = time.perf_counter()
    network.process(photos[int(line)])
    print(time.perf_counter() - began, flush=True)
"""


def chosen(root: Path) -> np.ndarray:
    """(PHOTOS, SIDE, SIDE, 3): the first of the manifest in which one face is found."""
    with open(root / "photos" / "manifest.csv", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["source"] == SOURCE]
    photos = (load_photo(root / "photos" / path) for path in paths)
    usable = (
        photo for photo in photos if photo.shape[:2] == (SIDE, SIDE) and len(find(photo)) == 1
    )
    return np.stack([photo for photo, _ in zip(usable, range(PHOTOS), strict=False)])


@contextmanager
def mediapipe(python: Path, photos: np.ndarray) -> Iterator[Callable[[int], float]]:
    """Seconds that FaceMesh takes for a photo, by its number."""
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "photos.npy", photos)
        command = [str(python), "-I", "-c", PEER, str(Path(folder) / "photos.npy")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **pipes) as peer:

            def ask(number: int) -> float:
                peer.stdin.write(f"{number}\n")
                peer.stdin.flush()
                return float(peer.stdout.readline())

            yield ask


def normals(faces: list[Face]) -> Any:
    return [(face.normals, face.mask) for face in faces]


def shapes(faces: list[Face]) -> Any:
    return [(face.landmarks, face.mesh and face.mesh.vertices) for face in faces]


def answers(photos: np.ndarray) -> dict[str, Callable[[int], float]]:
    """Seconds that each of our ways takes for a photo, by its number."""
    before = [find(photo, threads=THREADS) for photo in photos]

    def seconds(run: Callable[[int], Any]) -> Callable[[int], float]:
        def timed(number: int) -> float:
            began = time.perf_counter()
            run(number)
            return time.perf_counter() - began

        return timed

    def follow(number: int, estimator: Estimator) -> list[Face]:
        places = find(photos[number], threads=THREADS, previous=before[number])
        return estimator.estimate(photos[number], places)

    ways: dict[str, Callable[[int], float]] = {}
    for name, asked in (("default", normals), ("prnet", shapes)):
        estimator = load(name, threads=THREADS)
        ways[name] = seconds(lambda n, e=estimator, a=asked: a(e(photos[n], 1)))
        ways[f"{name}, followed"] = seconds(lambda n, e=estimator, a=asked: a(follow(n, e)))
    ways["search alone"] = seconds(lambda n: find(photos[n], 1, threads=THREADS))
    return ways


def measure(root: Path, python: Path) -> dict[str, Any]:
    photos, busy = chosen(root), busy_cores()
    with mediapipe(python, photos) as peer:
        ways = {"MediaPipe": peer, **answers(photos)}
        times: dict[str, list[list[float]]] = {name: [[] for _ in photos] for name in ways}
        for turn in range(-1, ROUNDS):
            for number in range(len(photos)):
                for name, way in ways.items():
                    taken = way(number)
                    if turn >= 0:
                        times[name][number].append(1000 * taken)
    base = times["MediaPipe"]
    rows = {
        name: {
            "median": round(median(median(one) for one in each), 2),
            "least": round(median(min(one) for one in each), 2),
            "ratio": round(
                median(median(a) / median(b) for a, b in zip(each, base, strict=True)), 2
            ),
            "at_most": AT_MOST.get(name.partition(",")[0]),
        }
        for name, each in times.items()
    }
    return {"machine": machine(), "busy_cores": busy, "photos": len(photos), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", type=Path, required=True, help="has MediaPipe")
    options = parser.parse_args()
    root = os.environ.get("FACERELIEF_DATA")
    if not root:
        parser.error("FACERELIEF_DATA names no data folder")
    result = measure(Path(root), options.peer_python)
    write("live", result)
    print(live_markdown(result))


if __name__ == "__main__":
    main()
