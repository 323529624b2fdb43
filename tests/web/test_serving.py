"""The server as a process: what it survives, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

pytest.importorskip("uvicorn", reason="needs the extra web")

from facerelief.web import server as servers
from serving import PATIENCE, Server, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
HEAD = "POST /v1/{} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
HEAD += "Content-Length: {}\r\n\r\n"


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """Takes little at a time."""
    options = ["--upload-seconds", "3", "--max-uploads", "2", "--max-megabytes", "1"]
    with serving("--no-page", "--max-per-client", "1", *options) as server:
        yield server


def test_whoever_leaves_gives_up_the_place_and_what_has_begun_is_finished(photo: bytes) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    body += photo + b"\r\n--b--\r\n"
    with serving("--no-page", "--max-waiting", "2") as server, ThreadPoolExecutor(1) as pool:
        expected = server.post("mesh", photo).content
        callers = []
        for waiting in range(3):
            caller = socket.create_connection(server.place)
            caller.sendall(HEAD.format("view", len(body)).encode() + body)
            callers.append(caller)
            server.until("working", 1)
            server.until("waiting", waiting)
        full = server.post("normals", photo)
        assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1
        assert "Try again in" in full.json()["detail"]
        for caller in callers:
            caller.close()
        server.until("waiting", 0)
        server.until("working", 0)
        running = pool.submit(server.post, "mesh", photo)
        server.until("working", 1)
        server.process.send_signal(signal.SIGTERM)
        assert running.result().content == expected
        assert server.process.wait(PATIENCE) == 0
        assert server.process.stderr is not None and server.process.stderr.read() == ""
        with pytest.raises(httpx.ConnectError):
            server.health()


def test_a_body_that_is_too_large_is_refused_while_it_comes(narrow: Server, photo: bytes) -> None:
    for sent in (bytes(3_000_000), bytes(30_000_000)):
        try:
            refused = narrow.post("normals", sent)
        except httpx.TransportError:  # of far more than is allowed the rest is not waited for
            assert len(sent) > 4_000_000
            continue
        assert refused.status_code == 413 and "1 MB" in refused.json()["detail"]
    assert narrow.post("normals", photo).status_code == 200


def test_one_client_cannot_take_all_places(narrow: Server, photo: bytes) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(narrow.post, "mesh", photo)
        narrow.until("working", 1)
        refused = narrow.post("normals", photo)
        assert refused.status_code == 429 and "retry-after" in refused.headers
        assert running.result().status_code == 200


def test_slow_and_silent_clients_are_given_up(narrow: Server, photo: bytes) -> None:
    slow = [socket.create_connection(narrow.place) for _ in range(2)]
    for one in slow:
        one.sendall(HEAD.format("normals", 100_000).encode() + b"--b\r\n")
    end = time.monotonic() + PATIENCE
    while (answer := narrow.post("normals", photo)).status_code == 200:  # before both were heard
        assert time.monotonic() < end
    assert answer.status_code == 503 and "Try again" in answer.json()["detail"]
    for one in slow:
        one.settimeout(PATIENCE)
        said = b""
        while more := one.recv(10_000):  # the head may come apart from the body
            said += more
            if said.endswith(b"}"):
                break
        assert said.startswith(b"HTTP/1.1 408") and b"faster connection" in said
        one.close()
    assert narrow.post("normals", photo).status_code == 200


def test_control_c_is_a_good_end(narrow: Server) -> None:
    narrow.process.send_signal(signal.SIGINT)
    assert narrow.process.wait(PATIENCE) == 0


def test_a_killed_server_s_uploads_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    left = tmp_path / f"facerelief-serve-{dead.pid}-x"
    left.mkdir()
    (left / "me.jpg").write_bytes(b"face")
    own = servers._own_folder()
    assert own.parent == tmp_path and not left.exists()
    assert own.stat().st_mode & 0o777 == 0o700
    assert servers._own_folder() != own and own.exists()  # whose server is alive


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "facerelief", "serve", "--no-page", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and port in done.stderr
