"""Tables of what was measured: results/*.json to results/*.md, the README and the model card.

    python benchmarks/tables.py

rewrites all of them, the model card's too, without measuring anything; the benchmarks call
`write`, which does the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import card
import numpy as np
from shape_tables import expressions_markdown, prnet_ablation_markdown, schemes_markdown

from facerelief.evaluate.report import (
    basel_markdown,
    comparison_markdown,
    groups_markdown,
    landmarks_markdown,
    reconstruction_markdown,
    robustness_markdown,
    table,
    wild_markdown,
    yaleb_markdown,
)

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
CARD = ROOT / "docs" / "model_card.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

# Degrees, people never seen, S1 to S4 pooled. Networks without a target are not in the README.
ACCURACY_TARGETS = {
    "casfne_compact": 13.0,
    "casfne_compact_yaleb": 10.5,
    "cross_modal_compact": 14.0,
    "fnr2r_compact": 14.0,
}
# Percent of the landmarks' box, by yaw of rendered heads and on photographs.
LANDMARK_TARGETS = {"0 to 30": 2.5, "30 to 60": 3.0, "60 to 90": 4.0}
PHOTOGRAPH_LANDMARK_TARGET = 4.0
SHAPE_TARGETS = (3.0, 4.0)  # percent of the outer corners of the eyes, near the front and at 60°
REGISTRATION_TARGET = 0.5  # mm, mean over the face
CROP_TARGETS = {"centre": 5, "scale": 8}  # medians, % of the crop's side

BUSY = 0.3  # cores that other work may keep busy before a figure is marked

# The README's lines: figures of speed.json by section and name, and how they are called there.
HEADLINES = (
    ("crop", "milliseconds", "Network and post-processing, one 256 x 256 crop"),
    ("crop", "ratio", "The same, over a bare ResNet-18 in the same run"),
    ("process", "seconds", "`facerelief normals`, one 640 x 480 photo, whole process"),
    ("process", "memory", "Its peak memory"),
    ("mesh", "network", "The network of `prnet`, one 256 x 256 crop"),
    ("mesh", "seconds", "`facerelief mesh`, one 640 x 480 photo to a GLB, whole process"),
    ("second", "milliseconds", "A second photo in the same process, files written"),
    ("import", "seconds", "`import facerelief`"),
)


def write(name: str, result: Any) -> None:
    """Keep a measurement as results/NAME.json and rewrite everything that is made of it."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    rewrite()


def rewrite() -> None:
    """Every table in results/, and those of the README and the model card."""
    for name, content in rendered().items():
        (RESULTS / f"{name}.md").write_text(content, "utf-8")
    README.write_text(with_figures(README.read_text("utf-8")), "utf-8")
    CARD.write_text(with_card(CARD.read_text("utf-8")), "utf-8")


def read(name: str) -> Any:
    """A measurement, or None where it has not been made."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def rendered() -> dict[str, str]:
    """The Markdown of every measurement there is, by its name."""
    results = {name: read(name) for name in TABLES}
    return {name: TABLES[name](result) for name, result in results.items() if result is not None}


def with_figures(readme: str) -> str:
    """`readme` with the present figures between its markers.

    Raises ValueError where the markers are missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no {BEGIN} ... {END}")
    names = ("accuracy_yaleb", "accuracy_basel", "landmarks", "reconstruction", "speed")
    made = headlines(*(read(name) for name in names))
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def with_card(page: str) -> str:
    """The model card `page` with the present figures between its markers."""
    names = ("accuracy_yaleb", "accuracy_basel", "groups")
    return card.with_blocks(page, card.blocks(*(read(name) for name in names)))


def headlines(
    photographs: dict[str, Any] | None,
    scans: dict[str, Any] | None,
    marks: dict[str, Any] | None,
    shapes: dict[str, Any] | None,
    speed: dict[str, Any] | None,
) -> str:
    """The README's table."""
    rows: list[list[str]] = []
    for name, system in shown(photographs).items():
        limit = ACCURACY_TARGETS.get(name)
        rows.append(
            [
                f"Mean angular error, photographs of people never seen in training: `{name}`",
                f"{system['pooled']['mean']:.1f}°",
                "" if limit is None else f"at most {limit:g}°",
            ]
        )
    for name, system in shown(scans).items():
        what = f"The same, renderings of real scans turned by up to 45°: `{name}`"
        rows.append([what, f"{system['random']['mean']:.1f}°", ""])
    if marks is not None and "prnet" in marks["systems"]:
        system = marks["systems"]["prnet"]
        found = {
            **{f"rendered heads, yaw {name}°": (system["yaws"][name], limit)
               for name, limit in LANDMARK_TARGETS.items()},
            "photographs": (system["photographs"], PHOTOGRAPH_LANDMARK_TARGET),
        }  # fmt: skip
        for where, (figure, limit) in found.items():
            what = f"68 landmarks, {where}, in % of their box: `prnet`"
            rows.append([what, f"{figure['mean']:.2f} %", f"at most {limit:g} %"])
    if shapes is not None and "prnet" in shapes["systems"]:
        system = shapes["systems"]["prnet"]
        for where, figure, limit in (
            ("yaw up to 20°", system["frontal"], SHAPE_TARGETS[0]),
            ("yaw 60°", system["yaws"]["60"], SHAPE_TARGETS[1]),
        ):
            what = f"Mesh to real scan, {where}, in % of the eyes' distance: `prnet`"
            rows.append([what, f"{figure['mean']:.2f} %", f"at most {limit:g} %"])
    if speed is not None:
        for section, name, what in HEADLINES:
            found = speed["sections"].get(section)
            if found and name in found["figures"]:
                figure = found["figures"][name]
                rows.append([what, measured(figure, found), target(figure)])
    return table(["", "Measured", "Target"], rows) if rows else "Not measured yet: `make bench`."


def systems_markdown(result: dict[str, Any]) -> str:
    """The tables of comparison.py, the mean of every system's trainings first."""
    return seeds_markdown(result["systems"]) + comparison_markdown(result)


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


def shown(results: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The systems of a protocol that the README names: those with a target, floors and peers."""
    systems = results["systems"] if results else {}
    return {
        name: system
        for name, system in systems.items()
        if name in ACCURACY_TARGETS or "sha256" not in system
    }


def speed_markdown(result: dict[str, Any]) -> str:
    """The table of speed.py."""
    machine, sections = result["machine"], result["sections"]
    rows = [
        [figure["what"], measured(figure, section), target(figure), verdict(figure)]
        for section in sections.values()
        for figure in section["figures"].values()
    ]
    notes = [f"* {note}" for section in sections.values() for note in section["notes"]]
    facts = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"
    lines = [
        f"Medians, two threads unless said. {facts}, ONNX Runtime {machine['onnxruntime']}.",
        "",
        table(["What", "Measured", "Target", "Holds"], rows),
        *([""] if notes else []),
        *notes,
    ]
    return "\n".join(lines) + "\n"


def learning_curve_markdown(rows: list[dict[str, Any]]) -> str:
    """What was tried, after how many samples, and what came out of it."""

    def degrees(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    cells = (
        [r["what"], f"{r['samples']:,}", str(r["size"]), degrees(r["val"]), degrees(r["test"])]
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


def crop_accuracy_markdown(result: dict[str, Any]) -> str:
    """The table of crop_accuracy.py."""

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    def cells(name: str, row: dict[str, float]) -> list[str]:
        keys = ("centre_median", "centre_p90", "scale_median", "scale_p90")
        return [name, f"{row['faces']:.0f}", *(percent(row[key]) for key in keys)]

    groups = [
        *result["all"].items(),
        *result["by source"].items(),
        *((f"yaw {span}°", row) for span, row in result["by yaw"].items()),
        *((f"turned by {span}°", row) for span, row in result["turned, by roll"].items()),
    ]
    every = result["all"]["all"]
    summary = (
        f"{name} {percent(every[f'{name}_median'])} (target: under {limit} %)"
        for name, limit in CROP_TARGETS.items()
    )
    missed = result["missed"]
    headings = ["Faces", "Number", "Centre", "90 %", "Scale", "90 %"]
    return f"""\
Crops made from detections against crops made from landmarks, photos held out of every fit. \
Medians and 90th percentiles in % of the crop's side: {", ".join(summary)}. Not found: \
{len(missed["upright"])} faces; with the photo turned at random, {len(missed["turned"])}.

{table(headings, (cells(*group) for group in groups))}
"""


def registration_markdown(result: dict[str, Any]) -> str:
    """The table of registration.py."""
    tables = result["regions"]
    names = list(dict.fromkeys(name for rows in tables.values() for name in rows))

    def cell(rows: dict[str, dict[str, float]], name: str) -> str:
        row = rows.get(name)
        return f"{row['mean']:.2f} ({row['p95']:.2f}), {row['normal_mean']:.1f}°" if row else "–"

    rows = ([name, *(cell(tables[kind], name) for kind in tables)] for name in names)
    return f"""\
{result["heads"]} random ICT-FaceKit heads on the built-in head's topology against the true ones: \
mean distance and 95th percentile in mm, mean angle between the normals. The face's mean is \
{result["face_mean"]:.2f} mm where it is worst (target: at most {REGISTRATION_TARGET} mm). What \
is off at the nose is the inside of the nostrils, which is not matched.

{table(["Region", *tables], rows)}
"""


def alignment_markdown(result: dict[str, Any]) -> str:
    """The table of alignment.py."""
    lines = result["lines"]
    chosen = lines[0]["options"]
    rows = []
    for line in lines:
        changed = {k: v for k, v in line["options"].items() if v != chosen[k]}
        what = ", ".join(f"`{name}` {value:g}" for name, value in changed.items()) or "the defaults"
        share = f"{100 * line['confident_share']:.0f} %"
        rows.append([what, f"{line['error']:.2f}", f"{line['confident']:.2f}", share])
    return f"""\
The built-in head fitted to MediaPipe's points in {result["found"]} renderings of scan-made heads: \
mean angular error in degrees within FaceMesh's outline, where the fit trusts itself, and where \
that is. FaceMesh's own mesh: {lines[0]["facemesh"]:.2f}.

{table(["Settings of the fit", "Error", "Where confident", "Confident"], rows)}
"""


def render_markdown(result: dict[str, Any]) -> str:
    """The table of render.py."""
    truth, speed, memory = result["truth"], result["speed"], result.get("memory")
    rows = [
        (
            f"Normals within half a degree of cast rays, {truth['pixels']} pixels",
            f"{100 * truth['within_half_a_degree']:.2f} %",
            "at least 99.5 %",
        ),
        (
            f"Landmarks within a quarter of a pixel of cast rays, {truth['landmarks']} of them",
            f"{100 * truth['landmarks_within_a_quarter']:.1f} %"
            f" (mean {truth['landmark_mean_pixels']:.3f} pixels)",
            "all",
        ),
        (
            f"Heads rendered a second, 256 x 256, everything on, {speed['cores']} cores",
            f"{speed['rendered_a_second']:.1f}",
            "at least 12",
        ),
        ("The same, written to shards", f"{speed['written_a_second']:.1f}", ""),
    ]
    if memory:
        first, last = memory["megabytes"][0], memory["megabytes"][-1]
        count = memory["samples"]
        what = f"Memory of a process after {count // 10} and after {count} heads"
        rows.append((what, f"{first:.0f} and {last:.0f} MB", "flat"))
    return table(["", "Measured", "Target"], rows) + "\n"


def amount(value: float, unit: str) -> str:
    """Three digits and the unit."""
    digits = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{digits} {unit}".rstrip()


def measured(figure: dict[str, Any], section: dict[str, Any]) -> str:
    """A figure, and a warning where other work on the machine has spoilt it."""
    busy = (section["busy_cores"] or 0) > BUSY and figure["unit"] not in ("MB", "times")
    return amount(figure["value"], figure["unit"]) + (" (beside other work)" if busy else "")


def target(figure: dict[str, Any]) -> str:
    """In words; empty where there is none."""
    for key, words in (("at_most", "at most"), ("at_least", "at least")):
        if figure[key] is not None:
            return f"{words} {amount(figure[key], figure['unit'])}"
    return ""


def verdict(figure: dict[str, Any]) -> str:
    """Whether a figure meets its target; empty where it has none."""
    value, at_most, at_least = figure["value"], figure["at_most"], figure["at_least"]
    if at_most is None and at_least is None:
        return ""
    above = at_least is None or value >= at_least
    return "yes" if above and (at_most is None or value <= at_most) else "**no**"


TABLES: dict[str, Callable[[Any], str]] = {
    "accuracy_yaleb": yaleb_markdown,
    "accuracy_basel": basel_markdown,
    "comparison": systems_markdown,
    "robustness": robustness_markdown,
    "wild": wild_markdown,
    "landmarks": landmarks_markdown,
    "reconstruction": reconstruction_markdown,
    "prnet_ablation": prnet_ablation_markdown,
    "landmark_schemes": schemes_markdown,
    "expressions": expressions_markdown,
    "groups": groups_markdown,
    "learning_curve": learning_curve_markdown,
    "ablation": ablation_markdown,
    "papers": papers_markdown,
    "speed": speed_markdown,
    "crop_accuracy": crop_accuracy_markdown,
    "registration": registration_markdown,
    "alignment": alignment_markdown,
    "render": render_markdown,
}

if __name__ == "__main__":
    rewrite()
