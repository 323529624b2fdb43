"""The normals of all faces of a photo, in the photo's frame, under an alpha that ends softly.

A network sees a square, and the square's edge cuts forehead and hair. Over a photo that would be a
straight line, so the alpha falls to nothing over the crop's margin round the landmarks. A second,
larger crop can lie under it: networks are worse in those, yet they show the forehead.

A photo may have a hundred megapixels: all is made in bands of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.easing import smooth_step
from facerelief.encode import MARK, bands_to_png
from facerelief.exr import to_exr
from facerelief.normal_png import FRAME_KEY, to_pixels
from facerelief.sampling import resample
from facerelief.types import CROP_MARGIN, Face

#: Of a crop's side: where its alpha has fallen to nothing, and from where on it is full. The latter
#: is where the landmarks' box begins, so that nothing between brows and chin is lost.
CLEAR, FULL = 1 / 64, (1 - 1 / CROP_MARGIN) / 2
AROUND = 1.3  # of a crop's side: that of the larger crop
BAND = 64  # rows, a multiple of `exr.ROWS`
_LEAST = 1 / 512  # of an alpha that a picture can show


def soft_mask(mask: BoolArray | FloatArray) -> NDArray[np.float32]:
    """(S, S) in [0, 1]: a crop's `mask` (S, S), falling smoothly to zero before its edges.

    A mask of floats is an alpha in [0, 1].
    """
    steps = _steps(len(mask))
    rise = smooth_step(np.minimum(steps, 1 - steps), CLEAR, FULL).astype(np.float32)
    return mask * (rise * rise[:, None])


def round_mask(mask: BoolArray | FloatArray) -> NDArray[np.float32]:
    """As `soft_mask`, falling to zero towards the circle in the crop: round, as foreheads are."""
    offsets = _steps(len(mask)) - 0.5
    radius = np.hypot(offsets, offsets[:, None])
    rise = smooth_step((0.5 - CLEAR - radius) / (FULL - CLEAR)).astype(np.float32)
    return mask * rise


def _steps(size: int) -> NDArray[np.float64]:
    """Centres of pixels, as shares of a side."""
    return (np.arange(size) + 0.5) / size


def normals_in_photo(
    faces: Sequence[Face], around: Sequence[Face] = ()
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normals (H, W, 3) of all `faces` of a photo, in its frame, and alpha (H, W) in [0, 1].

    Normals are unit wherever the alpha is above zero, and zero elsewhere. Where faces meet, the
    larger one lies on top. These arrays take 16 bytes a pixel of the photo: `bands` gives the same
    in parts.

    Args:
        around: the same faces in larger crops (`Place.enlarged`), to be used where `faces` end.

    Raises ValueError for no faces, for those of photos that differ in size, and for `around` of
    another number.
    """
    height, width = _size(faces)
    normals = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)
    top = 0
    for band in bands(faces, around):
        normals[top : top + len(band)], alpha[top : top + len(band)] = band[..., :3], band[..., 3]
        top += len(band)
    return normals, alpha


def bands(
    faces: Sequence[Face], around: Sequence[Face] = (), rows: int = BAND
) -> Iterator[NDArray[np.float32]]:
    """The rows of `normals_in_photo` from the top down, (`rows` or less, W, 4): x, y, z, alpha.

    Raises as `normals_in_photo` does. A band is not to be written to.
    """
    height, width = _size(faces)
    pairs = zip(faces, around, strict=True) if around else ((face, None) for face in faces)
    stacks = [_Stack(*pair) for pair in sorted(pairs, key=lambda pair: pair[0].crop.side)]
    blank = np.zeros((rows, width, 4), np.float32)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = blank[: bottom - top]
        for stack in stacks:
            down, across = stack.window
            first, last = max(top, down.start), min(bottom, down.stop)
            if first >= last or across.start >= across.stop:
                continue
            band = band.copy() if band.base is blank else band
            over = stack.rows(first, last)
            part = band[first - top : last - top, across]
            part *= 1 - over[..., 3:]
            part += over
        yield band if band.base is blank else _unit(band)


class _Stack:
    """A face, over itself in a larger crop if there is one; its rows come from the top down."""

    def __init__(self, face: Face, around: Face | None) -> None:
        self._faces = [one for one in (around, face) if one is not None]
        self._layers: list[_Layer] = []
        self.window = self._faces[0].crop.window(face.photo_size)

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Rows of the window (h, w, 4): weighted normals and alpha."""
        down, across = self.window
        if not self._layers:
            masks = [round_mask, soft_mask][-len(self._faces) :]
            self._layers = [_Layer(*pair) for pair in zip(self._faces, masks, strict=True)]
        over = np.zeros((last - first, across.stop - across.start, 4), np.float32)
        for layer in self._layers:
            layer.lay(over, first, across.start)
        if last == down.stop:
            self._layers = []  # a crowd of them would take too much memory
        return over


class _Layer:
    """A face's crop, to be laid over the photo."""

    def __init__(self, face: Face, soft: Callable[[FloatArray], NDArray[np.float32]]) -> None:
        self._crop = face.crop
        self._window = face.crop.window(face.photo_size)
        # Weighted by alpha, nothing from outside a mask leaks in when normals are resampled.
        opacity = face.surface.opacity
        alpha, cover = soft(opacity)[..., None], soft(np.ones_like(opacity))[..., None]
        normals = face.crop.rotate_normals_to_photo(face.normals)
        values = np.concatenate([normals * alpha, alpha, cover], axis=-1)
        self._values = values.astype(np.float32)
        # What shrinks is averaged, which is not the same in parts; and it is small.
        self._all = self._resampled(*self._window) if face.crop.scale < 1 else None

    def lay(self, picture: NDArray[np.float32], top: int, left: int) -> None:
        """Put it over a part (h, w, 4) of the photo that begins in row `top`, column `left`."""
        rows, columns = self._window
        first, last = max(rows.start, top), min(rows.stop, top + len(picture))
        if first >= last or columns.start >= columns.stop:
            return
        if self._all is None:
            values = self._resampled(slice(first, last), columns)
        else:
            values = self._all[first - rows.start : last - rows.start]
        part = picture[first - top : last - top, columns.start - left : columns.stop - left]
        part *= 1 - values[..., 4:]
        part += values[..., :4]

    def _resampled(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        matrix = self._crop.window_to_crop((rows, columns))
        return resample(self._values, matrix, shape)


def to_photo_png(faces: Sequence[Face], around: Sequence[Face] = (), bits: int = 8) -> bytes:
    """The PNG of `normals_in_photo`, 8 or 16 `bits` a channel, in the frame opengl."""
    shape = (*_size(faces), 4)
    pictures = (to_pixels(band[..., :3], band[..., 3], bits) for band in bands(faces, around))
    return bands_to_png(pictures, shape, bits, {FRAME_KEY: "opengl", **MARK})


def to_photo_exr(faces: Sequence[Face], around: Sequence[Face] = ()) -> bytes:
    """The EXR of `normals_in_photo`: x, y, z and alpha as R, G, B and A, half floats."""
    return to_exr(bands(faces, around), _size(faces), "RGBA", {"normalFrame": "opengl"})


def _unit(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of weighted normals to unit normals; what is too faint to be seen becomes zero."""
    xyz: FloatArray = band[..., :3]
    length = np.sqrt(np.einsum("...i,...i", xyz, xyz))
    length[(band[..., 3] < _LEAST) | (length < 1e-6)] = np.inf
    xyz /= length[..., None]
    band[np.isinf(length), 3] = 0
    return band


def _size(faces: Sequence[Face]) -> tuple[int, int]:
    sizes = {face.photo_size for face in faces}
    if len(sizes) != 1:
        raise ValueError(f"faces of one photo are needed, not of {len(sizes)}")
    return sizes.pop()
