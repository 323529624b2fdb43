"""How fast is the page of `facerelief browser`, how large, and does it say what Python says?

    OMP_NUM_THREADS=1 python benchmarks/browser.py --ort node_modules/onnxruntime-web [--pictures N]

Headless Chromium plays a film of the example photo, which moves, to the page as its camera of 640 x
480 pixels. Times are the page's own clock, which other programs on the machine slow down. Processor
time is that of the page process, all threads, of spells of five pictures; the least of them is told
too, as work of others on the same core makes it longer. How many cores others kept busy is written
beside it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import busy_cores, chromium_seconds, machine
from PIL import Image
from playwright.sync_api import sync_playwright
from tables import write

from facerelief import catalogue, load
from facerelief.apps.browser import onnxruntime_web
from facerelief.apps.browser.site import site
from facerelief.files import write_files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import FLAGS  # noqa: E402
from static_site import Page, served  # noqa: E402

PHOTO = ROOT / "examples" / "astronaut.jpg"
THREADS = (1, 2)
WARM, SPELL = 6, 5  # pictures that are not counted, and that are timed together
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
          "--use-file-for-fake-video-capture=")  # fmt: skip
FRAMES = "document.documentElement.app.frames"


def film(path: Path) -> None:
    """Motion JPEG of a head that moves."""
    portrait = Image.open(PHOTO)
    with open(path, "wb") as file:
        for step in range(60):
            picture = Image.new("RGB", (640, 480), (110, 120, 130))
            angle = 2 * np.pi * step / 60
            picture.paste(portrait, (round(64 + 40 * np.sin(angle)), round(-8 * np.cos(angle))))
            picture.save(file, "JPEG", quality=90)


def processor_seconds(profile: str) -> float:
    """What the page processes of the browser with this profile have used until now."""
    return sum(chromium_seconds("renderer", profile))


def live(page: Page, profile: str, pictures: int) -> dict[str, float]:
    """Milliseconds a picture of the camera, medians; and the processor's."""
    page.tab.locator("#camera").check(force=True)
    page.until(f"{FRAMES}.length > {WARM}")
    page.tab.evaluate(f"{FRAMES}.length = 0")
    spells, before, done = [], processor_seconds(profile), 0
    while done < pictures:
        page.until(f"{FRAMES}.length >= {done + SPELL}")
        now, count = processor_seconds(profile), page.tab.evaluate(f"{FRAMES}.length")
        spells.append(1000 * (now - before) / (count - done))
        before, done = now, count
    frames = page.tab.evaluate(FRAMES)
    page.tab.locator("#camera").uncheck(force=True)
    page.until("document.documentElement.app.camera === null")
    assert all(frame["faces"] == 1 for frame in frames)
    found = {name: median(frame[name] for frame in frames) for name in ("find", "network", "all")}
    least = min(frame["all"] for frame in frames)
    return {**found, "least": least, "processor": median(spells), "spell": min(spells)}


def compare(page: Page, folder: Path) -> list[dict[str, Any]]:
    """Degrees between the normals of the page and of Python, a photo each."""
    estimator = load("default", threads=1)
    portrait = Image.open(PHOTO)
    turned = portrait.rotate(33, Image.Resampling.BICUBIC, True, fillcolor=(90, 90, 90))
    two = Image.new("RGB", (1900, 900), (120, 130, 140))
    two.paste(portrait.resize((700, 700)), (100, 100))
    two.paste(portrait.resize((300, 300)), (1200, 300))
    rows = []
    for name, picture in (("upright", portrait), ("turned by 33°", turned), ("two faces", two)):
        picture.save(folder / "photo.png")
        seen, expected = page.open(folder / "photo.png"), estimator(folder / "photo.png")
        assert len(seen) == len(expected)
        for one, face in zip(seen, expected, strict=True):
            both = (one["mask"] > 0) & face.mask
            cosine = (one["normals"].astype(float) * face.normals).sum(-1)[both]
            angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
            rows.append({
                "photo": name, "mean": float(angles.mean()), "most": float(angles.max()),
                "mask": int(np.count_nonzero((one["mask"] > 0) != face.mask)),
            })  # fmt: skip
    return rows


def measure(ort: Path, pictures: int) -> dict[str, Any]:
    contents = site(catalogue.find("default"), onnxruntime_web.read(ort))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "page").mkdir()
        write_files({folder / "page" / file: content for file, content in contents.items()})
        film(folder / "film.mjpeg")
        rows, differences = [], []
        busy = busy_cores(3.0)
        with served(folder / "page") as address:
            for threads in THREADS:
                profile = str(folder / f"profile{threads}")
                *flags, camera = CAMERA
                context = playwright.chromium.launch_persistent_context(
                    profile, executable_path=shutil.which("chromium"), headless=True,
                    args=[*FLAGS, *flags, f"{camera}{folder / 'film.mjpeg'}"],
                    permissions=["camera"], viewport={"width": 900, "height": 640},
                    timeout=120_000,
                )  # fmt: skip
                page = Page(context, address, f"?threads={threads}")
                rows.append({"threads": threads, **live(page, profile, pictures)})
                if threads == THREADS[0]:
                    differences = compare(page, folder)
                page.close()
    networks = sum(len(content) for name, content in contents.items() if name.endswith(".onnx"))
    runtime = sum(len(contents[name]) for name in onnxruntime_web.pinned()["files"])
    return {
        "machine": machine(),
        "busy": busy,
        "runtime": onnxruntime_web.pinned()["version"],
        "page_mb": sum(map(len, contents.values())) / 1e6,
        "networks_mb": networks / 1e6,
        "runtime_mb": runtime / 1e6,
        "pictures": pictures,
        "live": rows,
        "differences": differences,
    }


def main() -> None:
    """Measure and write results/browser.json and its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ort", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=40)
    asked = parser.parse_args()
    write("browser", measure(asked.ort, asked.pictures))


if __name__ == "__main__":
    main()
