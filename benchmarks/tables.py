"""Tables of what was measured: results/*.json to results/*.md, the README and the model card.

    python benchmarks/tables.py

rewrites all of them, the model card's too, without measuring anything; the benchmarks call
`write`, which does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import card
import headlines
import measured_tables
import surface_tables
from shape_tables import (
    albedo_markdown,
    detail_markdown,
    drawing_markdown,
    expressions_markdown,
    openings_markdown,
    prnet_ablation_markdown,
    relief_photos_markdown,
    ri2itn_passes_markdown,
    schemes_markdown,
    self_augment_markdown,
    view_markdown,
)
from training_tables import (
    ablation_markdown,
    learning_curve_markdown,
    papers_markdown,
    seeds_markdown,
)
from video_tables import video_markdown

from facerelief.evaluate import PROTOCOLS, comparison

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
CARD = ROOT / "docs" / "model_card.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


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
    made = headlines.headlines(*(read(name) for name in names))
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def with_card(page: str) -> str:
    """The model card `page` with the present figures between its markers."""
    names = ("accuracy_yaleb", "accuracy_basel", "groups")
    return card.with_blocks(page, card.blocks(*(read(name) for name in names)))


def systems_markdown(result: dict[str, Any]) -> str:
    """The tables of side by side, the mean of every system's trainings first."""
    return seeds_markdown(result["systems"]) + comparison.markdown(result)


TABLES: dict[str, Callable[[Any], str]] = {
    "accuracy_yaleb": PROTOCOLS["yaleb"].table,
    "accuracy_basel": PROTOCOLS["basel"].table,
    "comparison": systems_markdown,
    "robustness": PROTOCOLS["robustness"].table,
    "wild": PROTOCOLS["wild"].table,
    "relight": PROTOCOLS["relight"].table,
    "relighting": measured_tables.relighting_markdown,
    "landmarks": PROTOCOLS["landmarks"].table,
    "reconstruction": PROTOCOLS["reconstruction"].table,
    "p2p": PROTOCOLS["p2p"].table,
    "openings": openings_markdown,
    "detail": detail_markdown,
    "relief_photos": relief_photos_markdown,
    "ri2itn_passes": ri2itn_passes_markdown,
    "prnet_ablation": prnet_ablation_markdown,
    "self_augment": self_augment_markdown,
    "landmark_schemes": schemes_markdown,
    "expressions": expressions_markdown,
    "albedo": albedo_markdown,
    "drawing": drawing_markdown,
    "view": view_markdown,
    "groups": PROTOCOLS["groups"].table,
    "learning_curve": learning_curve_markdown,
    "ablation": ablation_markdown,
    "papers": papers_markdown,
    "speed": measured_tables.speed_markdown,
    "live": measured_tables.live_markdown,
    "video": video_markdown,
    "batch": measured_tables.batch_markdown,
    "browser": measured_tables.browser_markdown,
    "serve": measured_tables.serve_markdown,
    "fine": measured_tables.fine_markdown,
    "outlines": measured_tables.outlines_markdown,
    "crop_accuracy": measured_tables.crop_accuracy_markdown,
    "registration": measured_tables.registration_markdown,
    "alignment": measured_tables.alignment_markdown,
    "depth": surface_tables.depth_markdown,
    "enhance": surface_tables.enhance_markdown,
    "render": measured_tables.render_markdown,
}

if __name__ == "__main__":
    rewrite()
