"""Another skin on a photographed face: what the position maps of two photos make easy.

The texture of one face, hidden parts filled, is drawn with the shape and pose of another one in its
photo (Feng et al. 2018, whose demonstration this is), in the other's light and skin colour as far
as they change slowly over the face.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from facerelief.apps import photos
from facerelief.apps.products import Photo, Product
from facerelief.apps.texture import unwrap
from facerelief.arrays import BoolArray, FloatArray
from facerelief.encode import to_picture
from facerelief.geometry.skin import drawn
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.images import Pixels
from facerelief.inputs import PhotoError
from facerelief.photo_files import Picture
from facerelief.runtime import Estimator
from facerelief.sampling import bilinear
from facerelief.types import Crop, Face

_LARGEST = 1024  # pixels along the side of what is drawn; more is enlarged: a texture has no more
_COARSE = 256  # pixels along the side in which slow changes are computed, and up to twice that
_AT_ONCE = 2**20  # pixels of the photo that are changed together
_SOFT = 0.06  # of the crop's side: over which the new skin gives way to the old one
_SLOW = 0.05  # of the crop's side: light and skin colour change over more than that


def produce(photo: Photo, estimator: Estimator, other: Photo, suffix: str = ".png") -> Product:
    """`photo` with the skin of the largest face of `other` on its own, as a picture of `suffix`.

    Raises PhotoError where either has no face, or one without a shape.
    """
    face, theirs = (_shaped(one, estimator) for one in (photo, other))
    texture = unwrap(other.pixels, theirs).colours
    made: NDArray[np.uint8] | Image.Image
    if isinstance(photo.pixels, Picture):
        (rows, columns), changed = _changed(photo.pixels, face, texture)
        made = photo.pixels.taken()
        made.paste(Image.fromarray(changed), (columns.start, rows.start))
    else:
        made = with_texture(photo.pixels, face, texture)
    sidecar = {**photos.describe_place(photo, face), **photos.describe_model(estimator)}
    return Product([sidecar], {photo.stem + suffix: to_picture(made, suffix)})


def swap(photo_a: Pixels, face_a: Face, photo_b: Pixels, face_b: Face) -> NDArray[np.uint8]:
    """Photo A (H, W, 3) with the skin of face B on face A: shape, pose and light stay A's.

    Raises:
        ValueError: a face without a shape.
    """
    return with_texture(photo_a, face_a, unwrap(photo_b, face_b).colours)


def with_texture(
    photo: Pixels, face: Face, texture: NDArray[np.uint8], relight: bool = True
) -> NDArray[np.uint8]:
    """`photo` (H, W, 3) with another texture (S, S, 3), in the built-in head's layout, on a face.

    Args:
        relight: give the texture the light and colour of the skin that it replaces.

    Raises:
        ValueError: a face without a shape.
    """
    window, changed = _changed(photo, face, texture, relight)
    result = np.array(photo)
    result[window] = changed
    return result


def _changed(
    photo: Pixels, face: Face, texture: NDArray[np.uint8], relight: bool = True
) -> tuple[tuple[slice, slice], NDArray[np.uint8]]:
    """Rows and columns of the photo round the face, and their new pixels (h, w, 3)."""
    crop, change, mask = _change(photo, face, texture, relight)
    rows, columns = window = crop.window(face.photo_size)
    result = photo[window].copy()
    step = max(_AT_ONCE // max(columns.stop - columns.start, 1), 1)
    for top in range(rows.start, rows.stop, step):
        strip = slice(top, min(top + step, rows.stop))
        pasted, inside = crop.paste_window(change, mask, (strip, columns))
        part = result[top - rows.start :][: len(pasted)]
        changed = part + np.where(inside[..., None], pasted, 0)
        part[:] = np.clip(np.round(changed), 0, 255)
    return window, result


def _change(
    photo: Pixels, face: Face, texture: NDArray[np.uint8], relight: bool
) -> tuple[Crop, NDArray[np.float32], BoolArray]:
    """The face's crop, how much its pixels (size, size, 3) change, and where."""
    skin = face.need_shape("another texture").skin
    size = min(ceil(face.crop.side), _LARGEST)
    crop = Crop(face.crop.centre, face.crop.side, face.crop.angle, size)
    old = crop.extract(photo).astype(np.float32)
    if isinstance(photo, Picture):
        photo.release()  # what follows takes memory of its own
    points = skin.points * (size / face.crop.size)
    drawn, mask = _drawn(points, texture, size)
    if relight:
        drawn = drawn * _ratio(old, drawn, mask, _SLOW * size)
    # Softly inwards, so that the outline and what lies round it stay the photo's.
    depth = distance_transform_edt(mask) / (_SOFT * size)
    share = np.clip(depth, 0, 1)[..., None].astype(np.float32)
    change = np.where(mask[..., None], (drawn - old) * share, 0)
    return crop, change.astype(np.float32), mask


def _drawn(
    points: FloatArray, texture: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The face with the texture (size, size, 3), and where it is."""
    raster, mask = drawn(points, size)
    places = raster.interpolate(skin_mesh().uv) * (1, -1) + (0, 1)
    return bilinear(texture, places * len(texture)), mask


def _ratio(
    old: FloatArray, new: FloatArray, mask: NDArray[np.bool_], sigma: float
) -> NDArray[np.float32]:
    """(S, S, 3) what slow changes of `new` lack to those of `old`, as a factor."""
    step = max(len(mask) // _COARSE, 1)
    side = len(mask) / step
    planes = []
    for channel in range(3):
        blurred = []
        for values in (old[..., channel], new[..., channel]):
            inside = ((values + 4) * mask).astype(np.float32)
            small = np.asarray(Image.fromarray(inside).reduce(step))
            blurred.append(gaussian_filter(small, sigma / step))
        ratio = np.clip(blurred[0] / np.maximum(blurred[1], 1e-3), 1 / 3, 3)
        plane = Image.fromarray(ratio)
        box = (0, 0, side, side)
        planes.append(np.asarray(plane.resize(mask.shape, Image.Resampling.BILINEAR, box)))
    return np.stack(planes, axis=-1)


def _shaped(photo: Photo, estimator: Estimator) -> Face:
    """The largest face, which has a shape. Raises PhotoError."""
    (face,) = photos.find_faces(photo, estimator, max_faces=1)
    if face.mesh is None:
        raise PhotoError(f"{photo.source}: {face.warnings[0]}")
    return face
