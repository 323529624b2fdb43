"""The figures of docs/model_card.md: blocks of Markdown made from what the benchmarks measured.

They describe whatever network "default" names, and compare it with the others of the catalogue.
`tables.rewrite` puts them between the card's markers.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from facerelief import catalogue
from facerelief.evaluate import PROTOCOLS
from facerelief.evaluate.report import table

MISSING = "Not measured yet: `python benchmarks/accuracy.py`."

_BLOCK = re.compile(r"(<!-- card: (\w+): begin -->\n).*?(<!-- card: \2: end -->)", re.DOTALL)


def blocks(
    yaleb: dict[str, Any] | None, basel: dict[str, Any] | None, groups: dict[str, Any] | None
) -> dict[str, str]:
    """Every block by its name in the card; arguments are the results of the three protocols."""
    name = catalogue.default()
    return {
        "facts": facts(catalogue.find(name)),
        "systems": systems(yaleb, basel) if yaleb and basel else MISSING,
        "people": people(yaleb, name) if _has(yaleb, name) else MISSING,
        "light": light(yaleb, name) if _has(yaleb, name) else MISSING,
        "pose": pose(basel, name) if _has(basel, name) else MISSING,
        "groups": of_groups(groups, name) if _has(groups, name) else MISSING,
    }


def with_blocks(card: str, made: dict[str, str]) -> str:
    """`card` with the present blocks between its markers.

    Raises ValueError where a block has no place, or a place no block.
    """
    places = [match[2] for match in _BLOCK.finditer(card)]
    if sorted(places) != sorted(made):
        raise ValueError(f"the model card has places for {places}, not for {list(made)}")
    return _BLOCK.sub(lambda match: f"{match[1]}{made[match[2]].strip()}\n{match[3]}", card)


def facts(entry: catalogue.Entry) -> str:
    """What the default is."""
    rows = [
        ("Name", f"`{entry.name}`"),
        ("System", f"{entry.system}, preset {entry.preset}"),
        ("Tier", f"**{entry.tier}**"),
        ("Terms of the weights", entry.licence),
        ("Trained on", "; ".join(entry.training_data)),
        ("File", f"`{entry.path.name}`"),
        ("sha256", f"`{entry.sha256}`"),
    ]
    lines = ["|  |  |", "| :--- | :--- |"]
    return "\n".join([*lines, *(f"| {what} | {value} |" for what, value in rows)])


def systems(yaleb: dict[str, Any], basel: dict[str, Any]) -> str:
    """The catalogue, and what it stands beside."""
    default = catalogue.default()
    tiers = {entry.name: entry.tier for entry in catalogue.entries()}
    floors = [*basel["floors"], yaleb["floor"]]
    names = list(dict.fromkeys([default, *tiers, *yaleb["systems"], *basel["systems"]]))
    rows = []
    for name in names:
        on_yale = yaleb["systems"].get(name, {}).get("pooled")
        parts = [basel["systems"].get(name, {}).get(part) for part in ("random", "yaw")]
        note = " (default)" if name == default else " (floor)" if name in floors else ""
        means = [degrees(figures) for figures in (on_yale, *parts)]
        rows.append([f"`{name}`{note}", str(tiers.get(name, "–")), *means])
    return table(["System", "Tier", "Yale B", "Scans, random axes", "Scans, yaw to ±60°"], rows)


def people(yaleb: dict[str, Any], name: str) -> str:
    """By person of Extended Yale B, beside the floor."""
    system, floor = yaleb["systems"][name], yaleb["systems"][yaleb["floor"]]
    rows = [
        [
            person,
            f"{figures['images']}",
            f"{figures['mean']:.1f} ± {figures['std']:.1f}",
            *(f"{figures['within'][limit]:.0f} %" for limit in ("20", "30")),
            degrees(floor["people"][person]),
        ]
        for person, figures in system["people"].items()
    ]
    headings = ["Person", "Photographs", "Mean ± std", "< 20°", "< 30°", "Mean map (floor)"]
    return table(headings, rows)


def light(yaleb: dict[str, Any], name: str) -> str:
    """By the light's angle off the camera axis, and by where it stands."""
    system = yaleb["systems"][name]
    subsets = system["subsets"]
    off_axis = table(
        ["Lights off the camera axis", *subsets],
        [["Mean error", *(degrees(figures) for figures in subsets.values())]],
    )
    grid = system.get("lights", [])  # not among the figures of before
    rows = []
    for span, cells in groupby(grid, key=lambda cell: cell["elevation"]):
        shown = [
            f"{cell['mean']:.1f} ({cell['images']})" if cell["images"] else "–" for cell in cells
        ]
        rows.append([f"elevation {_span(span)}", *shown])
    if not rows:
        return off_axis
    azimuths = list(dict.fromkeys(_span(cell["azimuth"]) for cell in grid))
    return f"{off_axis}\n\n{table(['S1 to S4', *(f'azimuth {a}' for a in azimuths)], rows)}"


def pose(basel: dict[str, Any], name: str) -> str:
    """By yaw, by angle about a random axis and by light, beside what knows the pose already."""
    names = [name, *(n for n in basel["systems"] if n in (*basel["floors"], "mediapipe"))]

    def by(title: str, *path: str) -> str:
        found = []
        for system in names:
            figures = basel["systems"][system]
            for key in path:
                figures = figures[key]
            found.append(figures)
        rows = [
            [f"`{n}`", *(degrees(one) for one in f.values())]
            for n, f in zip(names, found, strict=True)
        ]
        return table([title, *found[0]], rows)

    return "\n\n".join(
        [by("Yaw", "poses", "yaw"), by("Random axes", "poses", "random"), by("Light", "lights")]
    )


def of_groups(groups: dict[str, Any], name: str) -> str:
    """The default's groups alone."""
    return PROTOCOLS["groups"].table({**groups, "systems": {name: groups["systems"][name]}})


def degrees(figures: dict[str, Any] | None) -> str:
    """A mean error, where there is one."""
    return "–" if not figures or figures["mean"] is None else f"{figures['mean']:.1f}°"


def _has(results: dict[str, Any] | None, name: str) -> bool:
    return results is not None and name in results["systems"]


def _span(ends: list[float]) -> str:
    return f"{ends[0]}° to {ends[1]}°"
