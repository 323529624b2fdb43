"""Faces in films: how steady they are held, how late that makes them, and how fast it goes.

    python benchmarks/video.py [--parts steady,speed]

Films of 640 x 480 are made of the example photo, whose place in each picture is known: at rest,
carried along a path, and rocked. Each picture has noise of its own, and H.264 has compressed them.
Steadiness and lag are against what is known, with smoothing and without. Speed is that of `normals
--video side` in this process on two threads, beside detector and network alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from math import cos, pi, radians, sin
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from measuring import busy_cores, machine
from numpy.typing import NDArray
from PIL import Image
from tables import read, write
from video_tables import video_markdown

from facerelief import find, load
from facerelief.apps.video.normals import Normals, Options
from facerelief.apps.video.running import Options as Run
from facerelief.apps.video.running import process
from facerelief.apps.video.steps import Step
from facerelief.finding import follow

ROOT = Path(__file__).parents[1]
SIZE, RATE, NOISE, CRF = (640, 480), 30, 3.0, 23
STILL, MOVING, FAST = 90, 150, 150  # pictures
SETTLED = 30  # pictures that a filter has had
THREADS, ROUNDS = 2, 2
#: Pixels right and down, and degrees of roll counter-clockwise, by seconds.
Motion = Callable[[float], tuple[float, float, float]]


def rest(seconds: float) -> tuple[float, float, float]:
    return 0.0, 0.0, 0.0


def path(seconds: float) -> tuple[float, float, float]:
    """At most 1.7 face sides a second."""
    return 70 * sin(2 * pi * 0.45 * seconds), 25 * sin(2 * pi * 0.31 * seconds), 0.0


def rocked(seconds: float) -> tuple[float, float, float]:
    """At most 45 degrees a second."""
    return 0.0, 0.0, 12 * sin(2 * pi * 0.6 * seconds)


FILMS: dict[str, tuple[Motion, int]] = {
    "at rest": (rest, STILL),
    "carried": (path, MOVING),
    "rocked": (rocked, MOVING),
}


def pictures(motion: Motion, count: int) -> Iterator[NDArray[np.uint8]]:
    """(480, 640, 3)"""
    width, height = SIZE
    photo = Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB")
    random = np.random.default_rng(0)
    middle = np.array([width / 2, height / 2])
    for index in range(count):
        right, down, roll = motion(index / RATE)
        # From pixels of the picture to those of the photo, whose middle the roll is about.
        c, s = cos(radians(roll)), sin(radians(roll))
        turn = np.array([[c, -s], [s, c]]) * photo.height / height
        shift = np.array(photo.size) / 2 - turn @ (middle + np.array([right, down]))
        matrix = (*turn[0], shift[0], *turn[1], shift[1])
        image = photo.transform(
            SIZE, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)
        )
        noisy = np.asarray(image, np.float32) + random.normal(0, NOISE, (height, width, 3))
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def film(motion: Motion, count: int, out: Path) -> Path:
    """A film at `out`, compressed as films are."""
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = {"crf": str(CRF), "preset": "veryfast"}
        for pixels in pictures(motion, count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return out


class Watched(Normals):
    """The job; it remembers what it has seen."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.steps: list[Step] = []

    def put(self, step: Step) -> None:
        super().put(step)
        self.steps.append(step)


def lag(found: NDArray[np.float64], known: Callable[[float], float]) -> tuple[float, float]:
    """By how many pictures `found` (T,) is behind, and the root mean square of what is left.

    The delay, factor and offset of the known motion that fit best.
    """
    times = np.arange(len(found)) / RATE
    best = (np.inf, 0.0)
    for delay in np.arange(-3, 6, 0.01):
        truth = np.array([known(time - delay / RATE) for time in times])
        basis = np.column_stack([truth, np.ones_like(truth)])
        left = found - basis @ np.linalg.lstsq(basis, found, rcond=None)[0]
        best = min(best, (float(left.std()), float(delay)))
    return best[1], best[0]


def spread(steps: list[Step]) -> float:
    """Degrees by which the normals of a still face are off their mean, in the film's frame."""
    rows, columns = steps[-1].faces[0].crop.window(SIZE[::-1])
    layers, everywhere = [], None
    for step in steps:
        normals, mask = step.faces[0].normals_in_photo()
        layers.append(normals[rows, columns])
        part = mask[rows, columns]
        everywhere = part if everywhere is None else everywhere & part
    stack = np.stack(layers)[:, everywhere].astype(np.float64)
    mean = stack.mean(axis=0)
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((stack * mean).sum(axis=-1), -1, 1)))
    return float(np.sqrt((angles**2).mean()))


def turned(steps: list[Step]) -> NDArray[np.float64]:
    """(T,) degrees by which the normals are turned about the axis to the viewer, from the first."""
    first = steps[0].faces[0].normals[..., :2].astype(np.float64)
    angles = []
    for step in steps:
        now = step.faces[0].normals[..., :2].astype(np.float64)
        both = step.faces[0].mask & steps[0].faces[0].mask
        a, b = first[both], now[both]
        sine, cosine = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(axis=1)
        angles.append(np.degrees(np.arctan2(sine.sum(), cosine.sum())))
    return np.array(angles)


def steadiness(folder: Path) -> dict[str, Any]:
    estimator = load("default", threads=THREADS)
    rows: dict[str, Any] = {}
    for name, (motion, count) in FILMS.items():
        source = film(motion, count, folder / f"{name.replace(' ', '_')}.mp4")
        for smooth in (False, True):
            out = folder / f"{source.stem}_{smooth}"
            out.mkdir()
            job = Watched(estimator, Options(smooth=smooth, threads=THREADS))
            done = process(str(source), "a", out, job, Run(smooth=smooth, threads=THREADS))
            assert done.error is None and len(done.faces) == 1, done
            steps = job.steps
            assert all(step.faces for step in steps)
            crops = [step.faces[0].crop for step in steps]
            pixels = 256 / float(np.median([crop.side for crop in crops]))
            centre = pixels * np.array([crop.centre for crop in crops])
            said: dict[str, Any] = {"pictures": count}
            if name == "at rest":
                sides = pixels * np.array([crop.side for crop in crops])
                said["centre"] = float(np.hypot(*centre[SETTLED:].std(axis=0)))
                said["side"] = float(sides[SETTLED:].std())
                said["normals"] = spread(steps[SETTLED:])
            elif name == "carried":
                said["lag"], left = lag(centre[:, 0], lambda time: path(time)[0])
                said["centre"] = float(left)
            else:
                said["lag"], _ = lag(turned(steps), lambda time: rocked(time)[2])
            rows[f"{name}, {'smoothed' if smooth else 'raw'}"] = {
                key: round(value, 3) for key, value in said.items()
            }
    return rows


def speed(folder: Path) -> dict[str, Any]:
    """Of `normals --video side`, and of detector and network alone, in turns."""
    source = film(path, FAST, folder / "fast.mp4")
    frames = [frame.to_ndarray(format="rgb24") for frame in av.open(str(source)).decode(video=0)]
    alone = load("default", threads=THREADS)
    shared = load("default", threads=max(THREADS - 1, 1))
    rounds = []
    for turn in range(ROUNDS):
        busy = busy_cores()
        out = folder / f"fast_{turn}"
        out.mkdir()
        wall, work = time.perf_counter(), time.process_time()
        job = Normals(shared, Options(threads=THREADS))
        assert process(str(source), "a", out, job, Run(threads=THREADS)).error is None
        wall, work = time.perf_counter() - wall, time.process_time() - work
        began, bare_work = time.perf_counter(), time.process_time()
        places = find(frames[0], threads=THREADS)
        for frame in frames:
            now = follow(frame, places, threads=THREADS)
            places = [new or old for new, old in zip(now, places, strict=True)]
            crops = np.stack([place.crop.extract(frame) for place in places])
            alone.answers(crops)
        bare, bare_work = time.perf_counter() - began, time.process_time() - bare_work
        rounds.append(
            {
                "busy_cores": busy,
                "pictures_a_second": round(FAST / wall, 1),
                "work": round(1000 * work / FAST, 1),
                "bare_pictures_a_second": round(FAST / bare, 1),
                "bare_work": round(1000 * bare_work / FAST, 1),
            }
        )
    return {"machine": machine(), "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default="steady,speed", help="comma-separated")
    parts = parser.parse_args().parts.split(",")
    result = read("video") or {}
    with TemporaryDirectory() as folder:
        if "steady" in parts:
            result["steady"] = steadiness(Path(folder))
        if "speed" in parts:
            result["speed"] = speed(Path(folder))
    write("video", result)
    print(video_markdown(result))


if __name__ == "__main__":
    main()
