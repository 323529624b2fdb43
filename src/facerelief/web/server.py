"""The server: its parts put together, its socket, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from facerelief.web.answers import Desk
from facerelief.web.api import create_api
from facerelief.web.door import Door
from facerelief.web.front import Front
from facerelief.web.line import Line
from facerelief.web.settings import Settings

#: Seconds for the head of a request to come, also the next one on a connection: longer than clients
#: keep theirs (often 5), so that no request meets a server that is just closing.
HEAD_SECONDS = 20.0
_FOLDER = "facerelief-serve-"
_CONNECTIONS = 512  # at a time; more are answered 503 at once
_SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]


class Application:
    """All that is served, as one ASGI application, and what it holds.

    Its folder, where the page's uploads lie, is made when it is made, and removed by `close`.
    """

    def __init__(self, settings: Settings, page: bool = True) -> None:
        self.settings = settings
        self.line = Line(settings.workers, settings.waiting, settings.per_client)
        self.desk = Desk(settings)
        self.folder: Path | None = None
        api, blocks = create_api(settings, self.desk, self.line), None
        if page:
            from facerelief.web.page import create_page  # Gradio takes seconds

            self.folder = _own_folder()
            blocks = create_page(settings, self.desk, self.line, self.folder)
        self.front = Front(api, blocks, self.folder, settings)
        self._app = Door(self.front, settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """Nothing that waits for the end shall hold it up."""
        self.front.stop()

    def close(self) -> None:
        self.line.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _own_folder() -> Path:
    """A new one, that only we may enter; those of servers that were killed are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        process = old.name.removeprefix(_FOLDER).partition("-")[0]
        if process.isdigit() and not _lives(int(process)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))


def _lives(process: int) -> bool:
    if os.name != "posix":  # where asking is ending it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound already; port 0 is any free one. Raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind)
    try:
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


def serve(application: Application, at: socket.socket, begun: Callable[[], None]) -> None:
    """Answer at a socket until SIGTERM or Control-C, then finish what has begun.

    `begun` is called when it answers.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # tells of every broken body
    config = uvicorn.Config(
        application,
        http=_Patient,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=int(HEAD_SECONDS) + 1,
        timeout_graceful_shutdown=int(application.settings.max_seconds) + 5,
    )
    try:
        _Server(config, application.stop, begun).run([at])
    finally:
        application.close()


class _Server(uvicorn.Server):
    """Ends in peace when it is told to; uvicorn's own would send itself the signal once more."""

    def __init__(
        self, config: uvicorn.Config, stop: Callable[[], None], begun: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._stop, self._begun = stop, begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._begun()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT  # twice: at once
        self.should_exit = True


class _Patient(H11Protocol):
    """Gives up a connection whose next request has not begun for a while, however it drips."""

    _given_up: asyncio.TimerHandle | None = None
    _seen: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not self._seen:  # a request's head is whole
            self._seen = self.cycle
            self._forget()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(f"{msg.rstrip('.')}. Send HTTP/1.1, as curl and browsers do.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._forget()
        self._given_up = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _forget(self) -> None:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
