"""The server as a process: what it survives, what it leaves, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import facerelief

pytest.importorskip("uvicorn", reason="needs the extra web")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
PATIENCE = 120


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    address: str

    @property
    def place(self) -> tuple[str, int]:
        host, port = self.address.removeprefix("http://").split(":")
        return host, int(port)

    def health(self) -> dict[str, dict[str, int]]:
        return httpx.get(f"{self.address}/health", timeout=PATIENCE).json()

    def until(self, key: str, value: int) -> None:
        """Until the queue says so."""
        end = time.monotonic() + PATIENCE
        while self.health()["queue"][key] != value:
            assert time.monotonic() < end
            time.sleep(0.02)

    def post(self, path: str, photo: bytes) -> httpx.Response:
        files = {"photo": ("me.jpg", photo)}
        return httpx.post(f"{self.address}/v1/{path}", files=files, timeout=PATIENCE)


@contextmanager
def serving(*options: str, folder: Path | None = None) -> Iterator[Server]:
    command = [sys.executable, "-m", "facerelief", "serve", "--port", "0", "--threads", "1"]
    paths = str(Path(facerelief.__file__).parents[1])
    more = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    if folder is not None:
        more["TMPDIR"] = str(folder)
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            address = re.match(r"http://\S+", first)
            assert address, first + (process.stderr.read() if process.stderr else "")
            yield Server(process, address[0])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_has_begun_and_ends_in_peace(number: signal.Signals, photo: bytes) -> None:
    with serving("--no-page") as server, ThreadPoolExecutor(1) as pool:
        expected = server.post("mesh", photo).content
        running = pool.submit(server.post, "mesh", photo)
        server.until("working", 1)
        server.process.send_signal(number)
        assert running.result().content == expected
        assert server.process.wait(PATIENCE) == 0
        assert server.process.stderr is not None and server.process.stderr.read() == ""
        with pytest.raises(httpx.ConnectError):
            server.health()


def test_whoever_leaves_gives_up_the_place(photo: bytes) -> None:
    with serving("--no-page", "--max-waiting", "2") as server:
        kind = "multipart/form-data; boundary=b"
        body = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        body += photo + b"\r\n--b--\r\n"
        head = f"POST /v1/all HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        callers = []
        for waiting in range(3):
            caller = socket.create_connection(server.place)
            caller.sendall(head.encode() + body)
            callers.append(caller)
            server.until("working", 1)
            server.until("waiting", waiting)
        full = server.post("normals", photo)
        assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1
        assert "Try again in" in full.json()["detail"]
        for caller in callers:
            caller.close()
        server.until("waiting", 0)
        assert server.post("normals", photo).status_code == 200


def test_slow_and_silent_clients_are_given_up(photo: bytes) -> None:
    with serving("--no-page", "--upload-seconds", "1", "--max-uploads", "2") as server:
        head = b"POST /v1/normals HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; "
        head += b"boundary=b\r\nContent-Length: 100000\r\n\r\n"
        slow = [socket.create_connection(server.place) for _ in range(2)]
        for one in slow:
            one.sendall(head + b"--b\r\n")
        end = time.monotonic() + PATIENCE
        while server.post("normals", photo).status_code == 200:  # before both were heard
            assert time.monotonic() < end
        for one in slow:
            one.settimeout(PATIENCE)
            said = one.recv(10_000)
            assert said.startswith(b"HTTP/1.1 408") and b"faster connection" in said
            one.close()
        assert server.post("normals", photo).status_code == 200


def test_a_body_that_is_too_large_is_refused_while_it_comes(photo: bytes) -> None:
    with serving("--no-page", "--max-megabytes", "1") as server:
        for sent in (bytes(3_000_000), bytes(30_000_000)):
            try:
                refused = server.post("normals", sent)
            except httpx.TransportError:  # of far more than is allowed the rest is not waited for
                assert len(sent) > 4_000_000
                continue
            assert refused.status_code == 413 and "1 MB" in refused.json()["detail"]
        assert server.post("normals", photo).status_code == 200


def test_one_client_cannot_take_all_places(photo: bytes) -> None:
    with serving("--no-page", "--max-per-client", "1") as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.post, "mesh", photo)
        server.until("working", 1)
        refused = server.post("normals", photo)
        assert refused.status_code == 429 and "retry-after" in refused.headers
        assert running.result().status_code == 200


def test_a_killed_server_s_uploads_are_removed_by_the_next(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    upload = {"files": ("me.jpg", b"face", "image/jpeg")}
    with serving(folder=tmp_path) as server:
        kept = httpx.post(f"{server.address}/gradio_api/upload", files=upload, timeout=PATIENCE)
        assert Path(kept.json()[0]).read_bytes() == b"face"
        server.process.kill()
        server.process.wait()
    assert list(tmp_path.rglob("me.jpg"))
    with serving(folder=tmp_path) as server:
        assert not list(tmp_path.rglob("me.jpg"))
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "facerelief", "serve", "--no-page", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert port in done.stderr and tempfile.gettempdir() not in done.stderr
