"""Tables of PRNet's parts, of landmark schemes, and of what the built-in head is drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np

from facerelief.evaluate.report import table


def prnet_ablation_markdown(result: dict[str, Any]) -> str:
    """The table of prnet_ablation.py."""
    lines = result["lines"]
    first = next(iter(lines.values()))

    def cell(line: dict[str, Any], *keys: str) -> str:
        value, own = line, first
        for key in keys:
            value, own = value[key], own[key]
        if isinstance(value, dict):
            value, own = value["mean"], own["mean"]
        return f"{value:.2f}" if line is first else f"{value:.2f} ({value - own:+.2f})"

    ranges = list(first["yaws"])
    rows = (
        [
            name,
            *(cell(line, "yaws", one) for one in ranges),
            cell(line, "balanced"),
            cell(line, "photographs"),
        ]
        for name, line in lines.items()
    )
    headings = ["Trained with", *(f"Yaw {one}°" for one in ranges), "Balanced", "Photographs"]
    return f"""\
Error of 68 landmarks in percent of their box, as above; {result["samples"]:,} samples each:

{table(headings, rows)}
"""


def schemes_markdown(result: dict[str, Any]) -> str:
    """The first table of landmark_schemes.py."""
    annotated, meshes = result["annotated"], result["meshes"]

    def percent(value: dict[str, float]) -> str:
        return f"{value['mean']:.2f} ± {value['error']:.2f}"

    parts = ("all", "jaw", "brows", "nose", "eyes", "mouth")
    by_part = [
        [name, *(percent(annotated[f"{key} {part}"]) for part in parts)]
        for name, key in (("`ibug68`", "ibug68"), ("FaceMesh's own 68", "facemesh"))
    ]
    others = [
        ["`facemesh468` without its outline", percent(meshes["facemesh468 inner"])],
        ["the same by the map in the head's file", percent(meshes["first map inner"])],
        ["`facemesh468`, its outline", percent(meshes["facemesh468 outline"])],
        ["`jd106`, lower brows, lids and sides of the nose", percent(meshes["jd106 own"])],
        ["`jd106`, jaw between the 17, from the annotated line", percent(annotated["jd106 jaw"])],
        ["`ibug68`, jaw, from the annotated line", percent(annotated["ibug68 jaw line"])],
    ]
    return f"""\
Distance of a fitted head's points from the {annotated["ibug68 all"]["count"]} annotated \
photographs' in percent of the root of the landmarks' box, ± standard errors:

{table(["Scheme", *(part.capitalize() for part in parts)], by_part)}

and from FaceMesh's in {meshes["jd106 own"]["count"]} photographs of other sources than the map \
was found on:

{table(["Points", "Distance"], others)}
"""


def expressions_markdown(result: dict[str, Any]) -> str:
    """The second table of landmark_schemes.py."""
    rows = (
        [f"`{name}`", f"{one['likeness']:.2f}", f"{one['apart']:.1f}", f"{one['ours']:.1f}",
         f"{one['theirs']:.1f}"]
        for name, one in result.items()
    )  # fmt: skip
    mean = np.mean([one["likeness"] for one in result.values()])
    return f"""\
The built-in head's expressions beside ICT-FaceKit's of the same names at weight 1: likeness of \
the movements (cosine over the face's skin, mean {mean:.2f}), mean distance in mm of what the two \
move by more than a millimetre in sum, and the farthest that a vertex goes.

{table(["Name", "Likeness", "Apart", "Ours", "ICT-FaceKit"], rows)}
"""


def albedo_markdown(result: dict[str, Any]) -> str:
    """The table of tools/build_albedo.py."""
    errors = result["rms_srgb_levels"]
    counts = list(next(iter(errors.values())))
    rows = (
        [count, *(f"{of[count]['mean']:.1f} ({of[count]['worst']:.1f})" for of in errors.values())]
        for count in counts
    )
    return f"""\
{result["skins"]} skins of {result["people"]} people, each projected onto components of other \
people's: root mean square over the face in levels of 255 (sRGB), mean and worst skin.

{table(["Components", *(kind.capitalize() for kind in errors)], rows)}
"""


def drawing_markdown(result: dict[str, Any]) -> str:
    """The table of drawing.py."""
    rows = (
        [f"{one['vertices']:,}", f"{one['triangles']:,}", f"{one['size']} x {one['size']}",
         one["colours"], f"{one['drawn_ms']:.0f}", f"{one['with_gradients_ms']:.0f}"]
        for one in result["lines"]
    )  # fmt: skip
    headings = ["Vertices", "Triangles", "Picture", "Colours of", "Drawn", "With gradients"]
    return f"""\
Processor time of {result["batch"]} pictures in ms, one core:

{table(headings, rows)}
"""
