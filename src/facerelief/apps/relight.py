"""Photos under new light: what `facerelief relight` makes of one photo."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.apps import photos
from facerelief.apps.products import Photo, Product
from facerelief.encode import MARK, picture_format, to_jpeg, to_picture
from facerelief.geometry.light import Light, angles
from facerelief.geometry.lights import Lights
from facerelief.images import Pixels
from facerelief.inputs import PhotoError
from facerelief.relighting import AROUND, KEEP, Relighting
from facerelief.retouch import Change, retouched, with_changes
from facerelief.runtime import Estimator
from facerelief.types import Face

#: What is written: the file's ending, and what it is. A still picture has its format's suffix.
RELIT = {"picture": ("_relit", "the photo under the new light")}
SPIN = {
    "gif": ("_spin.gif", "the light going round the face"),
    "sheet": ("_spin.jpg", "the same as one picture"),
}
_JSON = "the light, the photo's own, crop, box, model"

_FRAMES = 24  # of a turn
_PAUSE = 80  # ms a frame
_SWING = 65.0, 40.0  # degrees: azimuth and elevation of the ellipse that a light goes along
_SIDE = 480  # pixels of a GIF's longer side, at most
_SHEET = 4, 3  # columns and rows


@dataclass(frozen=True, eq=False)
class Options:
    """Under which light, and what to write."""

    light: Light | Lights | NDArray[np.float32] | None = None  # None: one goes round (`spin`)
    strength: float = 1.0  # that light times so much
    keep: float = KEEP  # of the photo's own light
    suffix: str = ".png"  # of the picture
    search: photos.Search = field(default_factory=photos.Search)
    said: dict[str, Any] = field(default_factory=dict)  # of the light, for the sidecar

    def __post_init__(self) -> None:
        picture_format(self.suffix)
        if not (np.isfinite(self.strength) and self.strength >= 0):
            raise ValueError(f"a light's strength is 0 or more, not {self.strength}")
        if not 0 <= self.keep <= 1:
            raise ValueError(f"the share of the old light is from 0 to 1, not {self.keep}")


def written(spin: bool, suffix: str) -> dict[str, str]:
    """The endings of what is written, and what they hold."""
    if spin:
        return {**dict(SPIN.values()), "_spin.json": _JSON}
    ending, what = RELIT["picture"]
    return {ending + suffix: what, "_relit.json": _JSON}


def produce(photo: Photo, estimator: Estimator, options: Options) -> Product:
    """`photo` with all its faces under the light of `options`, or under one that goes round.

    Raises PhotoError for a photo without a face, or whose faces do not tell their light.
    """
    faces = photos.find_faces(photo, estimator, options.search)
    prepared = _prepared(photo, estimator, faces, options.search)
    if options.light is None:
        files = _spun(photo, prepared, options.keep)
    else:
        content = _relit(photo, prepared, options)
        files = {photo.stem + RELIT["picture"][0] + options.suffix: content}
    ending = "_spin.json" if options.light is None else "_relit.json"
    sidecar = {
        **photos.describe_place(photo, faces[0]),
        "light": options.said,
        "keep": options.keep,
        "faces": [_described(one, face) for one, face in zip(prepared, faces, strict=True)],
        **photos.describe_model(estimator),
        "files": sorted(files),
    }
    files[photo.stem + ending] = photos.to_json(sidecar)
    return Product([sidecar], files, photo.stem, ending)


def light_of(photo: Photo, estimator: Estimator) -> Lights:
    """The light on the largest face of a photo. Raises PhotoError as `produce`."""
    search = photos.Search(max_faces=1)
    (face,) = photos.find_faces(photo, estimator, search)
    return _prepared(photo, estimator, [face], search)[0].lights


def _prepared(
    photo: Photo, estimator: Estimator, faces: Sequence[Face], search: photos.Search
) -> list[Relighting]:
    """The faces, the largest last: where faces meet it lies on top."""
    around: list[Face | None] = [None] * len(faces)
    if not search.is_crop:
        larger = [face.place.enlarged(AROUND) for face in faces]
        around = list(estimator.estimate(photo.pixels, larger))
    try:
        return [Relighting.of(photo.pixels, *pair) for pair in zip(faces, around, strict=True)]
    except ValueError as error:
        raise PhotoError(f"{photo.source}: {error}") from None


def _relit(photo: Photo, prepared: Sequence[Relighting], options: Options) -> bytes:
    """The picture's file."""
    changes = _changes(photo.pixels, prepared, options)
    if photo.file is not None:
        return retouched(photo.file, changes, options.suffix, marked=True)
    return to_picture(with_changes(photo.pixels, changes), options.suffix)


def _changes(pixels: Pixels, prepared: Sequence[Relighting], options: Options) -> Iterator[Change]:
    for one in reversed(prepared):  # the largest last
        yield from one.changes(_for(one, options), pixels, options.keep)


def _for(one: Relighting, options: Options) -> Lights:
    """The light of `options` for one face."""
    assert options.light is not None
    return one.lights_of(options.light).scaled(options.strength)


def _spun(photo: Photo, prepared: Sequence[Relighting], keep: float) -> dict[str, bytes]:
    """A GIF and a sheet of the largest face under a light that goes round it."""
    face = prepared[0]
    frames = []
    for step in range(_FRAMES):
        turn = 2 * pi * step / _FRAMES
        light = Light.from_angles(_SWING[0] * cos(turn), _SWING[1] * sin(turn))
        image = Image.fromarray(face.under(light, keep))
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        frames.append(image)
    return {
        photo.stem + SPIN["gif"][0]: _gif(frames),
        photo.stem + SPIN["sheet"][0]: to_jpeg(_sheet(frames)),
    }


def _gif(frames: Sequence[Image.Image]) -> bytes:
    """An endless one, all frames in the colours of a sheet of them: they do not flicker."""
    few = _sheet(frames)
    palette = few.quantize(256, Image.Quantize.MEDIANCUT)
    drawn = [
        frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames
    ]
    buffer = io.BytesIO()
    comment = MARK["Software"]
    first, *rest = drawn
    first.save(
        buffer, "GIF", save_all=True, append_images=rest, duration=_PAUSE, loop=0, comment=comment
    )
    return buffer.getvalue()


def _sheet(frames: Sequence[Image.Image]) -> Image.Image:
    """Twelve of them in rows."""
    columns, rows = _SHEET
    step = ceil(len(frames) / (columns * rows))
    width, height = frames[0].size
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, frame in enumerate(frames[::step]):
        sheet.paste(frame, (index % columns * width, index // columns * height))
    return sheet


def _described(one: Relighting, face: Face) -> dict[str, Any]:
    """A face's place and its own light, for the sidecar."""
    lights = one.lights
    azimuth, elevation = angles(lights.directions)
    return {
        "box": photos.rounded(face.box),
        "own_light": {
            "azimuth": photos.rounded(azimuth),
            "elevation": photos.rounded(elevation),
            "colours": photos.rounded(lights.colours),
            "ambient": photos.rounded(lights.ambient),
        },
    }
