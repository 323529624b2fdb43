"""The picture of docs/browser.md: the page of `facerelief browser`, as Chromium shows it.

    python tools/shoot_browser_page.py --ort node_modules/onnxruntime-web -o docs/pictures

The example photo's normals and the photo in new light, and the page on a telephone's screen.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from facerelief import catalogue
from facerelief.apps.browser import onnxruntime_web
from facerelief.apps.browser.site import site
from facerelief.files import write_files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import FLAGS  # noqa: E402
from static_site import Page, served  # noqa: E402

PHOTO = ROOT / "examples" / "astronaut.jpg"
WIDE, NARROW = {"width": 900, "height": 620}, {"width": 360, "height": 620}
GAP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ort", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        contents = site(catalogue.find("default"), onnxruntime_web.read(options.ort))
        write_files({Path(name) / file: content for file, content in contents.items()})
        # The face and what is round it: the whole photo shows it small.
        Image.open(PHOTO).crop((90, 0, 360, 270)).resize((720, 720)).save(Path(name) / "photo.jpg")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with served(Path(name)) as address:
            page = Page(browser.new_context(viewport=WIDE), address)
            page.open(Path(name) / "photo.jpg")
            views = [_shot(page)]
            page.tab.get_by_role("radio", name="Relit", exact=True).check(force=True)
            views.append(_shot(page))
            page.tab.set_viewport_size(NARROW)
            page.tab.get_by_role("radio", name="Expected error", exact=True).check(force=True)
            views.append(_shot(page))
            page.close()
        browser.close()
    width = sum(view.width for view in views) + GAP * (len(views) - 1)
    sheet, left = Image.new("RGB", (width, WIDE["height"]), "white"), 0
    for view in views:
        sheet.paste(view, (left, 0))
        left += view.width + GAP
    sheet.resize((width * 3 // 4, WIDE["height"] * 3 // 4), Image.Resampling.LANCZOS).save(
        options.out / "browser.jpg", quality=85
    )


def _shot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.tab.screenshot())).convert("RGB")


if __name__ == "__main__":
    main()
