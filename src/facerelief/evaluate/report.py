"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from facerelief.evaluate.metrics import THRESHOLDS


def yaleb_markdown(results: dict[str, Any]) -> str:
    """The results of `run_yaleb`: one table of everything pooled, one by subset, one by person."""
    systems = {_label(name, results): system for name, system in results["systems"].items()}
    subsets = list(next(iter(systems.values()))["subsets"])
    headings = ["Mean ± std", "Median", *(f"< {t:g}°" for t in THRESHOLDS), "Coverage", "Ranking"]

    def means(group: str, names: Sequence[str]) -> str:
        rows = (
            [label, *(_number(system[group][name]["mean"]) for name in names)]
            for label, system in systems.items()
        )
        return table(["System", *names], rows)

    return f"""\
Extended Yale B, {results["split"]} people ({len(results["people"])}, {results["photographs"]} \
photographs): angular error in degrees, S1 to S4 pooled. Ranking is that of the expected error: 0 \
orders pixels like the true error, 1 like chance.

{table(["System", *headings], ([label, *_cells(s["pooled"])] for label, s in systems.items()))}

Mean by subset: lights up to 12, 25, 50 and 77 degrees off the camera axis, and beyond.

{means("subsets", subsets)}

Mean by person, S1 to S4.

{means("people", results["people"])}
"""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    rule = [":---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def _label(name: str, results: dict[str, Any]) -> str:
    return f"{name} (floor)" if name == results["floor"] else name


def _cells(figures: dict[str, Any]) -> list[str]:
    expected = figures["expected_error"]
    return [
        f"{_number(figures['mean'])} ± {_number(figures['std'])}",
        _number(figures["median"]),
        *(_percent(figures["within"][f"{limit:g}"]) for limit in THRESHOLDS),
        _percent(figures["coverage"]),
        _number(None if expected is None else expected["ranking"]),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"
