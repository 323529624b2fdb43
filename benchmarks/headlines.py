"""The README's table: what has a target, beside floors and peers."""

from __future__ import annotations

from typing import Any

from measured_tables import measured, target

from facerelief import catalogue
from facerelief.evaluate.report import table

# Degrees, people never seen, S1 to S4 pooled. Networks without a target are not in the README.
ACCURACY_TARGETS = {
    "casfne_compact": 13.0,
    "casfne_compact_yaleb": 10.5,
    "cross_modal_compact": 14.0,
    "fnr2r_compact": 14.0,
}
# Percent of the landmarks' box, by yaw of rendered heads and on photographs.
LANDMARK_TARGETS = {"0 to 30": 2.5, "30 to 60": 3.0, "60 to 90": 4.0}
PHOTOGRAPH_LANDMARK_TARGET = 4.0
SHAPE_TARGETS = (3.0, 4.0)  # percent of the outer corners of the eyes, near the front and at 60°
# The README's lines: figures of speed.json by section and name, and how they are called there.
HEADLINES = (
    ("crop", "milliseconds", "Network and post-processing, one 256 x 256 crop"),
    ("crop", "ratio", "The same, over a bare ResNet-18 in the same run"),
    ("process", "seconds", "`facerelief normals`, one 640 x 480 photo, whole process"),
    ("process", "memory", "Its peak memory"),
    ("mesh", "network", "The network of `prnet`, one 256 x 256 crop"),
    ("mesh", "seconds", "`facerelief mesh`, one 640 x 480 photo to a GLB, whole process"),
    ("second", "milliseconds", "A second photo in the same process, files written"),
    ("import", "seconds", "`import facerelief`"),
)


def headlines(
    photographs: dict[str, Any] | None,
    scans: dict[str, Any] | None,
    marks: dict[str, Any] | None,
    shapes: dict[str, Any] | None,
    speed: dict[str, Any] | None,
) -> str:
    """The README's table."""
    rows: list[list[str]] = []
    for name, system in shown(photographs).items():
        limit = ACCURACY_TARGETS.get(name)
        rows.append(
            [
                f"Mean angular error, photographs of people never seen in training: `{name}`",
                f"{system['pooled']['mean']:.1f}°",
                "" if limit is None else f"at most {limit:g}°",
            ]
        )
    for name, system in shown(scans).items():
        what = f"The same, renderings of real scans turned by up to 45°: `{name}`"
        rows.append([what, f"{system['random']['mean']:.1f}°", ""])
    for name, system in shaped(marks).items():
        found = {
            **{f"rendered heads, yaw {name}°": (system["yaws"][name], limit)
               for name, limit in LANDMARK_TARGETS.items()},
            "photographs": (system["photographs"], PHOTOGRAPH_LANDMARK_TARGET),
        }  # fmt: skip
        for where, (figure, limit) in found.items():
            what = f"68 landmarks, {where}, in % of their box: `{name}`"
            rows.append([what, f"{figure['mean']:.2f} %", f"at most {limit:g} %"])
    for name, system in shaped(shapes).items():
        for where, figure, limit in (
            ("yaw up to 20°", system["frontal"], SHAPE_TARGETS[0]),
            ("yaw 60°", system["yaws"]["60"], SHAPE_TARGETS[1]),
        ):
            what = f"Mesh to real scan, {where}, in % of the eyes' distance: `{name}`"
            rows.append([what, f"{figure['mean']:.2f} %", f"at most {limit:g} %"])
    if speed is not None:
        for section, name, what in HEADLINES:
            found = speed["sections"].get(section)
            if found and name in found["figures"]:
                figure = found["figures"][name]
                rows.append([what, measured(figure, found), target(figure)])
    return table(["", "Measured", "Target"], rows) if rows else "Not measured yet: `make bench`."


def shown(results: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The systems of a protocol that the README names: those with a target, floors and peers."""
    systems = results["systems"] if results else {}
    return {
        name: system
        for name, system in systems.items()
        if name in ACCURACY_TARGETS or "sha256" not in system
    }


def shaped(results: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The systems of a protocol on shapes that ship."""
    systems = results["systems"] if results else {}
    return {name: systems[name] for name in catalogue.systems() if name in systems}
