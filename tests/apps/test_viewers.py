"""Other people's programs open our meshes: Khronos' validator, and three.js in a browser.

They come from npm: `npm install --prefix tests/viewers`, and a Chromium.
"""

import functools
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facerelief.cli import app

VIEWERS = Path(__file__).parents[1] / "viewers"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
SIZE = 512

# An installation that was stopped leaves a folder behind.
PARTS = ("three/build/three.module.js", "gltf-validator/package.json")
installed = pytest.mark.skipif(
    not all((VIEWERS / "node_modules" / part).is_file() for part in PARTS)
    or shutil.which("node") is None,
    reason="needs node and: npm install --prefix tests/viewers",
)


@pytest.fixture(scope="module")
def heads(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the shipped network makes of the portrait: the face and the whole head."""
    folder = tmp_path_factory.mktemp("heads")
    for kind in ("face", "full"):
        arguments = ["mesh", str(astronaut), "-o", str(folder / kind), "--head", kind]
        done = CliRunner().invoke(app, [*arguments, "--texture", "512"])
        assert done.exit_code == 0, done.output
        shutil.move(folder / kind / "astronaut.glb", folder / f"{kind}.glb")
    return folder


@installed
@pytest.mark.parametrize("kind", ["face", "full"])
def test_khronos_finds_nothing_wrong(heads: Path, kind: str) -> None:
    command = ["node", str(VIEWERS / "validate.mjs"), str(heads / f"{kind}.glb")]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    issues = report["issues"]
    assert issues["numErrors"] == issues["numWarnings"] == 0, issues["messages"]
    assert report["info"]["totalTriangleCount"] > 10_000 and report["info"]["hasTextures"]


@pytest.fixture(scope="module")
def address(heads: Path) -> Iterator[str]:
    """Of a server of the viewer and the heads."""
    site = heads / "site"
    shutil.copytree(VIEWERS, site, symlinks=True)
    for kind in ("face", "full"):
        shutil.copy(heads / f"{kind}.glb", site)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def screenshot(address: str, kind: str, yaw: float, folder: Path) -> np.ndarray:
    """(512, 512, 3)"""
    picture = folder / f"{kind}{yaw:g}.png"
    assert BROWSER is not None
    subprocess.run(
        [
            BROWSER, "--headless=new", "--no-sandbox", "--hide-scrollbars",
            "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            f"--window-size={SIZE},{SIZE}",
            f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000",
            "--default-background-color=ff00ffff", f"--screenshot={picture}",
            f"{address}/view.html?glb={kind}.glb&yaw={yaw:g}",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    return np.asarray(Image.open(picture).convert("RGB"))[:SIZE, :SIZE].astype(int)


@installed
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize("kind", ["face", "full"])
def test_three_js_shows_a_textured_head(kind: str, address: str, tmp_path: Path) -> None:
    front = screenshot(address, kind, 0, tmp_path)
    head = np.abs(front - (0, 0, 255)).sum(-1) > 60
    assert 0.15 < head.mean() < 0.8 and head[SIZE // 2, SIZE // 2]
    red, green, blue = front[head].mean(0)
    assert red > green > blue and red > 90  # skin, in its light
    assert front[head].std(0).mean() > 15  # and no single colour: the texture is on it
    turned = screenshot(address, kind, 50, tmp_path)
    assert np.abs(turned - front).mean() > 5
