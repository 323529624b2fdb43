"""A Chromium without a screen for tests of pages: Playwright drives the one that the system has."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Drawn by the processor, so that pictures are alike everywhere.
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--force-color-profile=srgb"]  # fmt: skip
PATIENCE = 120_000  # milliseconds: other tests may keep the processor busy


@contextmanager
def running(*flags: str) -> Iterator[Any]:
    """A browser, with more `flags`. Skips the test, saying why, where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is installed")
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra dev)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*FLAGS, *flags], timeout=PATIENCE
        )
        yield browser
        browser.close()


class Viewer:
    """A page of ours in a tab; remembers what it complained of and what it asked for."""

    def __init__(self, browser: Any, page: Path, width: int, height: int, **how: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **how)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda said: self.complaints.append(said.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self._note(request.url))
        self.tab.goto(page.as_uri())
        self.wait_for("")

    def _note(self, address: str) -> None:
        if not address.startswith(("data:", "blob:", "file:")):
            self.requests.append(address)

    def wait_for(self, shown: str) -> None:
        """Until what is on the stage has `shown` in its words: subject, layer, systems."""
        self.until(f"document.documentElement.dataset.shown?.includes({json.dumps(shown)})")
        self.settle()

    def settle(self) -> None:
        """Until nothing is left to be drawn."""
        self.until("!document.documentElement.stage.waiting")

    def until(self, condition: str) -> None:
        """Asks again and again: the page's own policy forbids Playwright's way of waiting."""
        end = time.monotonic() + PATIENCE / 1000
        while not self.tab.evaluate(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def choose(self, role: str, name: str, shown: str = "") -> None:
        self.tab.get_by_role(role, name=name, exact=True).check(force=True)
        self.wait_for(shown)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """From one place of the stage to another, as shares of it."""
        box = self.tab.locator("#overlay").bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.tab.mouse.move(*at[0])
        self.tab.mouse.down()
        self.tab.mouse.move(*at[1], steps=4)
        self.tab.mouse.up()
        self.settle()

    def state(self, name: str) -> Any:
        return self.tab.evaluate(f"document.documentElement.stage.state.{name}")

    def picture(self) -> NDArray[np.int64]:
        """(H, W, 3) of what the canvas shows, without what lies over it."""
        self.settle()
        for part in ("#overlay", "#hint", "#legend"):
            self.tab.evaluate(f"document.querySelector('{part}').style.visibility = 'hidden'")
        content = self.tab.locator("#canvas").screenshot()
        for part in ("#overlay", "#hint", "#legend"):
            self.tab.evaluate(f"document.querySelector('{part}').style.visibility = ''")
        return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(np.int64)

    def close(self) -> None:
        self.context.close()
        assert not self.complaints and not self.requests
