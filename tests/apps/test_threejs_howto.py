"""docs/howto/threejs.md is true: three.js runs its block in Chromium, on the file that it names."""

import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from browser import running
from facerelief.cli import app
from static_site import served

TESTS = Path(__file__).parents[1]
VIEWERS = TESTS / "viewers"
PAGE = TESTS.parent / "docs" / "howto" / "threejs.md"

pytestmark = pytest.mark.skipif(
    not (VIEWERS / "node_modules/three/build/three.module.js").is_file(),
    reason="needs three.js: npm install --prefix tests/viewers",
)


def blocks(language: str) -> list[str]:
    text = PAGE.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its command's file, and its script, beside a page that gives it a scene and a camera."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(astronaut, folder / "portrait.jpg")
    command = blocks("sh")[0].split()
    assert command[:2] == ["facerelief", "mesh"]
    words = [{"portrait.jpg": str(folder / "portrait.jpg"), "out": str(folder)}.get(word, word)
             for word in command[1:]]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (folder / "howto.js").write_text(blocks("js")[0] + "\nexport { face };\n", "utf-8")
    shutil.copy(VIEWERS / "howto.html", folder)
    (folder / "node_modules").symlink_to(VIEWERS / "node_modules")
    return folder


def drawn(tab: Any, x: float, y: float, relief: float = 1.0) -> np.ndarray:
    tab.evaluate(f"draw({x}, {y}, {relief})")
    content = tab.locator("canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_the_block_shows_the_face_as_the_page_says(site: Path) -> None:
    with running() as browser, served(site) as address:
        tab = browser.new_page(viewport={"width": 400, "height": 400})
        complaints: list[str] = []
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"{address}howto.html")
        tab.wait_for_function("globalThis.told", timeout=120_000)
        told = tab.evaluate("told")
        assert not complaints
        assert told["map"] == "srgb" and told["normalMap"] == ""  # "": linear, as it is
        assert told["normalScale"] == [1, 1]
        assert 0.1 < told["size"][1] < 0.35  # metres, and y is up
        front = drawn(tab, 0, 0)
        face = np.abs(front - (0, 0, 255)).sum(-1) > 60
        assert 0.1 < face.mean() < 0.9 and face[200, 200]
        rows, columns = np.nonzero(face)
        middle, half = int(columns.mean()), np.arange(400) < columns.mean()
        left, right = face & half, face & ~half
        lit = {x: drawn(tab, x, 0).mean(-1) for x in (-3, 3)}
        # A lamp at the picture's left lights its left: x is to the right.
        assert lit[-3][left].mean() > lit[3][left].mean() + 10
        assert lit[3][right].mean() > lit[-3][right].mean() + 10
        # Light from above is brighter on the upper half than light from below: y is up.
        upper = face & (np.arange(400)[:, None] < rows.mean())
        assert drawn(tab, 0, 3)[upper].mean() > drawn(tab, 0, -3)[upper].mean() + 5
        assert middle == pytest.approx(200, abs=60)
        relief = np.abs(drawn(tab, 2, 2) - drawn(tab, 2, 2, 0.0))[face]
        assert relief.mean() > 0.5  # and the normal map does something
