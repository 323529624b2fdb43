"""What the protocols' Markdown tables are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from facerelief.evaluate.bands import BANDS, FINE, SPLIT
from facerelief.evaluate.metrics import THRESHOLDS


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    rule = [":---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def labelled(systems: dict[str, Any], floors: Sequence[str]) -> dict[str, Any]:
    """The systems by what a table calls them."""
    return {f"{n} (floor)" if n in floors else n: system for n, system in systems.items()}


def within(figures: Any, path: Iterable[str]) -> Any:
    """What lies in nested dicts under the keys of `path`."""
    for key in path:
        figures = figures[key]
    return figures


def pooled(systems: dict[str, Any], *path: str) -> str:
    """Everything about a group of images of each system, one row each."""
    limits = [f"< {limit:g}°" for limit in THRESHOLDS]
    headings = ["System", "Mean ± std", "Median", *limits, "Coverage", "Ranking"]
    return table(headings, ([n, *_cells(within(s, path))] for n, s in systems.items()))


def means(systems: dict[str, Any], *path: str, names: Sequence[str] = ()) -> str:
    """The means of the groups `names`, or else all that there are, of each system."""
    groups = {label: within(system, path) for label, system in systems.items()}
    shown = names or list(next(iter(groups.values())))
    rows = (
        [label, *(number(group[name]["mean"]) for name in shown)] for label, group in groups.items()
    )
    return table(["System", *shown], rows)


def band_table(systems: dict[str, Any], where: str, *path: str) -> str:
    """`bands` of each system, after an empty line; nothing where they were not measured."""
    found = {n: within(s, path) for n, s in systems.items() if path[0] in s}
    rows = [[n, *(number(one[key]) for key in BANDS)] for n, one in found.items() if one]
    if not rows:
        return ""
    return f"""
Where the error lies ({where}), by a Gaussian of {SPLIT:g} pixels: that of the estimate's low part \
with the true high one, and of the true low part with the estimate's high one. Then, with all that \
is true under {FINE:g} pixels, that of what the estimate has finer, and of nothing finer at all.

{table(["System", *BANDS.values()], rows)}
"""


def number(value: float | None) -> str:
    """Two decimals."""
    return "–" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """One decimal."""
    return "–" if value is None else f"{value:.1f} %"


def spread(value: dict[str, float] | None, unit: str = "") -> str:
    """What `scores.mean_and_error` found."""
    return "–" if value is None else f"{value['mean']:.2f} ± {value['error']:.2f}{unit}"


def _cells(figures: dict[str, Any]) -> list[str]:
    expected = figures["expected_error"]
    return [
        f"{number(figures['mean'])} ± {number(figures['std'])}",
        number(figures["median"]),
        *(percent(figures["within"][f"{limit:g}"]) for limit in THRESHOLDS),
        percent(figures["coverage"]),
        number(None if expected is None else expected["ranking"]),
    ]
