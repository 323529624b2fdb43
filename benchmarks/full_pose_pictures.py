"""The documentation's picture of full pose: docs/pictures/full_pose.jpg.

    FACERELIEF_DATA=... python benchmarks/full_pose_pictures.py [--system full_pose] [--kinds ...]

The portrait in the public domain, and of fourteen rendered heads whose skins are CC0 two in small
poses, the two in the largest, and of the rest the two whose landmarks the system misses most. A
line is the picture, PRNet's mesh, the system's, and each kind of relief on that; then the smooth
mesh and the last kind lit from the side.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from plaster import Picture, coarse, cropped, plaster, sheet
from specimens import PICTURES
from tables import ROOT

import facerelief as fr
from facerelief.data.folders import data_root
from facerelief.detail import Maker, available, kind_of
from facerelief.detailed import DetailedFace
from facerelief.evaluate.landmarks import normalised_error
from facerelief.render.renderer import render
from facerelief.synth.assets import Assets
from facerelief.synth.draw import Heads, SynthOptions
from facerelief.synth.setting.camera import PoseRange

SIDE, LINE = 200, 22  # pixels of a picture, and of its heading
SEED, COUNT = 2026, 14
SMALL = 30  # degrees of yaw


@dataclass(frozen=True, eq=False)
class Seen:
    """A head whose pose is known, and what the system says of it."""

    photo: Picture
    yaw: float  # degrees, without sign
    error: float  # percent, of its landmarks
    face: fr.Face


def heads(estimator: fr.Estimator) -> list[Seen]:
    """Rendered heads with room round them, in all poses, of which a face is found."""
    options = SynthOptions(lifted=False, margin=1.7, size=400, pose=PoseRange(85, 15, 10))
    drawn = Heads(Assets.find(data_root()), options, SEED)
    seen = []
    for index in range(COUNT):
        head = render(drawn.scene(index))
        faces = [f for f in estimator(head.photo, max_faces=1) if f.sound is not None]
        if faces:
            yaw = abs(np.degrees(np.arctan2(head.rotation[0, 2], head.rotation[2, 2])))
            error = normalised_error(faces[0].landmarks, head.landmarks[:, :2])
            seen.append(Seen(np.asarray(head.photo), float(yaw), error, faces[0]))
    return seen


def chosen(seen: list[Seen]) -> list[tuple[str, Seen]]:
    """Two of small poses, the two of the largest, and of the rest the two that are missed most."""
    small = [one for one in seen if one.yaw <= SMALL][:2]
    large = sorted(seen, key=lambda one: one.yaw)[-2:]
    rest = [one for one in seen if one not in (*small, *large)]
    worst = sorted(rest, key=lambda one: -one.error)[:2]
    return [
        *((f"yaw {one.yaw:.0f}°", one) for one in (*small, *large)),
        *((f"missed, {one.yaw:.0f}°", one) for one in worst),
    ]


def line(
    photo: Picture, face: fr.Face, prnet: fr.Estimator, makers: dict[str, Maker]
) -> list[Picture]:
    """The pictures of one photo."""
    (other,) = prnet.estimate(photo, [face.place])
    smooth = coarse(face)
    made = [DetailedFace(face, maker(face, photo)) for maker in makers.values()]
    first = plaster(coarse(other), "front", SIDE) if other.sound is not None else _blank()
    return [
        cropped(photo, face, SIDE),
        first,
        *(plaster(one, "front", SIDE) for one in (smooth, *made)),
        *(plaster(one, "raking", SIDE) for one in (smooth, made[-1])),
    ]


def titled(pictures: Picture, columns: list[str], rows: list[str]) -> Image.Image:
    """With a heading over each column, and each row's name in its first picture."""
    canvas = Image.new("RGB", (pictures.shape[1], pictures.shape[0] + LINE), "white")
    canvas.paste(Image.fromarray(pictures), (0, LINE))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for index, text in enumerate(columns):
        draw.text(((index + 0.5) * SIDE, LINE / 2), text, "black", font, anchor="mm")
    for index, text in enumerate(rows):
        draw.text((4, LINE + (index + 1) * SIDE - 4), text, "white", font, anchor="lb",
                  stroke_width=2, stroke_fill="black")  # fmt: skip
    return canvas


def _blank() -> Picture:
    return np.full((SIDE, SIDE, 3), 255, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--system", default="full_pose")
    parser.add_argument("--kinds", default=",".join(available()), help="comma-separated")
    options = parser.parse_args()
    estimator, prnet = fr.load(options.system), fr.load("prnet")
    makers = {kind: kind_of(kind)(512, 1) for kind in options.kinds.split(",")}
    portrait = fr.load_photo(ROOT / "examples" / "astronaut.jpg")
    shown = [("", portrait, estimator(portrait, max_faces=1)[0])]
    shown += [(name, one.photo, one.face) for name, one in chosen(heads(estimator))]
    pictures = sheet([line(photo, face, prnet, makers) for _, photo, face in shown])
    last = list(makers)[-1]
    columns = ["", "PRNet", options.system, *makers, f"{options.system}, side", f"{last}, side"]
    titled(pictures, columns, [name for name, *_ in shown]).save(
        PICTURES / "full_pose.jpg", quality=86
    )


if __name__ == "__main__":
    main()
