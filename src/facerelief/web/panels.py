"""Files of an answer to pieces of HTML for the page: all that they show is in them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any

from facerelief import catalogue
from facerelief.apps import everything, mesh
from facerelief.decoders import DECODERS
from facerelief.web.answers import STEM, Answer

#: Of the first tab: the file's ending, its name, and what to know of it.
_PICTURES = (
    (
        "_normal.png",
        "Normals",
        "Which way the skin faces, as colours: red is to the right, green is up, blue is towards "
        "you.",
    ),
    (
        "_expected_error.png",
        "Expected error",
        "How many degrees off the network itself expects to be, pixel by pixel: yellow is a "
        "guess, dark is sure.",
    ),
    ("_shading.png", "Shape", "The same surface in white, under seven lights."),
)
_STRIP = "_shading.png"  # seven pictures in a row
_MOST_FACES = 3  # that are shown; all are in the zip
_EXPRESSIONS = 12


def notice(text: str, is_error: bool = False) -> str:
    """One line above the results."""
    kind, role = ("error", "alert") if is_error else ("done", "status")
    return f'<p class="fr-notice fr-{kind}" role="{role}">{escape(text)}</p>'


def choice(name: str) -> tuple[str, str]:
    """A system in a list: its label, and its name."""
    entry = catalogue.find(name)
    notes = ["default"] if name == catalogue.default() else []
    notes += ["research only"] if entry.tier == "research" else []
    return f"{name} ({', '.join(notes)})" if notes else name, name


def system(name: str) -> str:
    """What a system is, and on what terms."""
    entry = catalogue.find(name)
    shapes = DECODERS[entry.kind].makes_shapes
    kind = (
        "It fits a whole face, which has normals, a mesh and a pose."
        if shapes
        else "It tells the normals pixel by pixel; the mesh is prnet's."
    )
    whose = f"<b>{escape(entry.system)}</b>, preset {escape(entry.preset)}"
    text = f"{whose}. {kind} Terms: {escape(entry.licence)}."
    return f'<p class="fr-note">{text}</p>'


def normal_pictures(files: Mapping[str, bytes], said: list[dict[str, Any]]) -> str:
    """Normals, shape and expected error of the largest faces, and the whole photo with them."""
    parts = []
    for number, face in enumerate(said[:_MOST_FACES]):
        stem = STEM if len(said) == 1 else f"{STEM}_{number}"
        title = "" if len(said) == 1 else f"<h3>Face {number}</h3>"
        figures = {
            ending: figure(files[stem + ending], name, text)
            for ending, name, text in _PICTURES
            if stem + ending in files
        }
        wide = figures.pop(_STRIP, "")
        row = f'<div class="fr-row">{"".join(figures.values())}</div>'
        parts.append(f'{title}{_warnings(face)}{row}<div class="fr-wide">{wide}</div>')
    overlay = files.get(f"{STEM}_overlay.jpg")
    if overlay is not None:
        where = "Where the faces are: each in the middle of its crop."
        parts.append(f'<div class="fr-wide">{figure(overlay, "In the photo", where)}</div>')
    more = len(said) - _MOST_FACES
    if more > 0:
        parts.append(f'<p class="fr-note">{more} more: all are in the zip.</p>')
    axes = "Axes: x to the picture's right, y up, z towards the viewer. 128, 128, 255 faces you."
    return f'{"".join(parts)}<p class="fr-note">{escape(axes)}</p>'


def landmarks(files: Mapping[str, bytes]) -> str:
    """The photo with points and lines of the mesh, and the head's angles."""
    parts = []
    for name in sorted(files):
        if not name.endswith("_landmarks.json"):
            continue
        stem = name.removesuffix("_landmarks.json")
        told = json.loads(files[name])
        pose = json.loads(files[stem + mesh.SIDECARS["pose"][0]])
        seen = sum(told["visible"])
        angles = ", ".join(f"{key} {value:.0f}°" for key, value in pose["angles"].items())
        text = (
            f"{len(told['points'])} points ({told['scheme']}), {seen} of them in view. The head: "
            f"{angles}; positive is towards the picture's right, down, leaning to its left."
        )
        picture = files.get(stem + mesh.SIDECARS["overlay"][0])
        if picture is not None:
            parts.append(figure(picture, "Landmarks and mesh", text))
        rows = "".join(
            f"<tr><td>{i}</td><td>{x:.1f}</td><td>{y:.1f}</td><td>{z:.1f}</td>"
            f"<td>{'yes' if v else 'no'}</td></tr>"
            for i, ((x, y, z), v) in enumerate(zip(told["points"], told["visible"], strict=True))
        )
        parts.append(
            "<details><summary>The points, in photo pixels (x right, y down, larger z is nearer)"
            '</summary><table class="fr-table"><tr><th>point</th><th>x</th><th>y</th><th>z</th>'
            f"<th>in view</th></tr>{rows}</table></details>"
        )
    return f'<div class="fr-wide">{"".join(parts)}</div>' if parts else _nothing("landmarks")


def coefficients(files: Mapping[str, bytes]) -> str:
    """The strongest expressions, as bars."""
    ending = everything.COEFFICIENTS[0]
    parts = []
    for name in sorted(files):
        if not name.endswith(ending):
            continue
        told = json.loads(files[name])
        expression = sorted(told["expression"].items(), key=lambda pair: -pair[1])[:_EXPRESSIONS]
        rows = "".join(
            f'<div class="fr-bar"><span>{escape(key)}</span><meter min="0" max="1" '
            f'value="{value:.3f}">{value:.2f}</meter><span>{value:.2f}</span></div>'
            for key, value in expression
        )
        identity = ", ".join(f"{value:.1f}" for value in told["identity"][:10])
        parts.append(
            f"<h3>Expression</h3>{rows}<p class='fr-note'>The strongest of "
            f"{len(told['expression'])} weights with ARKit's names, 0 to 1, by full_pose.</p>"
            f"<h3>Identity</h3><p>{identity}, ...</p><p class='fr-note'>The first of "
            f"{len(told['identity'])} components of the built-in head, in standard deviations.</p>"
        )
    note = "<p class='fr-note'>All of them, the camera and the light are in the zip.</p>"
    return "".join(parts) + note if parts else _nothing("coefficients")


def viewer(files: Mapping[str, bytes]) -> str:
    """The page of `facerelief view` within the page."""
    content = files.get(f"{STEM}.html")
    if content is None:
        return _nothing("view")
    source = escape(content.decode("utf-8"), quote=True)
    return (
        '<iframe class="fr-view" title="Light and mesh" sandbox="allow-scripts" '
        f'srcdoc="{source}"></iframe>'
    )


def download(answer: Answer, files: Mapping[str, bytes], missing: str = "") -> str:
    """A link that holds the zip, and what is in it."""
    known = everything.written()
    rows = []
    for name, content in files.items():
        what = max((e for e in known if name.endswith(e)), key=len, default="")
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{len(content) / 1000:,.0f} kB</td>"
            f"<td>{escape(known.get(what, ''))}</td></tr>"
        )
    size = len(answer.content) / 1e6
    lacks = notice(missing, is_error=True) if missing else ""
    return (
        f'{lacks}<p><a class="fr-download" download="{escape(answer.name)}" '
        f'href="{_uri(answer.content, answer.media_type)}">Download everything '
        f"({size:.1f} MB, zip)</a></p>"
        f'<div class="fr-scroll"><table class="fr-table">{"".join(rows)}</table></div>'
        "<p class='fr-note'>photo.html opens in any browser, without a network.</p>"
    )


def figure(content: bytes, name: str, text: str) -> str:
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
    return (
        f'<figure><img src="{_uri(content, kind)}" alt="{escape(name)}">'
        f"<figcaption><b>{escape(name)}.</b> {escape(text)}</figcaption></figure>"
    )


def _warnings(face: Mapping[str, Any]) -> str:
    return "".join(notice(f"Not to be relied on: {text}", True) for text in face["warnings"])


def _nothing(what: str) -> str:
    return notice(f"No {what}: the photo shows no face that a mesh could be fitted to.", True)


def _uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"
