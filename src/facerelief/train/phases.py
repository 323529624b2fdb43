"""Run an experiment: ``facerelief train CONFIG``, one phase after the other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from facerelief.catalogue import reason_of
from facerelief.train.config import ConfigError, TrainConfig, load_phases
from facerelief.train.experiment import run_phase


def run(
    config: Path,
    out: Path,
    overrides: list[str] | None = None,
    max_time: timedelta | None = None,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, and leave ``last.ckpt``, ``config.yaml``, logs and pictures in ``out``.

    Each phase of the configuration begins with the weights of the one before and has a folder of
    its own, ``phase1`` and so on, if there are several.

    Args:
        config: a YAML file; overrides: ``key.key=value``.
        max_time: stop cleanly after this long; the learning rate's schedule is fitted into it.
            When resuming, time spent before counts. Phases share it by their pictures' pixels.
        resume: go on from where the run in ``out`` stopped.

    Returns:
        A summary, also written to ``out/summary.json``: samples, seconds, rate, network share,
        last training loss and validation figures; the last phase's, with its samples and seconds
        those of all.

    Raises:
        ConfigError: the configuration cannot be used. FileExistsError: ``out`` holds a training
        and ``resume`` is off.
    """
    phases = load_phases(config, overrides)
    if len(phases) == 1:
        return run_phase(phases[0], out, max_time, resume, progress)
    summaries: list[dict[str, Any]] = []
    for index, phase in enumerate(phases):
        folder = out / f"phase{index + 1}"
        done = folder / "summary.json"
        if resume and done.exists():
            summaries.append(_summary(done))
            continue
        if index:
            before = str(out / f"phase{index}" / "last.ckpt")
            phase = replace(phase, start_from=before, start_parts=None)
        spent = sum(summary["seconds"] for summary in summaries)
        limit = max_time and _share(phases[index:]) * (max_time - timedelta(seconds=spent))
        # Earlier phases may have overrun; every phase sees a batch at least.
        limit = limit and max(limit, timedelta(seconds=1))
        summaries.append(run_phase(phase, folder, limit, resume, progress))
    for name in ("last.ckpt", "config.yaml"):
        shutil.copyfile(out / f"phase{len(phases)}" / name, out / name)
    summary = {
        **summaries[-1],
        "samples": sum(one["samples"] for one in summaries),
        "seconds": round(sum(one["seconds"] for one in summaries), 1),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def _summary(path: Path) -> dict[str, Any]:
    """What an earlier phase left. Raises ConfigError."""
    try:
        summary: dict[str, Any] = json.loads(path.read_text("utf-8"))
        timedelta(seconds=summary["seconds"])
        int(summary["samples"])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ConfigError(f"{path}: not the summary of a phase: {reason_of(error)}") from error
    return summary


def _share(phases: list[TrainConfig]) -> float:
    """Of the first one in the cost of all: samples times pixels."""
    costs = [phase.samples * phase.data.size**2 for phase in phases]
    return costs[0] / sum(costs)
