"""How fast it is, and in how much memory, beside the targets.

    [FACERELIEF_DATA=...] python benchmarks/speed.py [--only crop,process,...]

Other work on the machine spoils times: what is compared runs in turns, every figure is a median,
and the table says how many cores were busy before each section began. Parts that need the extra
`train` or the data are left out where those are missing, with a note. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from measured_tables import speed_markdown
from measuring import busy_cores, in_turns, launch, machine, processor_seconds
from PIL import Image, ImageOps
from tables import ROOT, read, write

from facerelief.apps.normals import produce
from facerelief.apps.photos import process, stream
from facerelief.apps.products import Folder
from facerelief.cli.common import cores
from facerelief.detect import Detector
from facerelief.detections import crop_from_detection
from facerelief.images import load_photo
from facerelief.runtime import CROP_SIZE, load

ASTRONAUT = ROOT / "examples" / "astronaut.jpg"
CONFIG = ROOT / "configs" / "casfne_yaleb_128.yaml"
THREADS = 2
PHOTOS, ROUNDS = 200, 4  # of the folder; rounds of PHOTOS / ROUNDS photos
CLI = (sys.executable, "-c", "from facerelief.cli import main; main()")


@dataclass
class Figure:
    """One measured number and what it should be."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None


@dataclass
class Section:
    """What one part of the benchmark found."""

    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    busy_cores: float | None = None  # by other work, before it began


def crop(folder: Path) -> Section:
    """The network on one crop, and a bare ResNet-18 in turns with it."""
    estimator = load("default", threads=THREADS)
    crops = np.random.default_rng(0).integers(0, 256, (1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    runs: list[Callable[[], Any]] = [lambda: estimator.estimate_crops(crops)]
    section = Section()
    if find_spec("torch") is None:
        section.notes.append("No ResNet-18 to compare with: that needs the extra `train`.")
    else:
        session = resnet18(folder / "resnet18.onnx")
        image = {session.get_inputs()[0].name: crops.transpose(0, 3, 1, 2).astype(np.float32) / 255}
        runs.append(lambda: session.run(None, image))
    ours, *bare = in_turns(runs, 60)
    section.figures["milliseconds"] = Figure(
        "Network and post-processing, one 256 x 256 crop", 1000 * median(ours), "ms", at_most=35
    )
    for theirs in bare:
        section.figures["resnet18"] = Figure(
            "A bare ResNet-18 at the same size, in turns with it", 1000 * median(theirs), "ms"
        )
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        section.figures["ratio"] = Figure("The first over the second", ratio, at_most=1)
    return section


def whole_process(folder: Path) -> Section:
    """The command on one photo, from start to exit."""
    photo = photo_640(folder)
    arguments = ("normals", str(photo), "-o", str(folder / "out"), "--threads", str(THREADS))
    runs = [launch(*CLI, *arguments) for _ in range(8)][1:]  # the first fills the disk's cache
    seconds, work, memory = (median(run[i] for run in runs) for i in range(3))
    what = "`facerelief normals`, one 640 x 480 photo, whole process"
    return Section(
        {
            "seconds": Figure(what, seconds, "s", at_most=1.2),
            "cpu": Figure("Processor time of all its threads", work, "s"),
            "memory": Figure("Its peak memory", memory, "MB", at_most=450),
        }
    )


def meshes(folder: Path) -> Section:
    """The network that makes position maps, and the command that makes GLBs of them."""
    estimator = load("prnet", threads=THREADS)
    crops = np.random.default_rng(0).integers(0, 256, (1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    network = [lambda: estimator._session.run(None, {"crops": crops})]
    (times,) = in_turns(network, 60)
    arguments = ("mesh", str(photo_640(folder)), "-o", str(folder / "out"), "--threads", "2")
    runs = [launch(*CLI, *arguments) for _ in range(8)][1:]
    seconds, work, memory = (median(run[i] for run in runs) for i in range(3))
    return Section(
        {
            "network": Figure(
                "The network of `prnet`, one 256 x 256 crop", 1000 * median(times), "ms", at_most=30
            ),
            "seconds": Figure(
                "`facerelief mesh`, one 640 x 480 photo to a GLB, whole process",
                seconds, "s", at_most=1.5,
            ),
            "cpu": Figure("Processor time of all its threads", work, "s"),
            "memory": Figure("Its peak memory", memory, "MB"),
        }
    )  # fmt: skip


def second_photo(folder: Path) -> Section:
    """One more photo, files and all, in a process that has done one."""
    photo, job = photo_640(folder), partial(produce, estimator=load("default", threads=THREADS))

    def run() -> None:
        outcome = process(photo, "photo", job, Folder(folder))
        if len(outcome.faces) != 1:
            raise RuntimeError(f"{photo} should have one face: {outcome}")

    (times,) = in_turns([run], 25)
    what = "A second photo in the same process, all files written"
    return Section({"milliseconds": Figure(what, 1000 * median(times), "ms", at_most=150)})


def folder_of_photos(folder: Path) -> Section:
    """Many photos as the command does them, against detector and network alone."""
    paths, about = many_photos(folder / "photos")
    estimator, detector = load("default", threads=1), Detector(threads=1)
    job, out = partial(produce, estimator=estimator), folder / "out"
    out.mkdir()

    def command(chunk: Sequence[Path]) -> int:
        outcomes = stream(chunk, job, Folder(out), workers=THREADS)
        return sum(len(outcome.faces) for outcome in outcomes)

    def alone(photo: np.ndarray, crops: np.ndarray) -> None:
        detector(photo)
        estimator.estimate_crops(crops)

    command(paths[:4])
    fast, slow, faces = [], [], 0
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), len(paths) // ROUNDS):
            chunk = paths[start : start + len(paths) // ROUNDS]
            began = time.perf_counter()
            faces += command(chunk)
            slow.append(time.perf_counter() - began)
            photos = [load_photo(path) for path in chunk]
            crops = [faces_of(photo, detector) for photo in photos]
            began = time.perf_counter()
            list(pool.map(alone, photos, crops))
            fast.append(time.perf_counter() - began)
    ratio = median(a / b for a, b in zip(fast, slow, strict=True))
    # Of one size: what a larger photo asks for is no growth.
    same = astronauts(folder / "astronauts")
    early, late = memory_of_command(same[0].parent, folder / "again")
    return Section(
        {
            "ratio": Figure(
                f"A folder of {PHOTOS} photos: speed over that of detector and network alone",
                ratio, at_least=0.85,
            ),
            "rate": Figure("The same in photos a second", len(paths) / sum(slow), "/s"),
            "growth": Figure(
                "Memory gained from photo 50 to photo 200, photos of one size",
                late - early, "MB", at_most=32,
            ),
            "memory": Figure("Most memory of those 200", late, "MB"),
        },
        [f"The {PHOTOS} photos: {about}; {faces} faces. Two photos at a time, one thread each."],
    )  # fmt: skip


def importing(folder: Path) -> Section:
    """What `import facerelief` costs."""
    code = (
        "import sys, time; start = time.perf_counter(); import facerelief;"
        "print(time.perf_counter() - start, int('torch' in sys.modules))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(9)
    ]
    times, torch = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    return Section(
        {
            "seconds": Figure("`import facerelief`", median(times), "s", at_most=0.2),
            "torch": Figure("Imports of PyTorch by it", sum(torch), "times", at_most=0),
        }
    )


def sampler(folder: Path) -> Section:
    """Training samples a second of one core, in its own processor time."""
    import torch

    from facerelief.data.sources import Mixture, build_source
    from facerelief.memory import keep_freed_memory
    from facerelief.train.config import load_config

    keep_freed_memory()  # as a training does
    data = load_config(CONFIG).data
    sources = [(build_source(s.name, s.options), s.share) for s in data.sources]
    torch.set_num_threads(1)
    section = Section()

    def rate(mixture: Mixture) -> float:
        return len(mixture.batch(0)) / median(
            processor_seconds(mixture.batch, index) for index in range(1, 16)
        )

    section.figures["rate"] = Figure(
        f"Training samples a second of one core, {data.size} x {data.size}",
        rate(Mixture(sources, data.batch, data.size, 0)), "/s", at_least=150,
    )  # fmt: skip
    for entry, source in zip(data.sources, sources, strict=True):
        alone = Mixture([(source[0], 1.0)], data.batch, data.size, 0)
        section.figures[entry.name] = Figure(f"`{entry.name}` alone", rate(alone), "/s")
    return section


def training(folder: Path) -> Section:
    """The network's share of a training step."""
    import torch

    from facerelief.train.phases import run

    torch.set_num_threads(cores())
    overrides = ["data.validation=null"]
    summary = run(CONFIG, folder / "run", overrides, timedelta(seconds=40), progress=False)
    share, rate = summary["network_share"], summary["samples_per_second"]
    return Section(
        {
            "share": Figure("The network's share of a training step", share, at_least=0.9),
            "rate": Figure("Samples a second in that training", rate, "/s"),
        }
    )


SECTIONS: dict[str, Callable[[Path], Section]] = {
    "crop": crop,
    "process": whole_process,
    "mesh": meshes,
    "second": second_photo,
    "folder": folder_of_photos,
    "import": importing,
    "sampler": sampler,
    "training": training,
}
NEED_TRAINING = ("sampler", "training")


def resnet18(path: Path) -> onnxruntime.InferenceSession:
    """A ResNet-18 classifier, random weights, in a session with our own's settings."""
    import torch
    from torch import nn

    from facerelief.nn.resnet import ResNet18

    layers = ResNet18().children()
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    example = torch.rand(1, 3, CROP_SIZE, CROP_SIZE)
    torch.onnx.export(network.eval(), (example,), path, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def photo_640(folder: Path) -> Path:
    """The astronaut at 640 x 480: the upper part, mirrored at both sides."""
    picture = load_photo(ASTRONAUT)[:480]
    path = folder / "photo.jpg"
    Image.fromarray(np.pad(picture, ((0, 0), (64, 64), (0, 0)), "reflect")).save(path, quality=95)
    return path


def many_photos(folder: Path) -> tuple[list[Path], str]:
    """PHOTOS files in `folder`, and what they are: the data folder's where there is one."""
    root = Path(os.environ.get("FACERELIEF_DATA", "")) / "photos"
    if "FACERELIEF_DATA" not in os.environ or not root.is_dir():
        return astronauts(folder), "the astronaut, shifted and mirrored, 512 x 512"
    folder.mkdir()
    every = sorted(path for path in root.rglob("*") if path.suffix in (".jpg", ".png"))
    chosen = np.random.default_rng(0).permutation(len(every))[:PHOTOS]
    for index, path in enumerate(every[number] for number in chosen):
        shutil.copyfile(path, folder / f"{index:03d}{path.suffix}")
    return sorted(folder.iterdir()), f"drawn from the {len(every)} of the data folder"


def astronauts(folder: Path) -> list[Path]:
    """PHOTOS files of one size in `folder`: the astronaut, shifted and mirrored."""
    folder.mkdir()
    astronaut = Image.open(ASTRONAUT)
    for index, (x, y) in enumerate(np.random.default_rng(0).integers(-20, 21, (PHOTOS, 2))):
        moved = astronaut.rotate(0, translate=(int(x), int(y)))
        moved = ImageOps.mirror(moved) if index % 2 else moved
        moved.save(folder / f"{index:03d}.jpg", quality=92)
    return sorted(folder.iterdir())


def faces_of(photo: np.ndarray, detector: Detector) -> np.ndarray:
    """(N, 256, 256, 3) crops of a photo."""
    crops = [crop_from_detection(face).extract(photo) for face in detector(photo)]
    return np.array(crops, np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE, 3)


def memory_of_command(photos: Path, out: Path) -> tuple[float, float]:
    """The most MB that `facerelief normals` holds up to photo 50, and up to the last one."""
    arguments = ("normals", str(photos), "-o", str(out), "--threads", str(THREADS), "--json")
    held = []
    with subprocess.Popen(
        [*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as command:
        for _ in command.stdout or ():
            pages = int(Path(f"/proc/{command.pid}/statm").read_text().split()[1])
            held.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    return max(held[:50]), max(held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    every = ",".join(SECTIONS)
    parser.add_argument("--only", default=every, help="sections (default: %(default)s)")
    chosen = parser.parse_args().only.split(",")
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"--only knows {', '.join(SECTIONS)}; not {', '.join(sorted(unknown))}")

    facts, old = machine(), read("speed")
    can_train = bool(find_spec("lightning") and os.environ.get("FACERELIEF_DATA"))
    # What is not measured now is kept, if it was measured on this machine.
    sections = old["sections"] if old and old["machine"] == facts else {}
    for name in chosen:
        print(f"{name} ...", file=sys.stderr)
        if name in NEED_TRAINING and not can_train:
            section = Section(notes=[f"No figures of the {name}: no data, or no extra `train`."])
        else:
            busy = busy_cores()
            with TemporaryDirectory() as folder:
                section = SECTIONS[name](Path(folder))
            section.busy_cores = busy
        sections[name] = asdict(section)
    ordered = {name: sections[name] for name in SECTIONS if name in sections}
    result = json.loads(json.dumps({"machine": facts, "sections": ordered}), parse_float=short)
    write("speed", result)
    print(speed_markdown(result))


def short(number: str) -> float:
    """Four digits: more is noise."""
    return float(f"{float(number):.4g}")


if __name__ == "__main__":
    main()
