"""How large is a page of `facerelief view`, and how fast is it drawn without a graphics card?

    OMP_NUM_THREADS=1 python benchmarks/view.py [--frames N]

The example photo's page in Chromium's software renderer (SwiftShader), a stage of 512 x 512 pixels,
while light or mesh turn. Processor time is that of Chromium's GPU process, all threads, which other
programs on the machine hardly change; a frame's time on an idle machine is no longer than that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import chromium_seconds, launch
from playwright.sync_api import sync_playwright
from tables import write

PHOTO = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
STAGE, PANEL = 512, 300  # pixels, of the stage and of the controls beside it
LAYERS = ("Relit photo", "Normals", "Shading", "Expected error", "Mesh", "Texture", "Wireframe")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
DRAW = """(frames) => {
  const { stage } = document.documentElement, { gl, state } = stage, pixel = new Uint8Array(4);
  for (let frame = 0; frame < frames; frame++) {
    state.light.azimuth = -60 + (120 * frame) / frames;
    state.view.yaw = -30 + (60 * frame) / frames;
    stage.draw();
  }
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);  // waits for all of them
  return [stage.canvas.width, stage.canvas.height];
}"""


def processor_ms(browser_folder: str) -> float:
    """What the GPU process of the browser with this profile has used until now."""
    if found := chromium_seconds("gpu-process", browser_folder):
        return 1000 * found[0]
    raise RuntimeError("Chromium has no GPU process")


def measure(frames: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "astronaut.html"
        _, work, memory = launch(
            sys.executable, "-m", "facerelief", "view", str(PHOTO), "-o", str(page),
            "--threads", "1",
        )  # fmt: skip
        profile = str(Path(folder) / "profile")
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=shutil.which("chromium"), args=FLAGS, headless=True,
            viewport={"width": STAGE + PANEL, "height": STAGE}, timeout=120_000,
        )  # fmt: skip
        tab = context.pages[0]
        tab.set_default_timeout(120_000)
        tab.goto(page.as_uri())
        tab.locator("html[data-shown]").wait_for()
        drawn = []
        for layer in LAYERS:
            tab.get_by_role("radio", name=layer, exact=True).check(force=True)
            tab.wait_for_timeout(2000)
            size = tab.evaluate(DRAW, 1)
            assert size == [STAGE, STAGE]
            before = processor_ms(profile)
            tab.evaluate(DRAW, frames)
            drawn.append({"layer": layer, "ms": (processor_ms(profile) - before) / frames})
        context.close()
        text = page.read_bytes()
    pictures = sum(len(part.partition(b'"')[0]) for part in text.split(b'"data:image/')[1:])
    return {
        "page_mb": len(text) / 1e6,
        "pictures_mb": pictures / 1e6,
        "made_s": work,
        "memory_mb": memory,
        "stage": STAGE,
        "frames": drawn,
    }


def main() -> None:
    """Measure and write results/view.json and its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=60)
    write("view", measure(parser.parse_args().frames))


if __name__ == "__main__":
    main()
