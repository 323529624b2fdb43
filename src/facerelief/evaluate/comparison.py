"""All systems side by side: accuracy on both protocols, what they cost, and pictures of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facerelief import __version__, catalogue
from facerelief.data import yaleb
from facerelief.data.folders import cache_folder, data_root
from facerelief.evaluate import basel, pictures, predictions, protocol, report
from facerelief.evaluate.costs import costs
from facerelief.evaluate.predictors import SHAPE_FROM_SHADING
from facerelief.evaluate.yaleb import Subject, load_subject, run_yaleb
from facerelief.files import make_folder
from facerelief.geometry.light import direction
from facerelief.geometry.normals import angular_error

ALL = "all"

#: Lights (azimuth, elevation) of the photographs that are drawn, degrees: in front, to the side,
#: and as the papers' failures have it, nearly behind.
SHOWN_LIGHTS = ((0, 0), (-35, 15), (70, 0), (-110, 15))


def run_table(
    systems: Sequence[str],
    out: Path,
    *,
    peer_python: Path | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Score systems on photographs and on renderings, measure their costs, and draw them.

    Args:
        systems: as of `run_yaleb`; ``all`` stands for every system of the catalogue and
            ``shape-from-shading``.
        out: folder for ``yaleb/`` and ``basel/`` (as those protocols write them),
            ``results.json``, ``results.md`` and ``pictures/``; made if missing.
        peer_python, threads, progress: as of `run_yaleb`.

    Returns:
        What ``results.json`` holds.

    Raises:
        Whatever `run_yaleb` and `run_basel` do.
    """
    names = expanded(systems)
    root = data_root()
    make_folder(out)
    options: dict[str, Any] = {
        "peer_python": peer_python, "threads": threads, "progress": progress
    }  # fmt: skip
    photographs = run_yaleb(names, out / "yaleb", **options)
    renderings = basel.run_basel(names, out / "basel", **options)
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
            "costs": asdict(costs(networks[label], threads)) if network else None,
            "yaleb": seen and {"pooled": seen["pooled"], "subsets": seen["subsets"]},
            **{part: found and found[part] for part in basel.PARTS},
        }
    draw(out, root, [label for label in labels if results["systems"][label]["yaleb"]])
    protocol.write_results(out, results, report.comparison_markdown(results))
    return results


def expanded(systems: Sequence[str]) -> list[str]:
    """The names, ``all`` replaced by what it stands for and ``default`` by its name."""
    names: list[str] = []
    for name in systems:
        if name == ALL:
            names += [*catalogue.systems(), SHAPE_FROM_SHADING]
        else:
            names.append(catalogue.default() if name == "default" else name)
    return list(dict.fromkeys(names))


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
