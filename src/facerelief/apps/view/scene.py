"""What a page shows: faces, each as systems see it in its photo and as meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief.arrays import FloatArray
from facerelief.catalogue import Entry
from facerelief.crops import Crop
from facerelief.geometry.light import LUMINANCE, fit_sh, shade_sh, srgb_to_linear
from facerelief.geometry.normals import normalise
from facerelief.mesh_writing import Asset
from facerelief.photo_frame import normals_in_photo
from facerelief.types import Face

LEAST, MOST = 512, 1024  # pixels of a picture's side
_WIDE = 1.9  # of a face's crop: the side of the picture round it, which shows hair and neck
_RAISED = 0.04  # of that side: how far the picture's middle lies above the crop's
#: Of a photo's own shading over its average: what is darker would be noise under a bright light.
DARKEST, BRIGHTEST = 0.22, 2.0
_RIDGE = 1e-3  # of the light's fit: half a sphere does not fix all nine harmonics
_SPREAD = (0.02, 0.05, 0.11)  # of the side: how far normals are spread beyond the face, in steps


@dataclass(frozen=True, eq=False)
class Layers:
    """What one system says of a face, in the pixels of its picture."""

    name: str
    terms: str  # on which its weights may be used
    normals: NDArray[np.float32]  # (H, W, 3) unit, x right, y up, z towards the viewer
    alpha: NDArray[np.float32]  # (H, W) in [0, 1]: where it shows the face
    error: NDArray[np.float32] | None = None  # (H, W) degrees that it expects to be off


@dataclass(frozen=True, eq=False)
class Solid:
    """A mesh with what lies on it; its normal map is the detail that people can leave out."""

    name: str
    terms: str
    asset: Asset


@dataclass(frozen=True, eq=False)
class Subject:
    """A face, or a mesh of something else."""

    title: str
    picture: NDArray[np.uint8] | None  # (H, W, 3) sRGB, that all layers lie over
    layers: Sequence[Layers] = ()
    solids: Sequence[Solid] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Relightable:
    """What new light on a picture needs."""

    normals: NDArray[np.float32]  # (H, W, 3) unit: the layers' on the face, spread beyond it
    shading: NDArray[np.float32]  # (H, W) by the photo's own light, 1 on the face's average


def terms_of(entry: Entry) -> str:
    """On which terms the weights of a system may be used."""
    return f"{entry.tier}: {entry.licence}"


def window_round(crop: Crop, photo_size: tuple[int, int]) -> Crop:
    """The upright square of a photo (height, width) that a page shows of a face.

    It lies within the photo where the photo is large enough for the face's crop.
    """
    height, width = photo_size
    side = max(min(_WIDE * crop.side, height, width), crop.side)
    x, y = crop.centre[0], crop.centre[1] - _RAISED * side
    centre = (_within(x, side, width), _within(y, side, height))
    return Crop(centre, side, size=int(np.clip(round(side), LEAST, MOST)))


def _within(middle: float, side: float, length: int) -> float:
    return length / 2 if side >= length else float(np.clip(middle, side / 2, length - side / 2))


def layers_of(face: Face, around: Face | None, window: Crop, name: str, terms: str) -> Layers:
    """A face's normals and expected error in a `window` of its photo, by the system `name`.

    `around` is the same face in a larger crop, to be used where the face's own ends.
    """
    both = [_seen_in(window, one) for one in (face, around) if one is not None]
    normals, alpha = normals_in_photo(both[:1], both[1:])
    error = None
    for one in (around, face):
        if one is not None and one.expected_error is not None:
            here = _seen_in(window, one)
            values, inside = here.crop.paste(one.expected_error, one.mask, here.photo_size)
            error = values if error is None else np.where(inside, values, error)
    return Layers(name, terms, normals, alpha, error)


def _seen_in(window: Crop, face: Face) -> Face:
    """`face`, with the picture that an upright window shows for its photo."""
    x, y = window.to_crop(face.crop.centre)
    crop = replace(face.crop, centre=(float(x), float(y)), side=face.crop.side / window.scale)
    return replace(face, place=replace(face.place, crop=crop, photo_size=(window.size,) * 2))


def relightable(picture: NDArray[np.uint8], layers: Layers) -> Relightable:
    """What laying new light on `picture` (H, W, 3) takes, by the normals of `layers`.

    Hair and neck have no normals; those of the face are spread to them, less and less, until at
    some distance all face the viewer and are shaded as the face is on average. A face too small or
    too dark to see its light has an even one.
    """
    alpha = layers.alpha[..., None]
    values = np.concatenate([layers.normals * alpha, alpha], axis=-1)
    total, share = np.zeros_like(values), np.zeros_like(alpha)
    for sigma in _SPREAD:
        pixels = sigma * len(values)
        blurred = np.stack([gaussian_filter(one, pixels) for one in np.moveaxis(values, -1, 0)], -1)
        gain = np.clip(2.5 * blurred[..., 3:], 0, 1) * (1 - share)
        total += gain * blurred / np.maximum(blurred[..., 3:], 1e-4)
        share += gain
    spread = total[..., :3] + (1 - share) * np.array([0, 0, 1], np.float32)
    mixed = alpha * layers.normals + (1 - alpha) * spread
    normals = normalise(mixed).astype(np.float32)
    light = _light_of(picture, layers.normals, layers.alpha).astype(np.float32)
    reach = np.maximum(layers.alpha, share[..., 0])
    shading = 1 + reach * (np.clip(shade_sh(normals, light), DARKEST, BRIGHTEST) - 1)
    return Relightable(normals, shading)


def _light_of(picture: NDArray[np.uint8], normals: FloatArray, alpha: FloatArray) -> FloatArray:
    """(9,) harmonics of the light on a face, 1 on its average."""
    chosen = alpha > 0.9
    even = np.zeros(9)
    even[0] = 2 * np.sqrt(np.pi)  # of radiance 1 from everywhere
    if chosen.sum() < 500:
        return even
    step = max(int(chosen.sum()) // 20000, 1)
    seen = normals[chosen][::step]
    values = srgb_to_linear(picture[chosen][::step] / 255.0) @ LUMINANCE
    light = fit_sh(values, seen, ridge=_RIDGE, iterations=10)
    mean = float(shade_sh(seen, light).mean())
    return light / mean if mean > 1e-3 else even
