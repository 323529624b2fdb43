"""A run that is killed anywhere, and started again: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch_runs import MAIN, environment, files, photos_of

KILLS = int(os.environ.get("FACERELIEF_KILLS", "4"))  # of each sink: `make kills` has 40
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")


def lines(out: Path) -> int:
    book = out / "manifest.jsonl"
    return book.read_bytes().count(b"\n") if book.exists() else 0


@pytest.mark.parametrize("to", ["folder", "parquet"])
def test_whenever_it_is_killed_it_goes_on_where_it_was(
    to: str, tiny: Path, crops: Path, tmp_path: Path
) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow")
    words = [crops, "--to", to, "--part", 2, "--system", tiny, "--crops", "--threads", 2, "-o"]

    def command(out: Path) -> list[str]:
        return [*MAIN, *map(str, words), str(out)]

    whole = tmp_path / "whole"
    subprocess.run(command(whole), check=True, env=environment(), stdout=subprocess.DEVNULL)
    draw, killed, out, round_ = random.Random(to), 0, tmp_path / "out-0", 0
    while killed < KILLS:
        before = lines(out)
        running = subprocess.Popen(
            command(out), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        # Now and then before it has done anything, else behind some lines and a moment more.
        more = draw.choice((0, 1, 2, 4))
        while running.poll() is None and lines(out) < before + more:
            time.sleep(0.0005)
        time.sleep(draw.uniform(0, 0.03) if more else draw.uniform(0, 1.5))
        running.send_signal(signal.SIGKILL)
        _, errors = running.communicate()
        assert running.returncode in (0, -signal.SIGKILL), errors
        killed += running.returncode == -signal.SIGKILL
        # What the books say is done is there, as the uninterrupted run has it.
        made, expected = files(out), files(whole)
        shown = {name: data for name, data in made.items() if ".tmp" not in name}
        assert shown.items() <= expected.items()
        done = [one for one in photos_of(out) if one[1] == "done"]
        assert len(done) == len(set(done))
        if to == "folder":
            assert {f"{key}_0_normal.png" for key, _, _ in done} <= shown.keys()
        if running.returncode == 0:  # it was done: from the start again
            round_ += 1
            out = tmp_path / f"out-{round_}"
    last = subprocess.run(command(out), env=environment(), capture_output=True, text=True)
    assert last.returncode == 0 and not last.stderr
    assert files(out) == files(whole)
    assert photos_of(out) == photos_of(whole) and len(photos_of(out)) == 30
    heads = [
        line for line in (out / "manifest.jsonl").read_text().splitlines() if "settings" in line
    ]
    assert len(heads) == 1 and json.loads(heads[0])["settings"]["to"] == to


def test_control_c_ends_it_in_one_line(tiny: Path, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [*MAIN, str(crops), "-o", str(out), "--system", str(tiny), "--crops", "--part", "1"]
    running = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    while running.poll() is None and lines(out) < 3:
        time.sleep(0.001)
    running.send_signal(signal.SIGINT)
    errors = running.communicate()[1]
    if running.returncode != 0:
        assert running.returncode == 130 and errors.startswith("facerelief: interrupted")
        assert len(errors.splitlines()) == 1
    subprocess.run(words, env=environment(), check=True, stdout=subprocess.DEVNULL)
    assert len(photos_of(out)) == 30
