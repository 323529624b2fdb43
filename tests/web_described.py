"""Serves the API for schemathesis: of each operation and format one answer is made, with what is
quickest to make, and given to all who ask rightly: forms are tested here, not figures.

    python tests/web_described.py

prints its address. As a module it is schemathesis' hooks: what the description calls a picture is
the example's face, small. (That other bodies are refused is what other tests say.)
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from facerelief.web.answers import HTML, Answer, Desk, zipped

#: Formats of answers, and other parameters: those that take the least time.
QUICK: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "normals": (("png", "npz", "json", "zip"), {"bits": 8, "size": None, "face": 0}),
    "mesh": (("glb", "ply", "json", "zip"), {"detail": "none", "texture": 256, "face": 0}),
    "relight": (("png", "jpg"), {"azimuth": 9.0, "elevation": 0.0, "strength": 1.0, "keep": 0.1}),
    "landmarks": (("json",), {"scheme": "ibug68"}),
    "coefficients": (("json",), {}),
}
#: What takes seconds anyway has a stand-in: tests/web/test_api.py looks at the true ones.
STAND_INS = {
    "view": Answer(b"<!doctype html>", HTML, "photo.html"),
    "all": zipped({"photo.json": b"{}"}, "all"),
}
SYSTEM = "full_pose"  # does all there is
EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"


def small_face() -> bytes:
    """PNG of a face of some 60 pixels."""
    buffer = io.BytesIO()
    Image.open(EXAMPLE).crop((150, 0, 310, 220)).resize((96, 132)).save(buffer, "PNG")
    return buffer.getvalue()


def hasten(desk: Desk, photo: bytes) -> None:
    """Let `desk` give ready answers for `photo`; all other bodies are looked at, and refused."""
    ready = {
        (name, format): getattr(desk, name)(
            photo, system=SYSTEM, **({"format": format} if len(formats) > 1 else {}), **quick
        )
        for name, (formats, quick) in QUICK.items()
        for format in formats
    }

    def instead(name: str, make: Callable[..., Answer]) -> Callable[..., Answer]:
        def answer(content: bytes, **asked: Any) -> Answer:
            if content != photo:
                return make(content, **asked)
            return STAND_INS.get(name) or ready[name, asked.get("format", "json")]

        return answer

    for name in (*QUICK, *STAND_INS):
        setattr(desk, name, instead(name, getattr(desk, name)))


def main() -> None:
    from facerelief.web.server import Application, listen, serve
    from facerelief.web.settings import Settings

    application = Application(Settings((SYSTEM,), threads=1, max_faces=1), page=False)
    hasten(application.desk, small_face())
    at = listen("127.0.0.1", 0)
    host, port = at.getsockname()
    serve(application, at, lambda: print(f"http://{host}:{port}", flush=True))


if __name__ == "__main__":
    main()
else:
    import schemathesis
    from hypothesis import strategies as st

    schemathesis.openapi.media_type("image/png", st.just(small_face()))
