"""What comes in: bodies of requests, as large and as slow as they may be.

FastAPI receives a body before it looks at anything else: this stands in front of it. What is
still to come of a body that is refused the server throws away for a while (`server.HEAD_SECONDS`):
a client that is sending hears no answer before it has sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerelief.web.problems import Problem, response
from facerelief.web.settings import MEGABYTE, Settings

#: Seconds for a part of an answer to be taken by its reader.
READING = 60.0


class Door:
    """In front of an application: bounds bodies, in bytes, seconds and number at a time."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        has_body = b"content-length" in headers or b"transfer-encoding" in headers
        if not has_body or headers.get(b"content-length") == b"0":
            await self.app(scope, receive, _in_time(send))
            return
        if self._inside >= self.settings.uploads:
            text = "Too many photos are being received. Try again in 2 s."
            await response(503, text, {"retry-after": "2"})(scope, receive, send)
            return
        self._inside += 1
        body = _Body(receive, self.settings, self._leave)
        try:
            declared = headers.get(b"content-length", b"")
            if declared.isdigit() and int(declared[:20]) > self.settings.max_bytes:
                raise _too_large(self.settings)
            await self.app(scope, body.receive, _in_time(send))
        except Problem as problem:  # of an application that lets it through
            answer = response(problem.status_code, str(problem.detail), dict(problem.headers or {}))
            await answer(scope, receive, send)
        finally:
            body.end()

    def _leave(self) -> None:
        self._inside -= 1


class _Body:
    """One request's body, on its way in."""

    def __init__(self, receive: Receive, settings: Settings, end: Callable[[], None]) -> None:
        self._receive, self._settings = receive, settings
        self._end, self._ended = end, False
        self._count = 0
        self._until = time.monotonic() + settings.upload_seconds

    async def receive(self) -> Message:
        """As ASGI's; raises Problem for too much, or too slow."""
        if self._ended:  # the body is here: what comes is that the client leaves
            return await self._receive()
        try:
            left = max(self._until - time.monotonic(), 0.001)
            message = await asyncio.wait_for(self._receive(), left)
        except asyncio.TimeoutError:
            raise Problem(
                408,
                f"The photo did not come within {self._settings.upload_seconds:g} s. Send a "
                "smaller one, or over a faster connection.",
            ) from None
        self._count += len(message.get("body", b""))
        if self._count > self._settings.max_bytes:
            raise _too_large(self._settings)
        if not message.get("more_body"):
            self.end()
        return message

    def end(self) -> None:
        """Give up the place."""
        if not self._ended:
            self._ended = True
            self._end()


def _too_large(settings: Settings) -> Problem:
    limit = settings.max_bytes / MEGABYTE
    return Problem(
        413,
        f"A request has at most {limit:g} MB here. Send the photo smaller, or as JPEG with more "
        "compression.",
    )


def _in_time(send: Send) -> Send:
    """An answer that nobody takes is given up."""

    async def patient(message: Message) -> None:
        await asyncio.wait_for(send(message), READING)

    return patient
