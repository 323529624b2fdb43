"""Faces of photos under new light, at the photo's own size.

Normals of `fine`, in the usual crop and a larger one, are integrated for the shadows that they
cast; `geometry.relightable` takes the photo apart under the light that fits it. What is no face
keeps its light, and gives way to the face softly, along the edge of the hair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.arrays import FloatArray
from facerelief.easing import smooth_step
from facerelief.fine import LEAST, MOST, at_size, native_size, painted
from facerelief.geometry.environment import environment_lights
from facerelief.geometry.light import Light, linear_to_srgb, srgb_to_linear
from facerelief.geometry.lights import Lights
from facerelief.geometry.normals import normalise
from facerelief.geometry.relightable import Relightable, Surface, planar
from facerelief.images import Pixels, Source, open_photo
from facerelief.photo_frame import CLEAR, normals_in_photo, soft_mask
from facerelief.retouch import Change, with_changes
from facerelief.types import Crop, Face

KEEP = 0.12  # of the photo's own light that stays beside the new one

#: Side of the crops that are good round faces, over the usual one: hair, ears and throat are in it.
AROUND = 1.5

_FADE = 0.13  # of such a crop's side: where the new light has come in fully
_SURE = 0.9  # of an alpha: skin
_ROWS = 256  # of a large photo that change together
_DARK = np.float32(0.002)  # linear light beside which a gain means nothing
_STEPS = 65535
_TO_LINEAR = srgb_to_linear(np.arange(256) / 255).astype(np.float32)

#: What a face can be lit by: a light, several of them, or an environment (H, 2 H, 3), linear RGB.
AnyLight = Light | Lights | NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Relighting:
    """A face of a photo, ready for any light: what is made once, in a window of the photo.

    Windows larger than `fine.MOST` pixels are worked on at a whole fraction of their size.
    """

    window: tuple[slice, slice]  # rows and columns of the photo
    factor: int  # pixels of the photo, along a side, of one here
    pixels: NDArray[np.uint8]  # (h, w, 3) the photo's
    alpha: NDArray[np.float32]  # (h, w) where the face is
    parts: Relightable  # albedo, shading, normals; already times alpha

    @classmethod
    def of(cls, photo: Source, face: Face, around: Face | None = None) -> Relighting:
        """Prepare a face that an estimator found in `photo`.

        Args:
            photo: a path or what else `load_photo` reads.
            face: with its normals.
            around: the same face in a larger crop (`Place.enlarged` by `AROUND`): forehead, ears
                and throat are relit, too.

        Raises:
            PhotoError: the photo cannot be read.
            ValueError: too little or too dark a face to tell its light.
        """
        image = open_photo(photo)
        outer = face if around is None else around
        window = outer.crop.window(outer.photo_size)
        size = tuple(part.stop - part.start for part in window)
        if min(size) < 16:
            raise ValueError("hardly any of the face is in the photo")
        factor = ceil(max(size) / MOST)
        pixels = _reduced(image[window], factor)
        faces = [
            _moved(_sized(one, image, factor, one is face), window, factor, pixels.shape[:2])
            for one in (face, around)
            if one is not None
        ]
        normals, alpha = _laid(faces)
        skin = (alpha > _SURE) * (1 - _features(faces[0], pixels.shape[:2]))
        surface = Surface.of(normals, alpha > 0)
        parts = Relightable.of(
            _TO_LINEAR[pixels], surface, skin.astype(np.float32), alpha, face.crop.angle
        )
        return cls(window, factor, pixels, alpha, parts)

    @property
    def lights(self) -> Lights:
        """The photo's own, as its face shows them; its brightest skin faces a shading of 1."""
        return self.parts.lights

    def exposed(self, lights: Lights) -> Lights:
        """`lights` made so strong that the face's brightest skin is as bright as in the photo."""
        bright = self.parts.brightness(lights)
        if not bright > 0:
            raise ValueError("the light does not reach the face")
        return lights.scaled(1 / bright)

    def lights_of(self, light: AnyLight) -> Lights:
        """A light as the lights that this face is lit by: see `under` for how strong they are.

        Raises ValueError for a light that is not finite, or an environment that is black.
        """
        if isinstance(light, Light):
            light = Lights.of(light)
        if isinstance(light, Lights):
            if not all(
                np.isfinite(v).all() for v in (light.directions, light.colours, light.ambient)
            ):
                raise ValueError("a light whose numbers are not finite")
            return light
        return self.exposed(environment_lights(light))

    def under(self, light: AnyLight, keep: float = KEEP) -> NDArray[np.uint8]:
        """(h, w, 3) the window under a light.

        Args:
            light: white of strength 1 is, where it meets the skin straight, as bright as the
                photo's brightest skin; environments are as bright as the photo's own light.
            keep: share of the photo's own light that stays.
        """
        return _encoded(self._linear(light, keep))

    def changes(self, light: AnyLight, photo: Pixels, keep: float = KEEP) -> Iterator[Change]:
        """How the photo's pixels change, for `retouch.retouched`: a few rows at a time."""
        new = self._linear(light, keep)
        if self.factor == 1:
            yield self.window, _encoded(new).astype(np.float32) - self.pixels
            return
        gain = (new + _DARK) / (_TO_LINEAR[self.pixels] + _DARK)
        rows, columns = self.window
        for top in range(rows.start, rows.stop, _ROWS):
            part = slice(top, min(top + _ROWS, rows.stop))
            old = np.asarray(photo[part, columns])
            larger = _enlarged(gain, self.factor, part.start - rows.start, old.shape[:2])
            changed = _encoded((_TO_LINEAR[old] + _DARK) * larger - _DARK)
            yield (part, columns), changed.astype(np.float32) - old

    def _linear(self, light: AnyLight, keep: float) -> NDArray[np.float32]:
        if not 0 <= keep <= 1:
            raise ValueError(f"the share of the old light is from 0 to 1, not {keep}")
        result = self.parts.under(self.lights_of(light))
        own = 1 - self.alpha * np.float32(1 - keep)
        for plane in range(3):
            result[..., plane] += self._own[..., plane] * own
        return result

    @cached_property
    def _own(self) -> NDArray[np.float32]:
        """(h, w, 3) linear light of the photo."""
        return planar(_TO_LINEAR[self.pixels])


def relight(
    photo: Source,
    face: Face,
    light: AnyLight,
    around: Face | None = None,
    keep: float = KEEP,
) -> NDArray[np.uint8]:
    """A photo (H, W, 3) with one of its faces under another light.

    For several lights, `Relighting.of` prepares the face once.

    Args:
        photo: a path or what else `load_photo` reads.
        face: as an estimator found it there.
        light: a `Light`, such as `Light.from_angles(60, 20)`; `Lights`, such as those of another
            photo's face (`Relighting.lights`); or an environment (H, 2 H, 3), linear RGB,
            equirectangular, its middle where the camera looks.
        around: the same face in a larger crop (`Place.enlarged(1.5)`): what lies round it is relit.
        keep: share of the photo's own light that stays beside the new one.

    Raises:
        PhotoError: the photo cannot be read.
        ValueError: a face too small or too dark; a light that is not finite or does not reach it.
    """
    image = open_photo(photo)
    prepared = Relighting.of(image, face, around)
    return with_changes(image, prepared.changes(light, image, keep))


def _reduced(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor == 1:
        return np.ascontiguousarray(pixels)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).reduce(factor))


def _sized(face: Face, image: Pixels, factor: int, detail: bool) -> Face:
    """The face's surface in the pixels of the window."""
    size = max(min(native_size(face), round(face.crop.side / factor)), LEAST)
    return face if size == face.crop.size else at_size(face, image, size, detail)


def _moved(face: Face, window: tuple[slice, slice], factor: int, shape: tuple[int, ...]) -> Face:
    """The face in the window as if that were the photo."""
    corner = np.array([window[1].start, window[0].start])
    crop, place = face.crop, face.place
    x, y = (np.asarray(crop.centre) - corner) / factor
    moved = replace(crop, centre=(float(x), float(y)), side=crop.side / factor)
    points = (place.points - corner) / factor
    inside = replace(place, crop=moved, points=points, photo_size=(shape[0], shape[1]))
    return replace(face, place=inside, shape=None)


def _laid(faces: Sequence[Face]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normals (h, w, 3) and alpha (h, w) of a face over itself in a larger crop, if there is one.

    The larger one reaches farther into its corners than `photo_frame.normals_in_photo` lets it:
    what is left out of a forehead would keep its old light.
    """
    face, *rest = faces
    normals, alpha = normals_in_photo([face])
    if not rest:
        return normals, alpha
    below, beside = normals_in_photo([_faded(one) for one in rest])
    crop, size = face.crop, face.crop.size
    cover = soft_mask(np.ones((size, size), np.float32))
    whole = (slice(0, alpha.shape[0]), slice(0, alpha.shape[1]))
    over = crop.paste_window(cover, np.ones((size, size), bool), whole)[0]
    alpha = alpha + (1 - over) * beside
    normals = normalise(normals * over[..., None] + below * (1 - over)[..., None])
    return normals.astype(np.float32) * (alpha > 0)[..., None], np.minimum(alpha, 1)


def _faded(face: Face) -> Face:
    """The same with an alpha that falls towards the crop's edges over what is round the face."""
    opacity = face.surface.opacity
    places = (np.arange(len(opacity)) + 0.5) / len(opacity)
    rise = smooth_step(np.minimum(places, 1 - places), CLEAR, _FADE).astype(np.float32)
    return replace(face, surface=replace(face.surface, alpha=opacity * rise * rise[:, None]))


def _features(face: Face, shape: tuple[int, ...]) -> FloatArray:
    """(h, w) in [0, 1]: brows, eyes and lips, as far as they are known."""
    side = max(shape)
    found = painted(Crop((side / 2, side / 2), float(side), size=side), face.points)
    return np.zeros(shape[:2], np.float32) if found is None else found[: shape[0], : shape[1]]


def _encoded(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """sRGB of linear light (h, w, 3), clipped."""
    result = np.empty(linear.shape, np.uint8)
    table = _table()
    for plane in range(linear.shape[2]):
        steps = np.clip(linear[..., plane], 0, 1)
        steps *= np.float32(_STEPS)
        steps += np.float32(0.5)
        result[..., plane] = table.take(steps.astype(np.uint16))
    return result


@cache
def _table() -> NDArray[np.uint8]:
    values = linear_to_srgb(np.arange(_STEPS + 1) / _STEPS)
    return np.rint(values * 255).astype(np.uint8)


def _enlarged(
    layer: NDArray[np.float32], factor: int, top: int, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Rows of a layer (h, w, C) at the photo's size, from row `top` of the window on."""
    box = (0.0, top / factor, shape[1] / factor, (top + shape[0]) / factor)
    size = (shape[1], shape[0])
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box))
        for plane in np.ascontiguousarray(np.moveaxis(layer, -1, 0))
    ]
    return np.stack(planes, axis=-1)
