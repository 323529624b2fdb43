"""Tables of times, memory and distances that benchmarks of this folder measured."""

from __future__ import annotations

from typing import Any

from facerelief.evaluate.report import table

REGISTRATION_TARGET = 0.5  # mm, mean over the face
CROP_TARGETS = {"centre": 5, "scale": 8}  # medians, % of the crop's side

RELIT = {"first": 1.0, "further": 0.05}  # seconds

BUSY = 0.3  # cores that other work may keep busy before a figure is marked


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


def live_markdown(result: dict[str, Any]) -> str:
    """The table of live.py."""
    rows = [
        [
            name,
            f"{row['median']:.1f} ms",
            f"{row['least']:.1f} ms",
            f"{row['ratio']:.1f}",
            "" if row["at_most"] is None else f"at most {row['at_most']:.0f}",
        ]
        for name, row in result["rows"].items()
    ]
    facts = result["machine"]
    head = (
        f"{result['photos']} photos of 448 pixels, one face each, from array to answer, in turns: "
        "normals of `default`, landmarks and mesh of `prnet`; followed: from the places of the "
        f"picture before. {facts['cpu']}, {facts['cores']} cores, of which other work kept "
        f"{result['busy_cores']} busy."
    )
    columns = ["Who", "Median", "Least", "Times MediaPipe", "Target"]
    return f"{head}\n\n{table(columns, rows)}\n"


LIVE_TIMES = ("find", "network", "all", "least", "processor", "spell")


def browser_markdown(result: dict[str, Any]) -> str:
    """The tables of browser.py."""
    live = [
        [
            str(row["threads"]),
            *(f"{row[name]:.0f} ms" for name in LIVE_TIMES),
            f"{1000 / row['all']:.1f}",
            f"{1000 / row['spell']:.1f}",
        ]
        for row in result["live"]
    ]
    headings = ["Threads", "Finding", "Network", "A picture", "Least", "Processor", "Least of it",
                "Pictures a second", "By the least on one core"]  # fmt: skip
    apart = [
        [row["photo"], f"{row['mean']:.4f}°", f"{row['most']:.2f}°", str(row["mask"])]
        for row in result["differences"]
    ]
    facts = result["machine"]
    rest = result["page_mb"] - result["networks_mb"] - result["runtime_mb"]
    return f"""\
The folder has {result["page_mb"]:.1f} MB: networks {result["networks_mb"]:.1f}, ONNX Runtime Web \
{result["runtime"]} {result["runtime_mb"]:.1f}, the page itself {rest:.2f}. {result["pictures"]} \
pictures of a false camera, 640 x 480, in headless Chromium on {facts["cpu"]}, {facts["cores"]} \
cores, of which other work kept {result["busy"]} busy. Medians, and processor time of the page's \
process, all threads (target: 5 pictures a second):

{table(headings, live)}

Normals of the page against those of Python (target: 0.5 degrees), a face each, and in how many \
of 65,536 pixels the masks differ:

{table(["Photo", "Mean", "Most", "Mask"], apart)}
"""


def fine_markdown(result: dict[str, Any]) -> str:
    """The tables of fine.py."""
    detail = result["detail"]
    rows = [
        ["The estimate, 256 pixels", detail["enlarged"], detail["with_detail"]],
        ["The truth, blurred by 3 crop pixels", *(
            detail[f"blurred_truth{suffix}"] for suffix in ("", "_with_detail")
        )],
    ]  # fmt: skip
    errors = [[name, *(f"{value:.2f}°" for value in values)] for name, *values in rows]
    names = {
        "as_estimated": "above a half",
        "solid": "without dust and pinholes",
        "matte": "along the picture's edges",
    }
    masks = [
        [names[name], f"{100 * row['iou']:.1f} %", f"{row['outline']:.2f}", f"{row['parts']:.1f}"]
        for name, row in result["masks"].items()
    ]
    head = (
        f"`{result['system']}` on {result['heads']} rendered heads with wrinkles and pores, crops "
        f"of {result['side']} pixels. Mean angular error of what is enlarged alone and of what has "
        f"detail of the picture ({detail['seconds']:.1f} s of one core a face; better on "
        f"{100 * result['better']:.0f} % of the heads)."
    )
    between = (
        "Masks at that size: overlap with the true one, distance of their outlines in pixels of "
    )
    between += "the 256 x 256 crop, and parts that they are in."
    return (
        f"{head}\n\n{table(['Normals of', 'Enlarged', 'With detail'], errors)}\n\n{between}\n\n"
        f"{table(['Mask', 'IoU', 'Outline', 'Parts'], masks)}\n"
    )


def outlines_markdown(result: dict[str, Any]) -> str:
    """The table of outlines.py."""
    rows = [
        [f"`{name}`", f"{row['apart']:.1f} ± {row['error']:.1f}", f"{row['beyond']:+.1f}",
         f"{row['ninth']:.1f}", f"{row['pieces']:.2f}"]
        for name, row in result.items()
    ]  # fmt: skip
    photos = next(iter(result.values()))["photos"]
    return (
        f"{photos} photographs whose outlines were checked by eye, beside hair, clothes and "
        "background (no necks, no ears). Distance of the mask's edge in pixels of the 256 x 256 "
        "crop, above zero beyond the face:\n\n"
        f"{table(['Mask of', 'Mean', 'Signed', 'Nine of ten within', 'Parts'], rows)}\n"
    )


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


def relighting_markdown(result: dict[str, Any]) -> str:
    """The table of relighting.py."""
    height, width = result["window"]
    rows = [
        ["Normals at the photo's size, usual and larger crop", result["normals"], None],
        ["From there to the first picture", result["first"], RELIT["first"]],
        ["Every further lamp", result["lamp"], RELIT["further"]],
        ["Every further environment, 32 lights", result["environment"], RELIT["further"]],
    ]
    cells = [
        [what, f"{seconds:.3f} s", "" if most is None else f"at most {most:g} s"]
        for what, seconds, most in rows
    ]
    facts = result["machine"]
    return f"""\
A face that fills {width} x {height} pixels; seconds of one core, the least of five runs. \
{facts["cpu"]}.

{table(["What", "Measured", "Target"], cells)}
"""


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


def batch_markdown(result: dict[str, Any]) -> str:
    """The tables of batch.py."""
    names = {
        "folder": "`batch`, folder to folder",
        "parquet": "`batch`, folder to Parquet",
        "webdataset": "`batch`, tar shard to Parquet",
        "normals": "`normals --only normal,json`",
        "normals_all": "`normals`, all its files",
    }
    found = result["throughput"]
    rows = [
        [name, f"{one['cpu']:.2f}", f"{one['wall']:.2f}", f"{one['cpu_ms']:.1f} ms"]
        for key, name in names.items()
        for one in (found["ratios"][key],)
    ]
    speeds = table(["Files to files", "By processor time", "By wall time", "A photo"], rows)
    text = f"""\
{found["photos"]} photos {found["about"]}, {found["faces"]} faces. Detector and network alone take \
{found["alone_ms"]:.1f} ms of processor time a photo; their speed is 1 (at least 0.85):

{speeds}
"""
    if "memory" not in result:
        return text
    called = {"batch": "`batch` to a folder", "batch_parquet": "`batch` to Parquet"}
    own = result["memory"]
    sizes = list(next(iter(own.values())))
    rows = [[called[k], *(f"{own[k][n]:.0f} MB" for n in sizes)] for k in called]
    return f"{text}\n{table(['Peak memory', *(f'{n} photos' for n in sizes)], rows)}\n"


def serve_markdown(result: dict[str, Any]) -> str:
    """The tables of serve.py."""
    words = {
        "good": "good photos; answers equal the library's, byte for byte",
        "huge": "bodies of 3 and 6 times the limit, pictures of 49 megapixels",
        "corrupt": "cut or altered pictures, and none at all",
        "slow": "photos that drip, half of whose clients leave",
    }
    rows = []
    for kind, met in result["crowd"].items():
        told = ", ".join(f"{what}: {count}" for what, count in met.items())
        rows.append([words[kind], told])
    held = [
        [
            f"{one['photos']}",
            f"{one['memory_mb']:.0f} MB",
            f"{one['threads']}",
            f"{one['descriptors']}",
            f"{one['files']}",
        ]
        for one in result["held"]
    ]
    heads = ["After photos", "Memory", "Threads", "Descriptors", "Files"]
    return f"""\
{result["clients"]} clients at once, a quarter of each kind; the status codes that they met, and \
how often (503: come again; cut off: still sending 20 s after its answer). Wrong \
answers: {len(result["wrong"])}. The server ended with {result["exit"]}.

{table(["Clients", "Answers"], rows)}

Then photos, eight at a time, every eighth a mesh, the others normals, and what the server held:

{table(heads, held)}
"""
