"""What the values of a picture mean: its pixels as 8-bit sRGB, or one line that says why not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from facerelief.inputs import PhotoError

Bytes = NDArray[np.uint8]

_STRIP = 2**21  # pixels that are converted at a time: bounds what conversions hold beside a picture
_PHOTOMETRIC = 262  # the TIFF tag: 0 where white is zero
_BITS, _PLANES = 258, 284  # of a channel; 2 where each colour is a plane of its own
#: Whites of integers of more than 8 bits, from 8, 10, 12 and 16 bits. What fills only the lowest
#: bits of 16 comes from a camera of so many bits: as 16 bits it would be all but black.
_WHITES = (255, 1023, 4095, 65535)
_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # of ICC profiles, and Pillow's modes


@dataclass(frozen=True)
class Meaning:
    """How to read the values of a loaded picture, and of all its parts."""

    white: float | None = None  # of pictures that have more than 8 bits
    inverted: bool = False  # zero is white
    gamma: float | None = None  # values are light to the power of it, where that is not sRGB's
    transform: Callable[[Image.Image], Image.Image] | None = None  # by a profile, to sRGB
    mode: str = "RGB"  # that `transform` takes
    back: Callable[[Image.Image], Image.Image] | None = None  # from sRGB, if the profile has a way

    @property
    def is_plain(self) -> bool:
        """Whether the values of an RGB picture are sRGB."""
        return self.gamma is None and self.transform is None

    @classmethod
    def of(cls, image: Image.Image, deep: bool, name: str) -> Meaning:
        """That of a loaded picture. Raises PhotoError, with `name`, for what cannot be told.

        `deep` says that it had more bits in its file than Pillow has left of them.
        """
        gamma = _gamma(image)
        if image.mode.startswith(("I", "F")):
            tags = getattr(image, "tag_v2", {})
            return cls(_white(image, name), tags.get(_PHOTOMETRIC) == 0, gamma)
        if deep and 0 < _highest(image) <= _WHITES[2] >> 8:
            raise PhotoError(f"{name}: 12 bits or fewer in 16, in colour: they cannot be read")
        found = _transform(image)
        return cls(gamma=gamma) if found is None else found

    def pixels(self, image: Image.Image) -> Bytes:
        """RGB uint8 (H, W, 3) of the picture or a part of it; transparency is laid over white."""
        result = np.empty((image.height, image.width, 3), np.uint8)
        for top, strip in strips(image):
            result[top : top + strip.height] = self._pixels(strip)
        return result

    def values(self, colours: Bytes) -> Bytes:
        """What `pixels` would read as `colours` (H, W, 3), for 8 bits: (H, W, 3) or grey (H, W).

        Raises ValueError where the picture's profile says the way to sRGB alone.
        """
        if self.transform is not None:
            if self.back is None:
                raise ValueError("a profile without a way back")
            return np.asarray(self.back(Image.fromarray(colours)))
        if self.gamma is None:
            return colours
        values = np.arange(256) / 255
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        steps = np.rint(light**self.gamma * 255).astype(np.uint8)
        return steps[colours]

    def _pixels(self, image: Image.Image) -> Bytes:
        """Those of a strip: (H, W, 3), or (H, W, 1) for grey."""
        if self.white is not None:
            values = np.clip(np.asarray(image) / self.white, 0, 1)
            values = 1 - values if self.inverted else values
            return np.rint(self._light(values) * 255).astype(np.uint8)[..., None]
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"))[..., None].astype(np.float32) / 255
            colours = self._colours(image.convert("RGB"))
            return np.rint(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return self._colours(image)

    def _colours(self, image: Image.Image) -> Bytes:
        if self.transform is not None:
            image = image if image.mode == self.mode else image.convert(self.mode)
            return np.asarray(self.transform(image))
        values = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        if self.gamma is None:
            return values
        steps = np.rint(self._light(np.arange(256) / 255) * 255).astype(np.uint8)
        return steps[values]

    def _light(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values in [0, 1] of the picture's own gamma to those of sRGB."""
        if self.gamma is None:
            return values
        light = values ** (1 / self.gamma)
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def strips(image: Image.Image, rows: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """The picture in parts over all its width, a multiple of `rows` high, with their first rows."""
    height = max(_STRIP // (rows * image.width), 1) * rows
    for top in range(0, image.height, height):
        bottom = min(top + height, image.height)
        yield top, image.crop((0, top, image.width, bottom))


def check_layout(image: Image.Image, name: str) -> None:
    """Raises PhotoError for an opened picture that Pillow reads, but wrongly."""
    tags = getattr(image, "tag_v2", {})
    bits = np.max(tags.get(_BITS, 8))
    if tags.get(_PLANES) == 2 and bits > 8:
        raise PhotoError(f"{name}: {bits} bits, its colours one after another: cannot be read")


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that is opened, not loaded, loses bits when it is."""
    return not image.mode.startswith(("I", "F")) and any(
        ";16" in str(tile) for tile in getattr(image, "tile", ())
    )


def _white(image: Image.Image, name: str) -> float:
    """The value that stands for white, of integers of more than 8 bits and of floats."""
    low, high = 0.0, 0.0
    for _, strip in strips(image):
        values = np.asarray(strip)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise PhotoError(f"{name}: values that are no numbers")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low < 0:
        raise PhotoError(f"{name}: values down to {low:g}, a photo has none below 0")
    if image.mode == "F":
        if high <= 1:
            return 1.0
        # From 1 to 16 lie the lights of linear pictures, which no 8 bits were ever as dark as.
        if not 16 < high <= 255:
            raise PhotoError(f"{name}: float values up to {high:g}, not 1 or 255")
        return 255.0
    if high > _WHITES[-1]:
        raise PhotoError(f"{name}: values up to {high:g}, a photo has 16 bits at most")
    return next(white for white in _WHITES if high <= white)


def _highest(image: Image.Image) -> float:
    """The highest value of any colour."""
    bands = zip(image.getbands(), np.atleast_2d(image.getextrema()), strict=True)
    return max(float(high) for band, (_, high) in bands if band not in "Aa")


def _gamma(image: Image.Image) -> float | None:
    """The exponent that a PNG declares, if it is not about that of sRGB."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or "srgb" in image.info or not 0.1 <= gamma <= 2:
        return None
    return None if abs(2.2 * gamma - 1) < 0.1 else gamma


def _transform(image: Image.Image) -> Meaning | None:
    """The meaning of a picture with a profile; None where its values are sRGB."""
    profile: Any = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source, mode = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = _SPACES[source.profile.xcolor_space.strip()]
            if "srgb" in (source.profile.profile_description or "").lower():
                return None
            grey, four = image.mode in ("1", "L", "LA", "La"), image.mode == "CMYK"
            if (mode == "L", mode == "CMYK") != (grey, four):
                return None  # of another kind of picture
        else:
            return None
        target = ImageCms.createProfile("sRGB")
        there = _way(source, target, mode, "RGB")
    except (ImageCms.PyCMSError, KeyError, OSError, TypeError, ValueError):
        return None  # a broken profile is ignored, as browsers do
    try:
        back = _way(target, source, "RGB", mode)
    except ImageCms.PyCMSError:
        back = None
    return Meaning(transform=there, mode=mode, back=back)


def _way(source: Any, target: Any, mode: str, out: str) -> Callable[[Image.Image], Image.Image]:
    """From pictures of `mode` and one profile to those of `out` and another. Raises PyCMSError."""
    built = ImageCms.buildTransform(source, target, mode, out)
    return lambda part: ImageCms.applyTransform(part, built) or part
