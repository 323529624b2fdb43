"""The tables of video.py."""

from __future__ import annotations

from typing import Any

from facerelief.evaluate.report import table

TARGET = 20  # pictures a second


def video_markdown(result: dict[str, Any]) -> str:
    """How steady, how late, how fast."""
    return (
        "\n\n".join(
            part(result[name])
            for name, part in (("steady", _steady), ("speed", _speed))
            if name in result
        )
        + "\n"
    )


def _steady(rows: dict[str, Any]) -> str:
    def pair(film: str, name: str, digits: int) -> list[str]:
        return [f"{rows[f'{film}, {kind}'][name]:.{digits}f}" for kind in ("raw", "smoothed")]

    lines = [
        [
            "At rest: the crop's centre is off its mean by, pixels of 256",
            *pair("at rest", "centre", 2),
        ],
        ["At rest: the crop's side is off its mean by, pixels of 256", *pair("at rest", "side", 2)],
        ["At rest: normals are off their mean by, degrees", *pair("at rest", "normals", 2)],
        ["Carried: the crop is behind, pictures", *pair("carried", "lag", 2)],
        ["Carried: it is off that path by, pixels of 256", *pair("carried", "centre", 2)],
        ["Rocked: the normals are behind, pictures", *pair("rocked", "lag", 2)],
    ]
    head = (
        "A face of 114 pixels in films of 640 x 480 at 30 pictures a second, with noise, "
        "compressed; carried at up to 1.7 of its sides a second, rocked by up to 45 degrees a "
        "second. Root mean squares, and delays that fit the known motion best."
    )
    return f"{head}\n\n{table(['What', '`--raw`', 'Smoothed'], lines)}"


def _speed(result: dict[str, Any]) -> str:
    rows = [
        [
            str(number),
            f"{one['busy_cores']}",
            f"{one['pictures_a_second']}",
            f"{one['bare_pictures_a_second']}",
            f"{one['work']} ms",
            f"{one['bare_work']} ms",
            f"{one['work'] / one['bare_work']:.2f}",
        ]
        for number, one in enumerate(result["rounds"], 1)
    ]
    facts = result["machine"]
    head = (
        "`normals --video side` of films of 640 x 480 with one face, two threads, beside "
        f"following and network alone (bare). {facts['cpu']}, {facts['cores']} cores, of which "
        f"other work kept some busy. The target is {TARGET} pictures a second."
    )
    columns = ["Round", "Cores busy before", "Pictures a second", "Bare", "Work a picture",
               "Bare work", "Ratio of work"]  # fmt: skip
    return f"{head}\n\n{table(columns, rows)}"
