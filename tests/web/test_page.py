"""A visit to the page in a browser, as a new user would make it."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from browser import PATIENCE, running
from serving import Server, serving

pytest.importorskip("gradio", reason="needs the extra web")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(
        "--system", "casfne_compact,prnet", "--max-seconds", "300", folder=folder
    ) as server:
        yield server
        server.process.terminate()
        assert server.process.wait(120) == 0
        assert server.process.stderr is not None and "Traceback" not in server.process.stderr.read()
    assert not list(folder.iterdir())


def uploads(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.jpg") if "me" in path.stem]


def test_the_whole_visit(server: Server, folder: Path, astronaut: Path, tmp_path: Path) -> None:
    photo = tmp_path / "me.jpg"
    photo.write_bytes(astronaut.read_bytes())
    shots = tmp_path / "shots"
    with running() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        complaints: list[str] = []
        elsewhere: list[str] = []
        tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((server.address, "data:", "blob:"))
                else elsewhere.append(asked.url)
            ),
        )
        tab.goto(server.address)
        tab.set_input_files("#photo input[type=file]", photo)

        # Normals come first, and with them what they mean.
        tab.wait_for_selector("#normals figure")
        said = tab.inner_text("#normals")
        assert "Expected error" in said and "z towards the viewer" in said
        assert uploads(folder)
        tab.wait_for_selector("text=see the tabs")
        shown = tab.evaluate(
            "[...document.querySelectorAll('#normals img')].map((i) => i.naturalWidth)"
        )
        assert len(shown) == 4 and min(shown) >= 256

        # The light is dragged over the photo, and the mesh is there.
        tab.get_by_role("tab", name="Light and mesh").click()
        tab.wait_for_selector("iframe.fr-view")
        frame = tab.frame_locator("iframe.fr-view")
        frame.locator("#canvas").wait_for()
        page = next(f for f in tab.frames if f.parent_frame and f.query_selector("#azimuth"))
        end = time.monotonic() + PATIENCE / 1000
        while not page.evaluate("document.documentElement.dataset.shown"):
            assert time.monotonic() < end
        before = page.evaluate("document.documentElement.stage.state.light.azimuth")
        box = frame.locator("#overlay").bounding_box()
        middle = box["y"] + box["height"] / 2
        tab.mouse.move(box["x"] + 0.6 * box["width"], middle)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
        tab.mouse.up()
        assert page.evaluate("document.documentElement.stage.state.light.azimuth") != before
        frame.get_by_role("radio", name="Mesh", exact=True).check(force=True)
        end = time.monotonic() + PATIENCE / 1000
        while "mesh" not in page.evaluate("document.documentElement.dataset.shown").lower():
            assert time.monotonic() < end

        tab.get_by_role("tab", name="Landmarks").click()
        assert "68 points (ibug68)" in tab.inner_text("#landmarks")
        tab.get_by_role("tab", name="Coefficients").click()
        assert "mouthSmileLeft" in tab.inner_text("#coefficients")

        # Everything as one zip.
        tab.get_by_role("tab", name="Download").click()
        with tab.expect_download() as download:
            tab.click(".fr-download")
        with ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
            names = set(archive.namelist())
            assert archive.testzip() is None
        assert {"photo.glb", "photo_normal.png", "photo.html", "photo_coefficients.json"} <= names

        # On a phone nothing is wider than the screen.
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.get_by_role("tab", name="Normals").click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        # There is no room for all tabs: the last are behind three dots.
        tab.get_by_role("button", name="More tabs").click()
        tab.locator(".overflow-dropdown").get_by_text("Download").click()
        tab.locator(".fr-download").wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        shots.mkdir()
        tab.screenshot(path=shots / "phone.png")
        context.close()
        assert not complaints and not elsewhere

    end = time.monotonic() + 60
    while uploads(folder):  # the visitor has left
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_has_begun_for_a_visitor_who_leaves_is_given_up(
    server: Server, astronaut: Path, tmp_path: Path
) -> None:
    before = server.worked()
    assert server.post("all", astronaut.read_bytes()).status_code == 200
    whole = server.worked() - before
    photo = tmp_path / "me.jpg"
    photo.write_bytes(astronaut.read_bytes())
    with running() as browser:
        tab = browser.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.goto(server.address)
        tab.set_input_files("#photo input[type=file]", photo)
        tab.wait_for_selector("text=takes a few seconds more")
        server.until("working", 1)
        before = server.worked()
        tab.close()
        server.until("working", 0)
        assert server.worked() - before < 0.4 * whole


def test_what_is_no_photo_is_told_on_the_page(server: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with running() as browser:
        tab = browser.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.goto(server.address)
        tab.set_input_files("#photo input[type=file]", broken)
        tab.wait_for_selector("#status [role=alert]")
        assert "Send a JPEG" in tab.inner_text("#status")


def test_nothing_outside_its_folder_is_read(server: Server, folder: Path) -> None:
    inside = {path.name for path in folder.rglob("*")}
    outside = ("/etc/passwd", str(Path(__file__)), f"{folder}/../x", "http://127.0.0.1:1/x")
    for path in outside:
        answer = httpx.get(f"{server.address}/gradio_api/file={path}")
        assert answer.status_code == 403, path
        named = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for function in range(4):  # some of Gradio's components would read it
            for data in ([named, "prnet"], [[{"x": named}]], [{"url": path, "meta": {}}]):
                if "://" in path and data[-1] != "prnet":
                    continue  # the page's own addresses are such
                sent = {"data": data, "fn_index": function, "session_hash": "me"}
                refused = httpx.post(f"{server.address}/gradio_api/queue/join", json=sent)
                assert refused.status_code == 400 and "Upload it" in refused.json()["detail"]
    assert {path.name for path in folder.rglob("*")} <= inside | {"examples"}
    for path in ("gradio_api/proxy=http://127.0.0.1:1/x", "gradio_api/info", "monitoring", "login"):
        refused = httpx.get(f"{server.address}/{path}")
        assert refused.status_code == 404 and "openapi.json" in refused.json()["detail"]
    sent = {"data": [], "fn_index": "x" * 9, "session_hash": "me"}
    refused = httpx.post(f"{server.address}/gradio_api/run/look", json=sent)
    assert refused.status_code == 404
