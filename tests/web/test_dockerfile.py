"""The Dockerfile's steps in a fresh folder, by an ordinary user who may write to one place only.

Docker itself is not asked for: what is copied is copied, the command is run as that user, in the
environment that the file sets. Its packages are those of this environment, not installed anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

pytest.importorskip("gradio", reason="needs the extra web")

ROOT = Path(__file__).parents[2]
USER = 65534  # nobody


def steps() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]  # type: ignore[misc]


def copied(folder: Path) -> None:
    """What COPY takes, of what .dockerignore lets through."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    for word, text in steps():
        if word != "COPY":
            continue
        *sources, place = text.split()
        for source in sources:
            assert any(fnmatch(source, pattern) for pattern in allowed), source
            if (ROOT / source).is_dir():
                skip = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, folder / place, ignore=skip)
            else:
                shutil.copy(ROOT / source, folder / place)


def command() -> list[str]:
    words = {word: text for word, text in steps()}
    return [*json.loads(words["ENTRYPOINT"]), *json.loads(words["CMD"])]


def test_it_says_who_may_do_what() -> None:
    words = [word for word, _ in steps()]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(steps())["USER"] != "root"
    assert "[web]" in next(text for word, text in steps() if text.startswith("pip install"))
    assert not re.search(r"curl|wget|ADD http", (ROOT / "Dockerfile").read_text())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to leave it"
)
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_it_works_as_an_ordinary_user_on_what_is_not_its_own(
    tmp_path: Path, astronaut: Path
) -> None:
    copied(tmp_path)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in tmp_path.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o755)
    writable = Path(tmp_path.parent / "writable")
    writable.mkdir()
    os.chown(writable, USER, USER)
    program, *rest = command()
    assert program == "facerelief"
    host = rest.index("0.0.0.0")
    rest[host] = "127.0.0.1"  # a container has a network of its own
    rest[rest.index("7860")] = "0"
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
    nothing = ["--inh-caps=-all", "--bounding-set=-all"]
    # Where this Python lies in a folder of root's own, the user may read there, but not write.
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    said = dict(part.split("=", 1) for part in shlex.split(dict(steps())["ENV"]))
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    environment = {**kept, **said, "HOME": str(writable), "TMPDIR": str(writable)}
    environment |= {"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}
    trial = [sys.executable, "-c", "import typer, facerelief"]  # both environments
    for rights in (nothing, reading):
        if not subprocess.run([*become, *rights, *trial], env=environment, cwd=writable).returncode:
            break
    else:
        pytest.skip("an ordinary user may not read this Python")
    become += rights
    with subprocess.Popen(
        [*become, sys.executable, "-m", "facerelief", *rest],
        stdout=subprocess.PIPE,
        text=True,
        cwd=writable,
        env=environment,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line, "it ended, and said why on stderr"
            address = line.split()[0]
            fields = dict(
                line.split(":", 1)
                for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
            )
            assert fields["Uid"].split() == [str(USER)] * 4
            assert int(fields["CapEff"], 16) == (0 if rights is nothing else 1 << 2)
            files = {"photo": ("me.jpg", astronaut.read_bytes())}
            answer = httpx.post(f"{address}/v1/normals", files=files, timeout=120)
            assert answer.status_code == 200 and answer.content.startswith(b"\x89PNG")
            assert httpx.get(address, timeout=120).status_code == 200
            server.terminate()
            assert server.wait(120) == 0
        finally:
            server.kill()
    own = [path for path in writable.rglob("*") if path.suffix in (".jpg", ".png", ".npy")]
    assert not own, own
