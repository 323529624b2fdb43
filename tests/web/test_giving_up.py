"""Whoever leaves, or waits for too long, does not keep a worker: it ends before its next step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from facerelief import runtime
from facerelief.giving_up import GivenUp, wanted_while
from facerelief.web.server import Application
from facerelief.web.settings import Settings

PATIENCE = 60.0  # seconds
BODY = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n%s\r\n--b--\r\n'


class SlowNetworks:
    """In the place of the networks' passes: each takes until `go_on` is set."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.passes = Event(), Event(), 0
        self._run = runtime._run

    def __call__(self, *arguments: Any) -> Any:
        self.passes += 1
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return self._run(*arguments)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowNetworks:
    networks = SlowNetworks()
    monkeypatch.setattr(runtime, "_run", networks)
    return networks


@contextmanager
def serving(**more: Any) -> Iterator[Application]:
    application = Application(Settings(systems=("default",), threads=1, **more), page=False)
    try:
        yield application
    finally:
        application.close()


async def visit(application: Application, path: str, photo: bytes, leaves: Event) -> int | None:
    """The status that a visitor hears who leaves at an event, if one comes before."""
    content = BODY % photo
    heads = [(b"content-type", b"multipart/form-data; boundary=b")]
    heads.append((b"content-length", str(len(content)).encode()))
    sent = iter([{"type": "http.request", "body": content, "more_body": False}])
    heard: list[int] = []

    async def receive() -> dict[str, Any]:
        for message in sent:
            return message
        while not leaves.is_set():
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            heard.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": heads,
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await application(scope, receive, send)
    return heard[0] if heard else None


async def is_free(application: Application) -> None:
    async def until() -> None:
        while application.line.state()["working"]:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(until(), PATIENCE)


@pytest.mark.parametrize("path", ["/v1/view", "/v1/all"])
def test_the_pass_at_which_a_client_leaves_is_the_last(
    path: str, slow: SlowNetworks, astronaut: Path
) -> None:
    photo, leaves = astronaut.read_bytes(), Event()

    async def scene(application: Application) -> None:
        visitor = asyncio.create_task(visit(application, path, photo, leaves))
        assert await asyncio.to_thread(slow.begun.wait, PATIENCE)
        leaves.set()
        assert await visitor == 499
        assert application.line.state()["working"] == 1  # a pass of a network is never cut short
        slow.go_on.set()
        await is_free(application)
        assert slow.passes == 1
        # The worker has taken no harm: whoever stays is answered.
        assert await visit(application, "/v1/normals", photo, Event()) == 200
        assert slow.passes == 2

    with serving() as application:
        asyncio.run(scene(application))


def test_what_takes_too_long_is_not_gone_on_with(slow: SlowNetworks, astronaut: Path) -> None:
    async def scene(application: Application) -> None:
        assert await visit(application, "/v1/all", astronaut.read_bytes(), Event()) == 504
        slow.go_on.set()
        await is_free(application)
        assert slow.passes <= 1  # none, where the search alone has taken so long

    with serving(max_seconds=2.0) as application:
        asyncio.run(scene(application))


def test_every_step_may_be_the_last(astronaut: Path) -> None:
    """The search, a network, a picture: nothing takes giving up for a part that has failed."""
    photo, last = astronaut.read_bytes(), 8
    with serving() as application:
        for step in range(last + 1):
            left = iter([True] * step + [False])
            with pytest.raises(GivenUp), wanted_while(left.__next__):
                application.desk.all(photo, "casfne_compact")
            assert not list(left)
