"""Subjects to one HTML file with all that it needs in it: code, pictures, meshes.

Its content security policy forbids every request, so that it cannot even try to leave the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.apps.view.packing import pack_mesh, to_uri
from facerelief.apps.view.parts import asset, shader
from facerelief.apps.view.scene import BRIGHTEST, Layers, Solid, Subject, relightable
from facerelief.arrays import FloatArray
from facerelief.encode import to_jpeg
from facerelief.inputs import in_line
from facerelief.mesh_writing import flattened
from facerelief.pictures import ERROR_SCALE, colour_error

#: How a page of ours begins.
BEGINNING = b"<!doctype html>\n<!-- facerelief "
_SCRIPTS = (
    "gl.js", "light.js", "data.js", "picture.js", "solid.js", "stage.js", "input.js", "main.js",
)  # fmt: skip
_SHADERS = ("picture.vert", "picture.frag", "solid.vert", "solid.frag")
_STEPS = 10  # of the colours of expected error


def page(subjects: Sequence[Subject], title: str) -> bytes:
    """The page of at least one subject. Raises ValueError for none, and for a mesh with nothing
    left of it when it is made coarse enough for a page."""
    if not subjects:
        raise ValueError("a page needs something to show")
    scene = {
        "version": __version__,
        "title": in_line(title),
        "scale": {
            "degrees": ERROR_SCALE,
            "colours": (colour_error(np.linspace(0, ERROR_SCALE, _STEPS)) / 255).ravel().tolist(),
        },
        "shaders": {name: shader(asset(name)) for name in _SHADERS},
        "subjects": [_subject(subject) for subject in subjects],
    }
    script = "\n".join(asset(name) for name in _SCRIPTS)
    parts = {  # what others wrote comes last: nothing is looked for in it
        "VERSION": __version__,
        "STYLE": asset("page.css"),
        "SCRIPT": script,
        "SCENE": _for_script(scene),
    }
    text = asset("page.html")
    for name, content in parts.items():
        text = text.replace(f"{{{{{name}}}}}", content)
    return text.encode("utf-8")


def _for_script(value: Any) -> str:
    """JSON that ends no script element, whatever texts are in it."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _subject(subject: Subject) -> dict[str, Any]:
    picture = subject.picture
    return {
        "title": in_line(subject.title),
        "warnings": [in_line(text) for text in subject.warnings],
        "picture": None if picture is None else to_uri(to_jpeg(picture), "image/jpeg"),
        "layers": [_layers(picture, one) for one in subject.layers],
        "solids": [_solid(one) for one in subject.solids],
    }


def _layers(picture: NDArray[np.uint8] | None, layers: Layers) -> dict[str, Any]:
    """Two pictures, as picture.frag reads them."""
    grey = np.full((*layers.alpha.shape, 3), 128, np.uint8)
    shown = relightable(grey if picture is None else picture, layers)
    error = np.zeros_like(layers.alpha) if layers.error is None else layers.error / ERROR_SCALE
    slopes = (shown.normals[..., :2] + 1) / 2
    surface = np.dstack([slopes, shown.shading / BRIGHTEST])
    maps = np.dstack([layers.alpha, error, np.zeros_like(error)])
    return {
        "name": layers.name,
        "terms": layers.terms,
        "width": layers.alpha.shape[1],
        "height": layers.alpha.shape[0],
        "surface": to_uri(_png(_shares(surface)), "image/png"),
        "maps": to_uri(_png(_shares(maps)), "image/png"),
        "hasError": layers.error is not None,
    }


def _solid(solid: Solid) -> dict[str, Any]:
    colours, bumps = solid.asset.base_colour, solid.asset.normal_map
    return {
        "name": solid.name,
        "terms": solid.terms,
        "mesh": pack_mesh(solid.asset.mesh),
        "colours": None if colours is None else to_uri(to_jpeg(colours), "image/jpeg"),
        "bumps": None if bumps is None else to_uri(_png(flattened(bumps)), "image/png"),
    }


def _shares(values: FloatArray) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Pillow's PNG: slower than `encode.to_png`, and smaller, which counts in base64."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
