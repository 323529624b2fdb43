"""schemathesis reads the OpenAPI description, asks for all that it promises, and for more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="needs the extra dev")

HERE = Path(__file__).parents[1]
SECONDS = os.environ.get("FACERELIEF_FUZZ_SECONDS", "40")  # of requests


@pytest.fixture
def address() -> Iterator[str]:
    words = [sys.executable, str(HERE / "web_described.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()
        assert server.wait(60) == 0


def test_the_description_holds(address: str, tmp_path: Path) -> None:
    command = [
        *(
            sys.executable,
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
            "run",
            f"{address}/openapi.json",
        ),
        *("--checks", "all", "--max-examples", "8", "--seed", "1", "--max-time", SECONDS),
        *(
            "--request-timeout",
            "60",
            "--max-response-time",
            "60",
            "--generation-database",
            "none",
            "--no-color",
        ),
    ]
    more = {"SCHEMATHESIS_HOOKS": "web_described", "PYTHONPATH": str(HERE)}
    paths = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **more, "PYTHONPATH": paths},
    )
    told = done.stdout[-6000:] + done.stderr[-2000:]
    assert done.returncode == 0, told
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 100, told
    assert re.search(r"Tested: 9\b", done.stdout), told
