"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from facerelief.evaluate.metrics import THRESHOLDS


def yaleb_markdown(results: dict[str, Any]) -> str:
    """The results of `run_yaleb`: one table of everything pooled, one by subset, one by person."""
    systems = _labelled(results["systems"], [results["floor"]])
    subsets = list(next(iter(systems.values()))["subsets"])

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

{_pooled(systems, "pooled")}

Mean by subset: lights up to 12, 25, 50 and 77 degrees off the camera axis, and beyond.

{means("subsets", subsets)}

Mean by person, S1 to S4.

{means("people", results["people"])}
"""


def basel_markdown(results: dict[str, Any]) -> str:
    """The results of `run_basel`: a table of each part, then by pose, by light and by scan."""
    systems = _labelled(results["systems"], results["floors"])
    counts = results["pictures"]
    first = next(iter(systems.values()))

    def means(*path: str) -> str:
        def group(system: dict[str, Any]) -> dict[str, Any]:
            for key in path:
                system = system[key]
            return system

        names = list(group(first))
        rows = (
            [label, *(_number(group(system)[name]["mean"]) for name in names)]
            for label, system in systems.items()
        )
        return table(["System", *names], rows)

    return f"""\
Renderings of {len(results["scans"])} real scans (Basel): angular error in degrees on the face, \
and the share of pixels below each limit. `posed-mean` is the mean of the other scans in the same \
pose: it knows the pose and nothing of the person.

Turned about random axes by up to 45°, as the papers render the Florence scans: \
{counts["random"]} pictures.

{_pooled(systems, "random")}

Yaws of -60° to 60° under seven lights each: {counts["yaw"]} pictures.

{_pooled(systems, "yaw")}

Mean by yaw (positive turns the face to the subject's left).

{means("poses", "yaw")}

Mean by angle, random axes.

{means("poses", "random")}

Mean by light, all yaws: far lamps at that angle off the camera axis with a little fill, and \
environments.

{means("lights")}

Mean by scan, all pictures.

{means("scans")}
"""


def comparison_markdown(results: dict[str, Any]) -> str:
    """The results of `run_table`: what every system gets right, and what it costs."""
    systems = _labelled(results["systems"], results["floors"])
    subsets = next(list(s["yaleb"]["subsets"]) for s in systems.values() if s["yaleb"])
    limits = ("20", "25", "30")

    def accuracy(figures: dict[str, Any] | None) -> list[str]:
        if figures is None:
            return ["–"] * (1 + len(limits))
        mean = f"{_number(figures['mean'])} ± {_number(figures['std'])}"
        return [mean, *(_percent(figures["within"][limit]) for limit in limits)]

    def cells(system: dict[str, Any]) -> list[str]:
        seen = system["yaleb"]
        means = ["–"] * len(subsets) if seen is None else [
            _number(seen["subsets"][name]["mean"]) for name in subsets
        ]  # fmt: skip
        return [*accuracy(seen and seen["pooled"]), *means]

    def scans(system: dict[str, Any]) -> list[str]:
        return [*accuracy(system["random"]), *accuracy(system["yaw"])]

    costs = {label: s["costs"] for label, s in systems.items() if s["costs"]}
    on_gpu = any(c["gpu_ms"] is not None for c in costs.values())
    cost_rows = (
        [
            label, f"{c['parameters'] / 1e6:.1f} M", f"{c['multiply_accumulates'] / 1e9:.2f} G",
            f"{c['cpu_ms']:.0f}", *([_number(c["gpu_ms"])] if on_gpu else []),
        ]
        for label, c in costs.items()
    )  # fmt: skip
    below = [f"< {limit}°" for limit in limits]
    return f"""\
Photographs of Extended Yale B, test people ({results["photographs"]} photographs): angular error \
in degrees, S1 to S4 pooled, and the mean by subset.

{table(["System", "Mean ± std", *below, *subsets], ([n, *cells(s)] for n, s in systems.items()))}

Renderings of real scans, turned about random axes up to 45° ({results["pictures"]["random"]} \
pictures), then at yaws to ±60° under seven lights ({results["pictures"]["yaw"]} pictures).

{
        table(
            ["System", "Random axes", *below, "Yaw", *below],
            ([n, *scans(s)] for n, s in systems.items()),
        )
    }

What one 256 x 256 crop costs: weights and multiply-accumulates of the exported network, and its \
median time.

{
        table(
            [
                "System",
                "Parameters",
                "Multiply-accumulates",
                "CPU ms",
                *(["GPU ms"] if on_gpu else []),
            ],
            cost_rows,
        )
    }
"""


def robustness_markdown(results: dict[str, Any]) -> str:
    """The results of `run_robustness`: a line a condition, a column a system."""
    systems = _labelled(results["systems"], [results["floor"]])

    def cell(figures: dict[str, Any]) -> str:
        expected = figures["expected_error"]
        missed = 100 * figures["missed"] / max(figures["images"], 1)
        own = "" if expected is None else f" ({expected['mean']:.1f})"
        return f"{_number(figures['mean'])}{own}" + (f", {missed:.0f} % missed" if missed else "")

    names = list(next(iter(systems.values()))["conditions"])
    rows = ([name, *(cell(s["conditions"][name]) for s in systems.values())] for name in names)
    return f"""\
Photographs of Extended Yale B, {results["people"]} test people, lights up to 25 degrees off the \
camera axis unless said, spoiled in one way at a time: angular error in degrees where the face is \
visible, in brackets what the system itself expects there.

{table(["Photograph", *systems], rows)}
"""


def wild_markdown(results: dict[str, Any]) -> str:
    """The results of `run_wild`."""

    def figure(value: dict[str, float] | None, unit: str) -> str:
        return "–" if value is None else f"{value['mean']:.2f} ± {value['error']:.2f}{unit}"

    rows = (
        [
            label,
            figure(system["explained"], " %"),
            figure(system["disagreement"], ""),
            figure(system["expected_error"], ""),
        ]
        for label, system in _labelled(results["systems"], results["floors"]).items()
    )
    headings = ["System", "Brightness explained", "From FaceMesh", "Expected error"]
    return f"""\
{results["photographs"]} photographs that no training has seen, ± standard errors: how much of the \
face's brightness the normals explain under the light that fits best, and in degrees the mean \
angle to FaceMesh's smooth normals, which are no truth, and the error that the network expects.

{table(headings, rows)}
"""


def landmarks_markdown(results: dict[str, Any]) -> str:
    """The results of `run_landmarks`."""

    def percent(value: dict[str, float] | None) -> str:
        return "–" if value is None else f"{value['mean']:.2f} ± {value['error']:.2f}"

    systems = _labelled(results["systems"], results["floors"])
    ranges = list(next(iter(systems.values()))["yaws"])
    rows = (
        [
            label,
            *(percent(system["yaws"][name]) for name in ranges),
            "–" if system["balanced"] is None else f"{system['balanced']:.2f}",
            percent(system["photographs"]),
            percent(system["300w_lp"]),
        ]
        for label, system in systems.items()
    )
    counts = results["faces"]
    headings = [
        "System",
        *(f"Yaw {name}°" for name in ranges),
        "Balanced",
        "Photographs",
        "300W-LP",
    ]
    return f"""\
Mean error of 68 landmarks in percent of the root of their box's area, ± standard errors: \
{counts["renderings"]} rendered heads by yaw and their balanced mean, {counts["photographs"]} \
photographs annotated in 2D, and {counts["300w_lp"]} samples of 300W-LP.

{table(headings, rows)}
"""


def reconstruction_markdown(results: dict[str, Any]) -> str:
    """The results of `run_reconstruction`."""

    def percent(value: dict[str, float] | None) -> str:
        return "–" if value is None else f"{value['mean']:.2f} ± {value['error']:.2f}"

    systems = _labelled(results["systems"], results["floors"])
    yaws = list(next(iter(systems.values()))["yaws"])
    rows = (
        [label, *(percent(system["yaws"][yaw]) for yaw in yaws), percent(system["all"])]
        for label, system in systems.items()
    )
    return f"""\
Distance of the faces of {len(results["scans"])} scans from the meshes found in \
{results["pictures"]} renderings of them, in percent of the distance of the eyes' outer corners, \
± standard errors, by yaw.

{table(["System", *(f"{yaw}°" for yaw in yaws), "All"], rows)}
"""


def groups_markdown(results: dict[str, Any]) -> str:
    """The results of `run_groups`: a table a system, its groups below one another."""

    def degrees(value: dict[str, float] | None) -> str:
        return "–" if value is None else f"{value['mean']:.2f} ± {value['error']:.2f}"

    def row(name: str, group: dict[str, Any]) -> list[str]:
        found = group["detected"]
        share = f"{100 * found['mean']:.1f} ± {100 * found['error']:.1f} %"
        both = (degrees(group[key]) for key in ("expected_error", "disagreement"))
        return [name, f"{group['photographs']:,}", share, *both]

    def groups(system: dict[str, Any]) -> str:
        rows = [row("all", system["all"])]
        for kind in ("age", "sex", "ancestry"):
            rows += [row(f"{kind} {name}", group) for name, group in system[kind].items()]
        headings = ["Group", "Photographs", "Found", "Expected error", "From FaceMesh"]
        return table(headings, rows)

    parts = (f"`{name}`\n\n{groups(system)}" for name, system in results["systems"].items())
    return f"""\
{results["photographs"]:,} photographs with labels ({results["source"]}), ± standard errors: faces \
found, the error that the network itself expects, and the mean angle between its normals and the \
smooth normals of MediaPipe's FaceMesh, both in degrees. None of it is an error against truth.

{chr(10).join(f"{part}{chr(10)}" for part in parts)}"""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    rule = [":---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def _labelled(systems: dict[str, Any], floors: Sequence[str]) -> dict[str, Any]:
    return {f"{n} (floor)" if n in floors else n: system for n, system in systems.items()}


def _pooled(systems: dict[str, Any], key: str) -> str:
    """Everything about `key` of each system, one row each."""
    limits = [f"< {limit:g}°" for limit in THRESHOLDS]
    headings = ["System", "Mean ± std", "Median", *limits, "Coverage", "Ranking"]
    return table(headings, ([label, *_cells(s[key])] for label, s in systems.items()))


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
