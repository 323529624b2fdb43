"""What stands before API and page: which of them is asked, and what of the page's may be asked.

Gradio answers to more than the page needs: it fetches addresses for whoever asks, lends itself as a
proxy, takes calls to functions by name. Only what the page itself asks for is let through.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerelief.web.problems import Problem, response
from facerelief.web.settings import MEGABYTE, Settings

_API = ("/v1", "/health", "/openapi.json")
#: What the page asks for, by method: whole paths, and what paths begin with.
_PAGE = {
    "GET": (
        ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt",
         "/gradio_api/queue/data", "/gradio_api/upload_progress", "/gradio_api/startup-events",
         "/gradio_api/app_id"),
        ("/assets/", "/static/", "/gradio_api/file=", "/gradio_api/heartbeat/"),
    ),
    "POST": (
        ("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/cancel",
         "/gradio_api/reset"),
        (),
    ),
}  # fmt: skip
_HEARTBEAT = "/gradio_api/heartbeat/"
_UPLOAD = "/gradio_api/upload"
_FILE = "/gradio_api/file="
#: The page may show only what comes from here; it could load nothing else if it wanted.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Front:
    """The application that is served: `api`, and `page` if there is one."""

    def __init__(
        self, api: ASGIApp, page: ASGIApp | None, folder: Path | None, settings: Settings
    ) -> None:
        self.api, self.page, self.folder, self.settings = api, page, folder, settings
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End what would never end by itself: pages that say that they are still open."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await (self.page or self.api)(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if self.page is None or path in _API or path.startswith("/v1/"):
            await self.api(scope, receive, send)
            return
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        whole, beginnings = _PAGE.get(method, ((), ()))
        if path not in whole and not path.startswith(tuple(beginnings)):
            text = "There is nothing here. / is the page, /openapi.json describes the API."
            await response(404, text)(scope, receive, send)
            return
        if path.startswith(_FILE) and not self._is_inside(path.removeprefix(_FILE)):
            await response(403, "That is no file of this page. Use / instead.")(
                scope, receive, send
            )
            return
        if path == _UPLOAD and self._is_full():
            text = "There is no room for more photos now. Try again in a minute."
            await response(503, text, {"retry-after": "60"})(scope, receive, send)
            return
        if path == "/gradio_api/queue/join":
            try:
                receive = await self._checked(receive)
            except Problem as problem:
                answer = response(problem.status_code, str(problem.detail))
                await answer(scope, receive, send)
                return
        await self._from_page(path, scope, receive, send)

    async def _from_page(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.page is not None
        if not path.startswith(_HEARTBEAT):
            await self.page(scope, receive, _guarded(send))
            return
        beating = asyncio.ensure_future(_run(self.page, scope, receive, _guarded(send)))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({beating, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (beating, stopping):
                task.cancel()
            await asyncio.gather(beating, stopping, return_exceptions=True)

    async def _checked(self, receive: Receive) -> Receive:
        """The same body again, which names no files but the page's own. Raises Problem.

        Gradio itself lets some of its components read others: it must not even see such a name.
        """
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "The body did not come. Send it again.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            names = list(_names(json.loads(body)))
        except (ValueError, RecursionError):
            raise Problem(400, "The body is no JSON. Use the page, or the API under /v1.") from None
        if not all(self._is_inside(name) for name in names):
            raise Problem(400, "That is no file of this page. Upload it first.")
        left = [body]

        async def again() -> Message:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": False}
            return await receive()

        return again

    def _is_inside(self, name: Any) -> bool:
        """Whether a file is one of the page's."""
        assert self.folder is not None
        try:
            return self.folder.resolve() in Path(name).resolve().parents
        except (TypeError, ValueError, OSError, RuntimeError):  # no name at all
            return False

    def _is_full(self) -> bool:
        """Whether the page's files take as much as they may."""
        return sum(_sizes(self.folder)) > self.settings.max_kept_megabytes * MEGABYTE


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def _names(value: Any) -> Iterator[Any]:
    """Of files, in what the page sends: every `path`, and every `url` that is one or holds it."""
    if isinstance(value, dict):
        if value.get("path") is not None:
            yield value["path"]
        url = value.get("url")
        if isinstance(url, str) and not url.startswith(("http://", "https://", _FILE)):
            yield url
        inner: Iterable[Any] = value.values()
    else:
        inner = value if isinstance(value, list) else ()
    for one in inner:
        yield from _names(one)


def _guarded(send: Send) -> Send:
    """With headers that let a browser load nothing from elsewhere."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        await send(message)

    return guarded


def _sizes(folder: Path | None) -> Iterator[int]:
    for place, _, names in os.walk(folder) if folder else ():
        for name in names:
            try:
                yield os.stat(os.path.join(place, name)).st_size
            except OSError:  # it has just been deleted
                continue
