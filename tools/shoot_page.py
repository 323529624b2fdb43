"""The pictures of docs/view.md: a page of the example photo, as Chromium shows it.

    python tools/shoot_page.py -o docs/pictures

Four views of one page, two by two: the light from the left, normals beside those of another system,
expected error, and the mesh half without and half with detail.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

PHOTO = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
SIZE = (1000, 640)
SHOWN = (760, 486)  # pixels of each view in the picture
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "astronaut.html"
        command = [sys.executable, "-m", "facerelief", "view", str(PHOTO), "-o", str(page)]
        subprocess.run(command, check=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
        tab.set_default_timeout(120_000)
        tab.goto(page.as_uri())
        tab.locator("html[data-shown]").wait_for()
        views = [_shot(tab, *step) for step in STEPS]
        browser.close()
    sheet = Image.new("RGB", (2 * SHOWN[0] + 8, 2 * SHOWN[1] + 8), "white")
    for index, view in enumerate(views):
        place = (index % 2 * (SHOWN[0] + 8), index // 2 * (SHOWN[1] + 8))
        sheet.paste(view.resize(SHOWN, Image.Resampling.LANCZOS), place)
    sheet.save(options.out / "view.jpg", quality=85)


#: Of each view: what is chosen, the slider in per cent, and a drag from the middle, pixels.
STEPS: tuple[tuple[list[tuple[str, str]], int, tuple[int, int]], ...] = (
    ([], 0, (-250, -60)),
    ([("radio", "Normals"), ("checkbox", "prnet")], 0, (0, 0)),
    ([("radio", "Expected error"), ("checkbox", "prnet")], 50, (0, 0)),
    ([("radio", "Mesh")], 50, (70, -12)),
)


def _shot(
    tab: Any, chosen: list[tuple[str, str]], split: int, drag: tuple[int, int]
) -> Image.Image:
    for role, name in chosen:
        tab.get_by_role(role, name=name, exact=True).click(force=True)
        tab.wait_for_timeout(2000)
    tab.locator("#split").fill(str(split))
    if any(drag):
        box = tab.locator("#overlay").bounding_box()
        x, y = box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"]
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + drag[0], y + drag[1], steps=3)
        tab.mouse.up()
    tab.wait_for_timeout(2000)
    return Image.open(io.BytesIO(tab.screenshot())).convert("RGB")


if __name__ == "__main__":
    main()
