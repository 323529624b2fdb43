"""What the documentation makes while it is built, so that it cannot go stale.

Pictures come from the package's own geometry; the tables of systems and results from the
catalogue and from `benchmarks/results`; the command line's reference from its own help.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mkdocs.structure.files import File, Files
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facerelief import catalogue
from facerelief.encode import to_png
from facerelief.geometry.normals import encode
from facerelief.pictures import shading_row

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures."""
    normals, mask = sphere(256)
    for name, content in {
        "sphere_normals.png": sphere_picture(),
        "sphere_shading.png": to_png(shading_row(normals, mask)[::2, ::2]),
    }.items():
        files.append(File.generated(config, f"assets/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the tables and the reference."""
    makers = {"systems": systems_table, "cli": cli_reference}
    for name, make in makers.items():
        marker = f"<!-- generated: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, make())
    return re.sub(r"<!-- result: (\w+) -->", lambda match: result_table(match[1]), markdown)


def sphere(size: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals (size, size, 3) of a sphere seen from the front, and where it is."""
    centres = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(centres, -centres)  # y up
    inside = x**2 + y**2 < 0.98
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    return np.dstack([x, y, z]).astype(np.float32), inside


def sphere_picture() -> bytes:
    """A sphere in normal-map colours between its axes."""
    size, margin, radius = 320, 80, 160
    normals, mask = sphere(size)
    canvas = Image.new("RGB", (size + 2 * margin,) * 2, "white")
    colours = np.where(mask[..., None], encode(normals), 255).astype(np.uint8)
    canvas.paste(Image.fromarray(colours), (margin, margin))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(17)
    centre = margin + radius
    right, top = centre + radius + 20, centre - radius - 20
    draw.line((centre, centre, right, centre), "black", 2)
    draw.line((centre, centre, centre, top), "black", 2)
    draw.polygon([(right + 10, centre), (right, centre - 5), (right, centre + 5)], "black")
    draw.polygon([(centre, top - 10), (centre - 5, top), (centre + 5, top)], "black")
    draw.ellipse((centre - 7, centre - 7, centre + 7, centre + 7), "white", "black", 2)
    draw.ellipse((centre - 2, centre - 2, centre + 2, centre + 2), "black")
    draw.text((right + 16, centre), "x", "black", font, anchor="lm")
    draw.text((centre, top - 16), "y", "black", font, anchor="mb")
    draw.text((centre + 12, centre + 8), "z, towards you", "black", font, anchor="lt")
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def systems_table() -> str:
    """The catalogue as a table."""
    lines = [
        "| Name | System | Preset | Tier | Trained on | Terms | Mean angular error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in (*catalogue.entries(), *catalogue.details()):
        name = f"`{entry.name}`" + (" (default)" if entry.name == catalogue.default() else "")
        accuracy = "<br>".join(f"{key}: {value}°" for key, value in entry.accuracy.items())
        data = "<br>".join(entry.training_data)
        cells = (name, entry.system, entry.preset, entry.tier, data, entry.licence, accuracy)
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


def result_table(name: str) -> str:
    """A table of benchmarks/results, as its benchmark wrote it."""
    path = ROOT / "benchmarks" / "results" / f"{name}.md"
    return path.read_text("utf-8") if path.exists() else "Not measured yet."


def cli_reference() -> str:
    """The help of every command, as Markdown."""
    command = [sys.executable, "-m", "typer", "facerelief.cli", "utils", "docs"]
    command += ["--name", "facerelief"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, _, body = done.stdout.partition("\n")  # without its title, which this page has
    return body.replace("\n#", "\n##")
