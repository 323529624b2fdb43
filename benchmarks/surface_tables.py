"""Tables of what normals do for depth and for coarse meshes."""

from __future__ import annotations

from typing import Any

import numpy as np

from facerelief.evaluate.report import spread, table
from facerelief.evaluate.scores import mean_and_error

BETTER = 0.3  # of the error of the best smoothing


def depth_markdown(result: dict[str, Any]) -> str:
    """The table of depth.py."""
    frames = result["frames"]
    rows = [
        [
            f"{one['frame']}{' (tuned on)' if one['tuned'] else ''}",
            f"{one['raw']:.1f}°",
            *(f"{one[kind][0]:.2f}° ({one[kind][1].split(' ', 1)[1]})"
              for kind in ("gaussian", "bilateral")),
            f"{one['photo']:.2f}°",
            f"{one['refined']:.2f}°",
            f"{100 * one['better']:.1f} %",
            "yes" if one["better"] >= BETTER else "no",
        ]
        for one in frames
    ]  # fmt: skip

    def means(frames: list[dict[str, Any]]) -> list[str]:
        kinds = [np.mean([one[kind][0] for one in frames]) for kind in ("gaussian", "bilateral")]
        raw, photo, refined = (
            np.mean([one[key] for one in frames]) for key in ("raw", "photo", "refined")
        )
        better = np.mean([one["better"] for one in frames])
        return [f"{raw:.1f}°", *(f"{kind:.2f}°" for kind in kinds), f"{photo:.2f}°",
                f"{refined:.2f}°", f"{100 * better:.1f} %", ""]  # fmt: skip

    others = [one for one in frames if not one["tuned"]]
    rows += [["mean", *means(frames)], ["mean of those not tuned on", *means(others)]]
    held = sum(one["better"] >= BETTER for one in frames)
    moved = np.array([one["moved_mm"] for one in frames])
    common = min(one["better_than_all_frames_best"] for one in frames)
    seconds = np.median([one["seconds"] for one in frames])
    columns = ["Frame", "Raw depth", "Best Gaussian", "Best bilateral", "Photo alone (`"
               + result["system"] + "`)", "Refined", "Better than the best smoothing",
               f"At least {100 * BETTER:.0f} %"]  # fmt: skip
    return f"""\
{len(frames)} frames of a Kinect, one person: mean angle to the normals of the mesh that is \
registered to each, degrees, on the face with its forehead. Smoothings are the best of each frame, \
chosen knowing the truth, holes filled; `{result["smoothing_of_all"]}` is the best of all frames, \
than which the least improvement is {100 * common:.0f} %.

{table(columns, rows)}

{held} of {len(frames)} frames reach the target. Depth was moved to the face by \
{moved[:, 0].mean():.1f} ± {moved[:, 0].std():.1f} mm across and \
{moved[:, 1].mean():.1f} ± {moved[:, 1].std():.1f} mm upwards, found in each frame by itself: the \
rig does not change. {seconds:.2f} seconds of one core a frame, without network and files.
"""


_SETS = {"yaleb": "Yale B", "basel": "scans"}
_SHOWN = {
    "yaleb": "{} photographs of {} test people of Extended Yale B under the lights of S1 to S4",
    "basel": "{} pictures of {} scans turned about random axes",
}
_NAMES = {"yaleb": 7, "basel": 11}  # letters of a picture's name that are the person's


def enhance_markdown(result: dict[str, Any]) -> str:
    """The table of enhance.py."""
    whole = [one for one in result["pictures"] if "degrees" in one]
    sets = {kind: [one for one in whole if one["kind"] == kind] for kind in _SETS}
    sets = {kind: ones for kind, ones in sets.items() if ones}

    def cells(name: str) -> list[str]:
        coarse = f"{name.partition(',')[0]}, coarse"
        row = []
        for ones in sets.values():
            own = [one["degrees"][name] for one in ones]
            row.append(spread(mean_and_error(own)))
            if name == coarse or name == result["normals"]:
                row += ["", ""]
                continue
            gains = np.array([one["degrees"][coarse] for one in ones]) - own
            row += [spread(mean_and_error(-gains)), f"{(gains > 0).sum()} of {len(ones)}"]
        return row

    names = [name for name in whole[0]["degrees"] if name != result["normals"]]
    rows = [[name, *cells(name)] for name in names]
    rows.append([f"the photo's normals, `{result['normals']}`", *cells(result["normals"])])
    columns = [f"{_SETS[kind]}, {len(ones)} pictures" for kind, ones in sets.items()]
    headings = [head for column in columns for head in (column, "Change", "Better in")]
    shown = " and ".join(
        _SHOWN[kind].format(len(ones), len({one["name"][: _NAMES[kind]] for one in ones}))
        for kind, ones in sets.items()
    )
    failed = len(result["pictures"]) - len(whole)
    share = np.mean([one["share"] for one in whole])
    off = np.median([list(one["landmarks_off"].values()) for one in whole])
    cost = result["cost"]
    return f"""\
Mean angle to true normals, degrees, means over pictures ± standard errors, at the same pixels in \
all rows ({100 * share:.0f} % of those that have a true one): {shown}. \
Coarse meshes are what `facerelief mesh` writes, read back and laid into the picture by landmarks \
(median {off:.1f} % off); maps have {result["map"]} pixels and are shaded as glTF is.

{table(["", *headings], rows)}

{failed} of {len(result["pictures"])} pictures are left out, since a mesh was not made or not \
placed. A whole process on the astronaut with the mesh of `prnet`: {cost["cpu_seconds"]:.1f} s of \
processor time, {cost["peak_mb"]} MB.
"""
