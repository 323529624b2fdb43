"""Another skin on a photographed face: what the position maps of two photos make easy.

The texture of one face, hidden parts filled, is drawn with the shape and pose of another one in its
photo (Feng et al. 2018, whose demonstration this is). Its own light is taken off it, and it gets
that of the skin that it replaces, with its colour, as far as both change slowly over the face.
Where something covers the face, where neither side of the other one is seen, and beyond the crop,
the photo stays as it is; towards all of that, one skin gives way to the other softly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from facerelief.apps import photos
from facerelief.apps.covers import eyes, features, with_covers
from facerelief.apps.light_transfer import OFFSET, light_of, lit, logs, slow
from facerelief.apps.products import Photo, Product
from facerelief.apps.texture import MIRRORED, Texture, unwrap
from facerelief.arrays import BoolArray, FloatArray
from facerelief.easing import smooth_step
from facerelief.encode import to_picture
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import Raster
from facerelief.geometry.skin import drawn
from facerelief.geometry.skin_mesh import skin_mesh, skin_normals
from facerelief.images import Pixels
from facerelief.inputs import PhotoError
from facerelief.memory import give_back_freed_memory
from facerelief.photo_files import Picture
from facerelief.retouch import Change, retouched, with_changes
from facerelief.runtime import Estimator
from facerelief.sampling import bilinear
from facerelief.types import Crop, Face

_LARGEST = 1024  # pixels along the side of what is drawn; more is enlarged: a texture has no more
_AT_ONCE = 2**18  # pixels of the photo that are changed together
_SOFT = 0.07  # of the crop's side: over which the new skin gives way to the old one
_BORDER = 0.2  # the same at the crop's border, beyond which the face goes on
_SLOW = 0.05  # of the crop's side: light and skin colour change over more than that
_LOUDEST = 1.5  # detail of a darker photo is made no stronger than this
_EYES = 0.05  # what eyes and brows count in that, beside skin: each has its own
_GREY = np.array([[0.299], [0.587], [0.114]], np.float32)
_SPREAD = 2.0  # of sRGB values: a photo with less between its colours has none


@dataclass(frozen=True, eq=False)
class Planned:
    """How a photo will change. The networks that said so are needed no more."""

    photo: Photo
    crop: Crop  # of its face
    change: NDArray[np.float32]  # (size, size, 3) of the crop's sRGB values
    mask: BoolArray  # (size, size) where
    sidecar: dict[str, Any]

    def product(self, suffix: str) -> Product:
        """The picture of `suffix`. Raises PhotoError where the photo cannot be read in full."""
        give_back_freed_memory()  # for the largest photos, which are decoded in full now
        pixels = self.photo.pixels
        changes = _strips(pixels.shape[:2], self.crop, self.change, self.mask)
        if self.photo.file is None:
            content = to_picture(with_changes(pixels, changes), suffix)
        else:
            content = retouched(self.photo.file, changes, suffix)
        return Product([self.sidecar], {self.photo.stem + suffix: content})


def produce(
    photo: Photo,
    estimator: Estimator,
    other: Photo,
    suffix: str = ".png",
    masks: Estimator | None = None,
) -> Product:
    """`photo` with the skin of the largest face of `other` on its own, as a picture of `suffix`.

    Raises PhotoError as `plan` and `Planned.product`.
    """
    return plan(photo, estimator, other, masks).product(suffix)


def plan(
    photo: Photo, estimator: Estimator, other: Photo, masks: Estimator | None = None
) -> Planned:
    """What will change; `masks` is a system of normals, whose masks say what covers the faces.

    Raises PhotoError where either photo has no face, or one without a shape.
    """
    face, theirs = (_shaped(one, estimator, masks) for one in (photo, other))
    texture = _texture(other.pixels, theirs, relight=True)
    _release(other.pixels)
    del theirs
    changed = _change(photo.pixels, face, texture, relight=True)
    sidecar = {**photos.describe_place(photo, face), **photos.describe_model(estimator)}
    return Planned(photo, *changed, sidecar)


def swap(photo_a: Pixels, face_a: Face, photo_b: Pixels, face_b: Face) -> NDArray[np.uint8]:
    """Photo A (H, W, 3) with the skin of face B on face A: shape, pose and light stay A's.

    `apps.covers.with_covers` makes faces that know better what covers them.

    Raises:
        ValueError: a face without a shape.
    """
    texture = _texture(photo_b, face_b, relight=True)
    changed = _change(photo_a, face_a, texture, relight=True)
    return with_changes(photo_a, _strips(face_a.photo_size, *changed))


def with_texture(
    photo: Pixels, face: Face, texture: NDArray[np.uint8], relight: bool = True
) -> NDArray[np.uint8]:
    """`photo` (H, W, 3) with another texture (S, S, 3), in the built-in head's layout, on a face.

    Args:
        relight: give the texture the light and colour of the skin that it replaces.

    Raises:
        ValueError: a face without a shape.
    """
    known = np.full(texture.shape[:2], 255, np.uint8)
    changed = _change(photo, face, Texture(texture, known), relight)
    return with_changes(photo, _strips(face.photo_size, *changed))


def _strips(
    photo_size: tuple[int, ...], crop: Crop, change: NDArray[np.float32], mask: BoolArray
) -> Iterator[Change]:
    """The photo's rows and columns round the face, a few at a time, and how they change."""
    rows, columns = crop.window((photo_size[0], photo_size[1]))
    step = max(_AT_ONCE // max(columns.stop - columns.start, 1), 1)
    for top in range(rows.start, rows.stop, step):
        window = (slice(top, min(top + step, rows.stop)), columns)
        part, inside = crop.paste_window(change, mask, window)
        yield window, np.where(inside[..., None], part, 0)


def _texture(photo: Pixels, face: Face, relight: bool) -> Texture:
    """The skin of a face, without the light on it if it is to get another one."""
    skin = face.need_shape("another texture").skin
    if not relight:
        return unwrap(photo, face)
    picture = face.crop.extract(photo)
    seen = skin.mask & (_at_pixels(skin.points, len(picture), ~_covered(face)) > 0.5)
    light = light_of(picture, skin.normals, seen)
    return unwrap(photo, face, gain=np.exp(-lit(skin_normals(skin.points), light)))


def _change(
    photo: Pixels, face: Face, texture: Texture, relight: bool
) -> tuple[Crop, NDArray[np.float32], BoolArray]:
    """The face's crop, how much its pixels (size, size, 3) change, and where."""
    skin = face.need_shape("another texture").skin
    size = min(ceil(face.crop.side), _LARGEST)
    crop = Crop(face.crop.centre, face.crop.side, face.crop.angle, size)
    old = crop.extract(photo)
    _release(photo)
    points = skin.points * np.float32(size / face.crop.size)
    raster, mask = drawn(points, size)
    places = (raster.interpolate(skin_mesh().uv) * (1, -1) + (0, 1)) * len(texture.colours)
    new = bilinear(texture.colours, places)
    free = mask & (raster.interpolate((~_covered(face)).astype(np.float32)) > 0.5)
    free &= bilinear(texture.source[..., None], places)[..., 0] > MIRRORED / 2
    share = _share(free)
    if relight:
        if mask.any() and np.ptp(old[mask], axis=-1).mean() < _SPREAD:
            new = np.repeat(new @ _GREY, 3, axis=-1)
        normals = normalise(raster.interpolate(skin_normals(points)))
        feature, eye = (raster.interpolate(np.float32(part)) > 0.5 for part in (features(), eyes()))
        skin_seen = free & ~feature
        light = light_of(old, normals, skin_seen & crop.inside(face.photo_size))
        new = _relit(new, lit(normals, light)).astype(np.float32)
        weight = np.where(eye, _EYES, 1).astype(np.float32) * free
        new = _matched(old, new, weight, skin_seen)
    change = np.where(mask[..., None], (np.clip(new, 0, 255) - old) * share[..., None], 0)
    return crop, change.astype(np.float32), mask


def _share(free: BoolArray) -> NDArray[np.float32]:
    """(S, S) how much of the new skin is seen where there may be any of it, `free`."""
    size = len(free)
    centres = np.arange(size) + 0.5
    edge = np.minimum(centres, size - centres) / (_BORDER * size)
    depth = distance_transform_edt(free) / (_SOFT * size)
    share = np.minimum(depth, np.minimum(edge, edge[:, None]))
    return smooth_step(share).astype(np.float32)


def _matched(
    old: NDArray[np.uint8], new: NDArray[np.float32], weight: NDArray[np.float32], skin: BoolArray
) -> NDArray[np.float32]:
    """`new` (S, S, 3) with the slow changes of `old`, as `weight` (S, S) says where they are seen.

    Detail grows with the brightness, up to `_LOUDEST`: what is dark is mostly noise.
    """
    sigma = _SLOW * len(new)
    both = np.concatenate([logs(old), logs(new)], axis=-1)
    rest = both[..., :3] - both[..., 3:]
    rest -= slow(rest, weight, sigma)
    # Spots and edges of shadows, on one of the two, are unlike the rest of the skin.
    size = np.linalg.norm(rest, axis=-1)
    usual = 2.5 * max(float(np.median(size[skin])), 1e-3) if skin.any() else 1.0
    weight = np.where(skin, weight / (1 + (size / usual) ** 2), weight).astype(np.float32)
    means = slow(both, weight, sigma)
    theirs, own = np.exp(means[..., :3]), np.exp(means[..., 3:])
    louder = np.exp((means[..., :3] - means[..., 3:]).mean(-1, keepdims=True)).clip(0, _LOUDEST)
    result: NDArray[np.float32] = theirs + (new + OFFSET - own) * louder - OFFSET
    return result


def _relit(colours: FloatArray, light: FloatArray) -> FloatArray:
    return (colours + OFFSET) * np.exp(light) - OFFSET


def _covered(face: Face) -> BoolArray:
    """(M,) vertices of the skin that something is before."""
    skin = face.need_shape("another texture").skin
    return np.zeros(len(skin.points), bool) if skin.covered is None else skin.covered


def _at_pixels(points: FloatArray, size: int, values: BoolArray) -> FloatArray:
    raster: Raster = drawn(points, size)[0]
    return raster.interpolate(values.astype(np.float32))


def _shaped(photo: Photo, estimator: Estimator, masks: Estimator | None) -> Face:
    """The largest face, which has a shape. Raises PhotoError."""
    (face,) = photos.find_faces(photo, estimator, photos.Search(max_faces=1))
    if face.mesh is None:
        raise PhotoError(f"{photo.source}: {face.warnings[0]}")
    skin = None if masks is None else masks.estimate(photo.pixels, [face.place])[0].mask
    face = with_covers(photo.pixels, face, skin)
    _release(photo.pixels)
    return face


def _release(photo: Pixels) -> None:
    """What follows takes memory of its own."""
    if isinstance(photo, Picture):
        photo.release()
        give_back_freed_memory()
