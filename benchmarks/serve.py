"""What does `facerelief serve` do when 200 clients come at once, and what is left after 500 photos?

    OMP_NUM_THREADS=1 python benchmarks/serve.py [--clients N] [--photos N] [--minutes M]

A server of its own on this machine alone. Clients come at the same moment, in four kinds: good
ones, who come again when they are sent away, huge ones, corrupt ones and slow ones. Every good
answer must be the library's, byte for byte; every refusal must be the one that the fault deserves
and say what to do. Then photos follow each other, and the server's memory, files and threads are
counted.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageEnhance
from tables import write

from facerelief.apps import mesh, normals, photos
from facerelief.apps.products import Photo
from facerelief.photo_files import PhotoFile
from facerelief.runtime import load

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
KINDS = ("good", "huge", "corrupt", "slow")
LIMIT = 2_000_000  # bytes of a request
HEAD = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
PATIENCE = 300.0
SEVERAL = 8  # clients at a time of the photos that follow each other


def variants() -> list[bytes]:
    """Different photos of the example's face: no answer can be mistaken for another's."""
    image = Image.open(EXAMPLE).crop((110, 0, 350, 260))
    found = []
    for number in range(6):
        buffer = io.BytesIO()
        changed = ImageEnhance.Brightness(image.rotate(4 * number - 10)).enhance(0.7 + 0.1 * number)
        changed.save(buffer, "JPEG", quality=92)
        found.append(buffer.getvalue())
    return found


def expected(contents: list[bytes]) -> dict[tuple[str, int], bytes]:
    """What the library makes of each photo, by the request's path."""
    estimator, shapes = load(threads=1), load("prnet", threads=1)
    answers = {}
    for number, content in enumerate(contents):
        file = PhotoFile(content)
        photo = Photo(file.read(), "photo", "photo", file)
        search = photos.Search(5)
        made = normals.produce(photo, estimator, normals.Options(search=search)).files
        answers["normals", number] = made["photo_normal.png"]
        glb = mesh.produce(photo, shapes, mesh.Options(texture=256, search=search)).files
        answers["mesh?texture=256", number] = glb["photo.glb"]
    return answers


class Clients:
    """All kinds of them, and what they met."""

    def __init__(self, address: str) -> None:
        self.address, self.photos = address, variants()
        self.expected = expected(self.photos)
        self.met: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.wrong: list[str] = []
        self.seconds: list[float] = []

    async def all_at_once(self, count: int) -> None:
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=PATIENCE, limits=limits) as client:
            calls = [getattr(self, KINDS[n % len(KINDS)])(client, n) for n in range(count)]
            random.Random(0).shuffle(calls)
            await asyncio.gather(*calls)

    async def good(self, client: httpx.AsyncClient, number: int) -> None:
        await self.one(client, *list(self.expected)[number // len(KINDS) % len(self.expected)])

    async def one(self, client: httpx.AsyncClient, path: str, photo: int) -> None:
        """A photo whose answer is known."""
        began = time.monotonic()
        answer = await self._asked("good", client, path, self.photos[photo])
        right = answer.status_code == 200 and answer.content == self.expected[path, photo]
        self._note("good", answer, right)
        self.seconds.append(time.monotonic() - began)

    async def _asked(
        self, kind: str, client: httpx.AsyncClient, path: str, content: bytes
    ) -> httpx.Response:
        """The answer to a photo; who is sent away comes again."""
        until = time.monotonic() + PATIENCE
        while True:
            files = {"photo": ("a.jpg", content)}
            answer = await client.post(f"{self.address}/v1/{path}", files=files)
            if answer.status_code != 503 or time.monotonic() > until:
                return answer
            self.met[kind]["sent away, came again"] += 1
            if not self._is_clear(answer) or int(answer.headers.get("retry-after", 0)) < 1:
                self.wrong.append(f"{kind}: {answer.text[:200]}")
            await asyncio.sleep(3 * random.random())

    async def huge(self, client: httpx.AsyncClient, number: int) -> None:
        """A body far above the limit, of a length told or not; or too many pixels."""
        if number % 3 == 0:
            buffer = io.BytesIO()
            Image.new("1", (7000, 7000)).save(buffer, "PNG")
            await self._refused("huge", client, buffer.getvalue(), 413)
            return

        async def parts() -> Any:
            yield HEAD
            for _ in range(6 * LIMIT // 100_000):
                yield bytes(100_000)
            yield TAIL

        body: Any = HEAD + bytes(3 * LIMIT) + TAIL if number % 3 == 1 else parts()
        try:
            answer = await client.post(
                f"{self.address}/v1/normals", content=body, headers=MULTIPART
            )
        except httpx.TransportError:  # the rest of it was not waited for
            self.met["huge"]["cut off"] += 1
            return
        self._check_refusal("huge", answer, 413)

    async def corrupt(self, client: httpx.AsyncClient, number: int) -> None:
        """Cut, altered, or no picture."""
        good, chance = self.photos[number % len(self.photos)], random.Random(number)
        if number % 3 == 0:
            await self._refused("corrupt", client, good[: len(good) // 2], 422)
        elif number % 3 == 1:
            await self._refused("corrupt", client, chance.randbytes(5000), 415)
        else:
            await self._refused("corrupt", client, good[:40] + chance.randbytes(3000), 415, 422)

    async def slow(self, client: httpx.AsyncClient, number: int) -> None:
        """Drips until it is sent away, or leaves in the middle."""
        leaves = number % 8 > 3

        async def parts() -> Any:
            yield HEAD
            for _ in range(40):
                await asyncio.sleep(0.3)
                yield b"x"

        try:
            answer = await client.post(
                f"{self.address}/v1/normals",
                content=parts(),
                headers=MULTIPART,
                timeout=2 if leaves else PATIENCE,
            )
        except httpx.TransportError:
            self.met["slow"]["left" if leaves else "cut off"] += 1
            return
        self._check_refusal("slow", answer, 408)

    async def _refused(
        self, kind: str, client: httpx.AsyncClient, content: bytes, *statuses: int
    ) -> None:
        answer = await self._asked(kind, client, "normals", content)
        self._check_refusal(kind, answer, *statuses)

    def _check_refusal(self, kind: str, answer: httpx.Response, *statuses: int) -> None:
        """It is one of these, or 503 with a time to come again; either says what to do."""
        right = self._is_clear(answer) and answer.status_code in (503, *statuses)
        if answer.status_code == 503:
            right &= int(answer.headers.get("retry-after", 0)) >= 1
        self._note(kind, answer, right)

    @staticmethod
    def _is_clear(answer: httpx.Response) -> bool:
        if answer.headers.get("content-type") != "application/problem+json":
            return False
        return len(answer.json()["detail"].split(". ")) > 1

    def _note(self, kind: str, answer: httpx.Response, right: bool) -> None:
        self.met[kind][str(answer.status_code)] += 1
        if not right:
            self.wrong.append(f"{kind}: {answer.status_code} {answer.content[:200]!r}")


def counted(process: int, folder: Path) -> dict[str, float]:
    """What a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        "memory_mb": int(fields["VmRSS"].split()[0]) / 1024,
        "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),
        "files": sum(path.is_file() for path in folder.rglob("*")),
    }


async def one_after_the_other(
    clients: Clients, count: int, until: float, count_now: Callable[[], dict[str, float]]
) -> list[dict[str, float]]:
    """Photos, `SEVERAL` at a time; what the server holds after every tenth part of them."""
    done, held = 0, []
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        while done < count and time.monotonic() < until:
            photo = done // SEVERAL % len(clients.photos)
            paths = ["mesh?texture=256"] + (SEVERAL - 1) * ["normals"]
            await asyncio.gather(*(clients.one(client, path, photo) for path in paths))
            done += SEVERAL
            if done // (count // 10) > len(held):
                held.append({"photos": done, **count_now()})
                print(held[-1], flush=True)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=30, help="of photos, at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "facerelief", "serve", "--port", "0", "--threads", "1"]
        command += ["--no-page", "--max-megabytes", str(LIMIT / 1e6), "--upload-seconds", "10"]
        command += ["--max-seconds", "120"]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": folder}
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            clients = Clients(address)
            began = time.monotonic()
            asyncio.run(clients.all_at_once(options.clients))
            crowd = {kind: dict(sorted(met.items())) for kind, met in clients.met.items()}
            took = time.monotonic() - began
            print(crowd, f"{took:.0f} s", clients.wrong, flush=True)
            until = time.monotonic() + 60 * options.minutes
            held = asyncio.run(
                one_after_the_other(
                    clients,
                    options.photos,
                    until,
                    lambda: counted(server.pid, Path(folder)),
                )
            )
            queue = httpx.get(f"{address}/health", timeout=PATIENCE).json()["queue"]
            server.terminate()
            code = server.wait(60)
        finally:
            server.kill()
            server.wait()
    result = {
        "clients": options.clients,
        "crowd": crowd,
        "wrong": clients.wrong,
        "held": held,
        "queue_afterwards": queue,
        "exit": code,
    }
    write("serve", result)
    if clients.wrong or code:
        raise SystemExit("\n".join(clients.wrong) or f"the server ended with {code}")


if __name__ == "__main__":
    main()
