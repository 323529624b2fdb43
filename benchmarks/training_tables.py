"""Tables of what trainings brought: seeds, samples, ingredients, the papers' ablations."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from facerelief.evaluate.report import number, table


def seeds_markdown(systems: dict[str, Any]) -> str:
    """A line for systems that were trained with several seeds, NAME_s0, NAME_s1 and so on."""
    trained: dict[str, list[dict[str, Any]]] = {}
    for label, system in systems.items():
        if seeded := re.fullmatch(r"(.+)_s\d+", label):
            trained.setdefault(seeded[1], []).append(system)

    def cell(figures: list[float]) -> str:
        return f"{np.mean(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"

    rows = [
        [
            name,
            str(len(runs)),
            cell([run["yaleb"]["pooled"]["mean"] for run in runs]),
            cell([run["yaleb"]["subsets"]["S5"]["mean"] for run in runs]),
            *(cell([run[part]["mean"] for run in runs]) for part in ("random", "yaw")),
        ]
        for name, runs in trained.items()
        if len(runs) > 1
    ]
    if not rows:
        return ""
    headings = ["Trained", "Seeds", "Yale B, S1 to S4", "S5", "Scans, random axes", "Scans, yaw"]
    return f"""\
Mean angular error in degrees over all seeds, in brackets the best and the worst of them.

{table(headings, rows)}

"""


def learning_curve_markdown(rows: list[dict[str, Any]]) -> str:
    """What was tried, after how many samples, and what came out of it."""
    cells = (
        [r["what"], f"{r['samples']:,}", str(r["size"]), number(r["val"]), number(r["test"])]
        for r in rows
    )
    headings = ["What", "Samples", "Pixels", "Validation", "Test"]
    return f"Mean angular error in degrees, S1 to S4 pooled.\n\n{table(headings, cells)}\n"


def ablation_markdown(lines: list[dict[str, Any]]) -> str:
    """What each training is worth, and how far it is from the first."""
    return f"""\
Mean angular error in degrees on people never seen: photographs of Extended Yale B (S1 to S4) and \
renderings of real scans; in brackets the difference from the first line.

{differences(lines)}
"""


def papers_markdown(systems: dict[str, Any]) -> str:
    """The papers' ablations, a table a system under its command."""
    tables = (
        f"`python benchmarks/papers.py {name} --samples {measured['samples']}`\n\n"
        f"{differences(measured['lines'])}\n"
        for name, measured in systems.items()
    )
    return f"""\
Mean angular error in degrees, as above; compact presets at 128 pixels, each variant trained with \
as many samples in all.

{chr(10).join(tables)}"""


def differences(lines: list[dict[str, Any]]) -> str:
    """A table of trainings, each with its difference from the first."""
    first = lines[0]

    def cell(line: dict[str, Any], key: str) -> str:
        value = line[key]
        if value is None:
            return "–"
        apart = line is not first and not line["floor"]
        return f"{value:.2f} ({value - first[key]:+.2f})" if apart else f"{value:.2f}"

    rows = (
        [
            f"{line['what']} (floor)" if line["floor"] else line["what"],
            *(cell(line, key) for key in ("yaleb", "random", "yaw")),
        ]
        for line in lines
    )
    return table(["Trained with", "Yale B", "Scans, random axes", "Scans, yaw to ±60°"], rows)
