"""The page: a photo in, everything that is made of it to look at, and as one zip.

Results travel to the browser as they are and lie nowhere here. Uploads lie in one folder, until the
visitor leaves, but for `Settings.keep_minutes` at most.
"""

import asyncio
import io
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from fastapi import FastAPI

from facerelief import __version__
from facerelief.apps.normals import OUTPUTS
from facerelief.web import panels
from facerelief.web.answers import STEM, Desk, zipped
from facerelief.web.line import ClientGone, Line
from facerelief.web.problems import Problem
from facerelief.web.settings import Settings

_INTRODUCTION = """# facerelief
One photo of a face in; surface normals, a mesh, new light and more out. The photo stays on this
server, and is deleted when you leave."""
_EMPTY = "<p class='fr-note'>Choose a photo, or one of the examples.</p>"
_DELETED = "The photo has been deleted since. Choose it again."
_SOON = 0.2  # seconds between looks for visitors who have left
_OFTEN = 5  # seconds between looks for files that are too old


def create_page(settings: Settings, desk: Desk, line: Line, folder: Path) -> FastAPI:
    """The page as an application; `folder` is where Gradio may keep files.

    Gradio reads where that is from the environment.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    visits: defaultdict[str, set[Path]] = defaultdict(set)

    async def look(photo: str | None, system: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        unchanged = [gr.skip()] * 5
        if photo is None:
            yield [_EMPTY, *[_EMPTY] * 5]
            return
        path, session = Path(photo), str(request.session_hash)
        visits[session].add(path)
        client = request.client.host if request.client else ""
        try:
            content = _content(path, folder)
            yield [panels.notice("Looking at the photo ..."), *unchanged]
            job = partial(desk.normals, content, system, "zip", 8, None, 0)
            first = await line.run(job, settings.max_seconds, client, partial(left, session))
            shown, said = _opened(first.content)
            text = f"{_faces(len(said))}. The mesh takes a few seconds more ..."
            yield [panels.notice(text), panels.normal_pictures(shown, said), *unchanged[1:]]
            every = partial(desk.everything, content, system)
            made = await line.run(every, settings.max_seconds, client, partial(left, session))
        except Problem as problem:
            yield [panels.notice(str(problem.detail), is_error=True), *[_EMPTY] * 5]
            return
        except ClientGone:  # or the connection was lost, and the page is still there
            yield [panels.notice(_DELETED, is_error=True), *[_EMPTY] * 5]
            return
        yield [
            panels.notice(f"{_faces(len(said))}: see the tabs."),
            gr.skip(),
            panels.viewer(made),
            panels.landmarks(made),
            panels.coefficients(made),
            panels.download(zipped(made, "all"), made, _missing(made)),
        ]

    async def left(session: str) -> None:
        """Ends when the visitor has left."""
        while session in visits:
            await asyncio.sleep(_SOON)

    def leave(request: gr.Request) -> None:
        for path in visits.pop(str(request.session_hash), ()):
            if folder in path.parents and "examples" not in path.parts:
                with suppress(OSError):
                    path.unlink()

    keep = max(int(60 * settings.keep_minutes), 1)
    with gr.Blocks(
        title="facerelief",
        analytics_enabled=False,
        delete_cache=(min(keep, _OFTEN), keep),
    ) as blocks:
        gr.Markdown(_INTRODUCTION, elem_id="introduction")
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                photo = gr.Image(
                    label="Photo",
                    sources=["upload", "clipboard", "webcam"],
                    type="filepath",
                    image_mode=None,
                    height=340,
                    buttons=[],
                    elem_id="photo",
                )
                # Gradio would open the file itself, without our bounds.
                photo.preprocess = _path_of  # type: ignore[method-assign]
                system = gr.Dropdown(
                    [panels.choice(name) for name in settings.names],
                    value=settings.names[0],
                    label="System",
                    elem_id="system",
                )
                about = gr.HTML(panels.system(settings.names[0]))
                button = gr.Button("Look at the photo", variant="primary")
                limits = (
                    f"Up to {settings.max_megabytes:g} MB, {settings.max_megapixels:g} megapixels "
                    f"and the {settings.max_faces} largest faces. Upload, paste or use the camera."
                )
                gr.HTML(f"<p class='fr-note'>{limits}</p>")
                gr.Examples([[str(path)] for path in example_files()], [photo], label="Examples")
            with gr.Column(scale=5, min_width=320):
                status = gr.HTML(_EMPTY, elem_id="status")
                with gr.Tabs():
                    with gr.Tab("Normals"):
                        normals = gr.HTML(elem_id="normals")
                    with gr.Tab("Light and mesh"):
                        viewer = gr.HTML(elem_id="viewer")
                    with gr.Tab("Landmarks"):
                        points = gr.HTML(elem_id="landmarks")
                    with gr.Tab("Coefficients"):
                        told = gr.HTML(elem_id="coefficients")
                    with gr.Tab("Download"):
                        zip_file = gr.HTML(elem_id="download")
        gr.HTML(
            f"<p class='fr-note'>facerelief {__version__}. The same over HTTP: "
            "<a href='/openapi.json'>openapi.json</a>.</p>"
        )
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        shown = [status, normals, viewer, points, told, zip_file]
        gr.on(
            [photo.change, button.click, system.input],
            look,
            [photo, system],
            shown,
            concurrency_limit=None,
            trigger_mode="always_last",
            **private,
        )
        system.input(panels.system, [system], [about], **private)
        blocks.unload(leave)
    blocks.queue(max_size=settings.waiting + settings.workers)
    look_of = gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    page = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    return gr.mount_gradio_app(
        page,
        blocks,
        "/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.max_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=look_of,
        css=(files("facerelief.web") / "assets" / "page.css").read_text("utf-8"),
    )


def example_files() -> list[Path]:
    """Pictures that may be shown: NASA's portrait of Eileen Collins, and renderings of ours."""
    folder = Path(__file__).parent / "assets" / "examples"
    return sorted(folder.glob("*.jpg"))


def _path_of(payload: Any) -> Any:
    return payload and payload.path


def _content(path: Path, folder: Path) -> bytes:
    """An upload's bytes. Raises Problem for one that is no more, or lies elsewhere."""
    if folder.resolve() not in path.resolve().parents:
        raise Problem(422, "That is no photo of this page. Choose one again.")
    try:
        return path.read_bytes()
    except OSError:
        raise Problem(422, _DELETED) from None


def _opened(content: bytes) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Files of a zip of ours, and the sidecars among them."""
    with ZipFile(io.BytesIO(content)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    said = [json.loads(found[name]) for name in sorted(found) if name.endswith(OUTPUTS["json"][0])]
    return found, said


def _missing(made: dict[str, bytes]) -> str:
    """What could not be made, and why."""
    sidecars = [json.loads(made[n]) for n in (f"{STEM}.json", f"{STEM}_0.json") if n in made]
    return "; ".join(sidecars[0]["left_out"]) if sidecars else ""


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count} faces"
