"""All systems side by side: accuracy on both protocols, what they cost, and pictures of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facerelief import __version__
from facerelief.cache import cache_folder
from facerelief.data import yaleb
from facerelief.data.folders import data_root
from facerelief.evaluate import basel, pictures, predictions, predictors, protocol
from facerelief.evaluate.basel import Basel
from facerelief.evaluate.costs import costs
from facerelief.evaluate.report import labelled, number, percent, table
from facerelief.evaluate.yaleb import Subject, Yaleb, load_subject
from facerelief.files import make_folder
from facerelief.geometry.light import direction
from facerelief.geometry.normals import angular_error

#: Lights (azimuth, elevation) of the photographs that are drawn, degrees: in front, to the side,
#: and as the papers' failures have it, nearly behind.
SHOWN_LIGHTS = ((0, 0), (-35, 15), (70, 0), (-110, 15))


def run_table(systems: Sequence[str], out: Path, **options: Any) -> dict[str, Any]:
    """Score systems on photographs and on renderings, measure their costs, and draw them.

    Arguments and errors are those of `protocol.Protocol.run`; `out` has ``yaleb/`` and ``basel/``
    (as those protocols write them), ``results.json``, ``results.md`` and ``pictures/``.
    """
    names = predictors.expanded(systems, predictors.normal_systems)
    root = data_root()
    make_folder(out)
    photographs = Yaleb().run(names, out / "yaleb", **options)
    renderings = Basel().run(names, out / "basel", **options)
    floors = list(dict.fromkeys([photographs["floor"], *renderings["floors"]]))
    labels = [*floors, *(n for n in photographs["systems"] if n not in floors)]
    networks = {Path(name).stem if name.endswith(".onnx") else name: name for name in names}
    results: dict[str, Any] = {
        "version": __version__,
        "photographs": photographs["photographs"],
        "pictures": renderings["pictures"],
        "floors": floors,
        "systems": {},
    }
    for label in labels:
        seen = photographs["systems"].get(label)
        found = renderings["systems"].get(label)
        about = seen or found
        network = "sha256" in about
        results["systems"][label] = {
            **{key: about[key] for key in ("system", "preset", "tier", "sha256") if key in about},
            "costs": asdict(costs(networks[label], options.get("threads"))) if network else None,
            "yaleb": seen and {"pooled": seen["pooled"], "subsets": seen["subsets"]},
            **{part: found and found[part] for part in basel.PARTS},
        }
    draw(out, root, [label for label in labels if results["systems"][label]["yaleb"]])
    protocol.write_results(out, results, markdown(results))
    return results


def markdown(results: dict[str, Any]) -> str:
    """The results of `run_table`: what every system gets right, and what it costs."""
    systems = labelled(results["systems"], results["floors"])
    subsets = next(list(s["yaleb"]["subsets"]) for s in systems.values() if s["yaleb"])
    limits = ("20", "25", "30")

    def accuracy(figures: dict[str, Any] | None) -> list[str]:
        if figures is None:
            return ["–"] * (1 + len(limits))
        mean = f"{number(figures['mean'])} ± {number(figures['std'])}"
        return [mean, *(percent(figures["within"][limit]) for limit in limits)]

    def photographs(seen: dict[str, Any] | None) -> list[str]:
        means = (None if seen is None else seen["subsets"][name]["mean"] for name in subsets)
        return [*accuracy(seen and seen["pooled"]), *map(number, means)]

    on_yale = ([n, *photographs(s["yaleb"])] for n, s in systems.items())
    on_scans = ([n, *accuracy(s["random"]), *accuracy(s["yaw"])] for n, s in systems.items())
    costs = {label: s["costs"] for label, s in systems.items() if s["costs"]}
    on_gpu = any(c["gpu_ms"] is not None for c in costs.values())
    cost_rows = (
        [
            label, f"{c['parameters'] / 1e6:.1f} M", f"{c['multiply_accumulates'] / 1e9:.2f} G",
            f"{c['cpu_ms']:.0f}", *([number(c["gpu_ms"])] if on_gpu else []),
        ]
        for label, c in costs.items()
    )  # fmt: skip
    gpu = ["GPU ms"] if on_gpu else []
    columns = ["System", "Parameters", "Multiply-accumulates", "CPU ms", *gpu]
    below = [f"< {limit}°" for limit in limits]
    return f"""\
Photographs of Extended Yale B, test people ({results["photographs"]} photographs): angular error \
in degrees, S1 to S4 pooled, and the mean by subset.

{table(["System", "Mean ± std", *below, *subsets], on_yale)}

Renderings of real scans, turned about random axes up to 45° ({results["pictures"]["random"]} \
pictures), then at yaws to ±60° under seven lights ({results["pictures"]["yaw"]} pictures).

{table(["System", "Random axes", *below, "Yaw", *below], on_scans)}

What one 256 x 256 crop costs: weights and multiply-accumulates of the exported network, and its \
median time.

{table(columns, cost_rows)}
"""


def draw(out: Path, root: Path, labels: Sequence[str]) -> None:
    """``pictures/PERSON_LIGHT.png``: a line a system of normals, seven shadings and its error."""
    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    for name in yaleb.load_splits(root)["test"][:2]:
        subject = load_subject(root, name, cache_folder() / "yaleb")
        for light in SHOWN_LIGHTS:
            sheet(out / "yaleb" / "predictions", subject, light, labels).save(
                folder / f"{name}_{light[0]:+d}.png"
            )


def sheet(
    folder: Path, subject: Subject, light: tuple[int, int], labels: Sequence[str]
) -> Image.Image:
    """One photograph, the truth, and what every system made of it."""
    index = int(np.argmax(subject.person.directions @ direction(*light)))
    crop = yaleb.crop_image(subject.person.images[index])
    truth, mask = subject.normals, subject.mask
    rows = [pictures.comparison_row(crop, truth, mask, None)]
    for label in labels:
        normals, _ = predictions.read(folder / label, subject.photographs[index], mask.shape)
        answered = normals.any(axis=-1) & mask
        rows.append(pictures.comparison_row(None, normals, answered, angular_error(normals, truth)))
    return pictures.labelled(rows, ["photo and truth", *labels])
