"""The page of `facerelief browser` on a loopback server, in a Chromium without a screen."""

from __future__ import annotations

import base64
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import PATIENCE, Viewer

HERE = Path(__file__).parent
#: Where onnxruntime-web may be: FACERELIEF_ORT says another place.
ORT = Path(os.environ.get("FACERELIEF_ORT", HERE / "viewers/node_modules/onnxruntime-web"))

RESULT = """() => {
  const { app } = document.documentElement;
  const text = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength), parts = [];
    for (let at = 0; at < bytes.length; at += 32768) {
      parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
    }
    return btoa(parts.join(""));
  };
  return app.faces.map(({ place, picture, normals, mask, error, warnings }) => ({
    box: place.box, score: place.score, points: place.points, warnings,
    centre: place.crop.centre, side: place.crop.side, angle: place.crop.angle,
    picture: text(picture.data), normals: text(normals), mask: text(mask), error: text(error),
  }));
}"""


def needed_runtime() -> Path:
    """Where ONNX Runtime Web is. Skips the test, saying why, without it."""
    if not ORT.exists():
        pytest.skip("needs onnxruntime-web: npm install --prefix tests/viewers")
    return ORT


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files, and of nothing else."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class Page(Viewer):
    """The page in a tab, ready; remembers what it complained of and whom it asked."""

    def __init__(self, context: Any, address: str, asked: str = "") -> None:
        self.context, self.address = context, address
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context.on("request", lambda request: self._note(request.url))
        self.tab = context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.tab.on("console", lambda said: self.complaints.append(said.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.goto(address + asked)
        self.until("document.documentElement.app?.ready")

    def _note(self, address: str) -> None:
        if not address.startswith(("data:", "blob:", self.address)):
            self.requests.append(address)

    def until(self, condition: str) -> None:
        """As of a `Viewer`; the page loads itself anew once, and cannot answer meanwhile."""
        from playwright.sync_api import Error

        def answered() -> bool:
            try:
                return bool(self.tab.evaluate(condition))
            except Error as error:
                if "context was destroyed" not in str(error):
                    raise
                return False

        import time

        end = time.monotonic() + PATIENCE / 1000
        while not answered():
            assert time.monotonic() < end, (condition, self.said(), self.complaints)
            time.sleep(0.05)

    def said(self) -> str:
        return str(self.tab.locator("#status").text_content())

    def open(self, photo: Path) -> list[dict[str, Any]]:
        """The faces that the page sees in a photo."""
        self.tab.evaluate("document.documentElement.app.ready = false")
        self.tab.locator("#file").set_input_files(photo)
        self.until("document.documentElement.app.ready")
        return self.faces()

    def faces(self) -> list[dict[str, Any]]:
        """What the page says of each face, as arrays."""
        shapes = {
            "picture": (np.uint8, (256, 256, 3)),
            "normals": (np.float32, (256, 256, 3)),
            "mask": (np.uint8, (256, 256)),
            "error": (np.float32, (256, 256)),
        }
        faces: list[dict[str, Any]] = self.tab.evaluate(RESULT)
        for face in faces:
            for name, (kind, shape) in shapes.items():
                face[name] = np.frombuffer(base64.b64decode(face[name]), kind).reshape(shape)
        return faces
