"""`facerelief serve` as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import facerelief

PATIENCE = 120  # seconds: other tests may keep the processor busy


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

    def worked(self) -> float:
        """Processor seconds until now, of Linux."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

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
