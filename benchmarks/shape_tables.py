"""Tables of PRNet's parts, of landmark schemes, and of what the built-in head is drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np

from facerelief.evaluate.report import number, spread, table


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


def view_markdown(result: dict[str, Any]) -> str:
    """The table of view.py."""
    rows = (
        [one["layer"], f"{one['ms']:.0f} ms", f"{1000 / one['ms']:.0f}"] for one in result["frames"]
    )
    rest = result["page_mb"] - result["pictures_mb"]
    return f"""\
The example photo's page with two systems and a mesh has {result["page_mb"]:.2f} MB, of which \
pictures are {result["pictures_mb"]:.2f} MB and the rest {rest:.2f} MB (at most 3 MB); \
`facerelief view` makes it in {result["made_s"]:.1f} s of processor time and \
{result["memory_mb"]:.0f} MB of memory. Frames of {result["stage"]} x {result["stage"]} pixels in \
Chromium's software renderer, processor time of all its drawing threads together, and how many of \
those one core has time for in a second (at least 30 of the photo):

{table(["Layer", "A frame", "Frames a second"], rows)}
"""


def relief_photos_markdown(result: dict[str, Any]) -> str:
    """The tables of relief_photos.py."""
    systems = result["systems"]
    counts, losses = [], []
    for system, own in systems.items():
        for kind, one in own["kinds"].items():
            name = f"{system}, {kind}"
            turned = f"{one['flipped']} in {one['faces_flipped']} faces" if one["flipped"] else "0"
            counts.append([name, str(one["faces"]), str(one["made"]) if kind != "coarse" else "",
                           str(one["not_finite"]), turned, str(one["faces_with_holes"]),
                           number(one["pixels_of_back"])])  # fmt: skip
            changed = kind != "coarse"
            losses.append([
                name,
                *(cell for loss in ("loss", "loss_refit") for cell in (
                    spread(one[loss]),
                    spread(one[f"{loss}_change"]) if changed else "",
                    f"{one[f'{loss}_fell']} of {one[loss]['count']}"
                    if changed and one[loss] else "",
                )),
            ])  # fmt: skip
    photos = "; ".join(
        f"`{name}`: {own['photos']} photographs, {own['without_face']} without a face that was "
        f"found, {own['no_shape']} without a shape"
        for name, own in systems.items()
    )
    again = ["Light fitted anew", "Change", "Fell in"]
    return f"""\
{photos}. Triangles of the face that lie by more than a right angle off the coarse ones; meshes \
that show holes in their photo; and pixels of their crops, of {512**2:,}, that show skin from \
behind, where a fold goes through what lies before it:

{table(["", "Faces", "Relief made", "Not finite", "Turned over", "With holes", "Back"], counts)}

Photo loss over the skin in levels of 255, on those of the photographs that no training saw, with \
the light fitted to the coarse face and with a light fitted to each, ± standard errors:

{table(["", "Photo loss", "Change", "Fell in", *again], losses)}
"""


def detail_markdown(result: dict[str, Any]) -> str:
    """The table of detail.py: what was measured of each kind of relief."""
    means = result.get("yale", {}).get("mean", {})
    costs, scans, folds = (result.get(name, {}) for name in ("costs", "scans", "folds"))
    kinds = [name.partition("+")[2] or "none" for name in means if "full_pose" in name]
    columns = {
        "Yale, degrees": lambda kind, name: means.get(name),
        "Scans, %": lambda kind, name: scans.get(name),
        "Turned over": lambda kind, name: folds.get(kind, {}).get("flipped"),
        "CPU s": lambda kind, name: costs.get(kind, {}).get("cpu_seconds"),
        "MB": lambda kind, name: costs.get(kind, {}).get("peak_mb"),
    }
    rows = [(kind, "full_pose" + (f"+{kind}" if kind != "none" else "")) for kind in kinds]
    rows.append(("", "casfne_compact"))
    cells = {head: [cell(kind, name) for kind, name in rows] for head, cell in columns.items()}
    shown = {head: column for head, column in cells.items() if any(v is not None for v in column)}
    lines = [f"| | {' | '.join(shown)} |", "| --- |" + " ---: |" * len(shown)]
    for row, (_, name) in enumerate(rows):
        values = ("" if c[row] is None else str(c[row]) for c in shown.values())
        lines.append(f"| `{name}` | {' | '.join(values)} |")
    count = result.get("yale", {}).get("photographs")
    told = f"\nYale: {count} photographs of the test people, S1 to S4, same pixels in all rows.\n"
    return "\n".join(lines) + "\n" + (told if count else "")


def self_augment_markdown(result: dict[str, Any]) -> str:
    """The table of self_augment.py."""

    def cell(line: list[dict[str, Any]], heads: str, figure: str) -> str:
        values = [one[heads][figure] for one in line]
        mean = sum(values) / len(values)
        if len(values) < 2:
            return f"{mean:.2f}"
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return f"{mean:.2f} ± {(variance / len(values)) ** 0.5:.2f}"

    columns = [(heads, figure) for heads in ("val", "wideval") for figure in ("dense", "shape")]
    rows = ([name, *(cell(line, *column) for column in columns)]
            for name, line in result["lines"].items())  # fmt: skip
    headings = ["Self-augmentation", "Face", "At rest, mm", "Turned anywhere: face", "At rest, mm"]
    return f"""\
Vertices of the face in the picture, in percent of the landmarks' box, and distance of faces at \
rest, of rendered heads; {result["samples"]:,} samples each, mean over {result["seeds"]} seeds ± \
standard error:

{table(headings, rows)}
"""


def openings_markdown(result: dict[str, Any]) -> str:
    """The table of openings.py."""
    kinds = ("facemesh", "mesh", "at_rest")
    rows = []
    for name in ("eyes", "mouth"):
        spreads = [f"{result[name][key][0]:.3f} ± {result[name][key][1]:.3f}" for key in kinds]
        rows.append([name, *spreads, f"{result[name]['correlation']:.2f}"])
    columns = ["Opening over width", "FaceMesh", "`full_pose`", "its faces at rest", "Correlation"]
    return f"""\
{result["photos"]} openly licensed photographs, mean ± standard deviation; the median weight of \
blinking is {result["blink"]["median"]:.2f}:

{table(columns, rows)}
"""


def ri2itn_passes_markdown(result: dict[str, Any]) -> str:
    """The table of ri2itn_passes.py."""
    columns = {
        "Renderings, degrees": ("renderings", "error"),
        "Displacement, mm": ("renderings", "displacement"),
        "Photo loss": ("renderings", "photo"),
        "Photographs, photo loss": ("photographs", "photo"),
    }
    lines, against = result["lines"], result["against"]
    rows = []
    for name in lines["renderings"]:
        cells = []
        for kind, figure in columns.values():
            own = lines[kind][name][figure]
            mean, change = own["mean"], own["change"]
            cells.append(f"{mean['mean']:.3f}")
            cells.append(f"{change['mean']:+.3f} ± {change['error']:.3f}" if change else "")
        seen, spent = result["samples"].get(name), result["costs"].get(name)
        rows.append([name, f"{seen:,}" if seen else "", *cells, f"{spent:.3f}" if spent else ""])
    counts = [lines[kind][against]["photo"]["mean"]["count"] for kind in lines]
    headings = [cell for head in columns for cell in (head, "Change")]
    return f"""\
Trained for {result["seconds"]:g} s each on {result["heads"]:,} rendered heads of {result["size"]} \
texels a side; {counts[0]} renderings and {counts[1]} photographs that no training saw. Means, and \
changes of `{against}` by face ± standard errors; processor seconds of a training sample:

{table(["", "Samples", *headings, "Seconds"], rows)}
"""
