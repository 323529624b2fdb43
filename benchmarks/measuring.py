"""Clocks and counters for the benchmarks, and what machine they run on. Linux."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from facerelief.cli.common import cores

# Starts a program from a process of its own: a child's peak memory begins with its parent's.
LAUNCHER = """
import json, os, sys, time
null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=null)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
print(json.dumps([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def launch(*command: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MB of a program. Raises RuntimeError."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], capture_output=True, text=True, check=True
    )
    status, seconds, work, memory = json.loads(done.stdout)
    if status:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return seconds, work, memory


def in_turns(runs: Sequence[Callable[[], Any]], repeats: int) -> list[list[float]]:
    """Seconds of each of `runs`, one repetition of all after the other; three to warm up."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(-3, repeats):
        for run, own in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            if repeat >= 0:
                own.append(time.perf_counter() - began)
    return times


def processor_seconds(run: Callable[..., Any], *arguments: Any) -> float:
    began = time.process_time()
    run(*arguments)
    return time.process_time() - began


def busy_cores(seconds: float = 1.0) -> float | None:
    """How many cores other processes keep busy, while this one sleeps; None if unknown."""

    def counters() -> np.ndarray:
        return np.array(Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9], float)

    if not Path("/proc/stat").exists():
        return None
    before = counters()
    time.sleep(seconds)
    spent = counters() - before
    idle = spent[3:5].sum()  # and waiting for disks
    return round(float(1 - idle / spent.sum()) * (os.cpu_count() or 1), 2)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": cores(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def chromium_seconds(kind: str, profile: str) -> list[float]:
    """Processor seconds until now of the processes of a kind (renderer, gpu-process) of the
    browser with this profile, all threads of each."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if f"--type={kind}".encode() in command and profile.encode() in command:
            found.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return found
