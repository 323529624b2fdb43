"""Re-rendering error: how far a face drawn in its photo's light is from the photo, over its skin.

The full-pose paper's photo loss (equation 15: the mean length of colours' differences), taken in
the layout of the head as `train.systems.ri2itn_losses` takes it: each texel counts by its area in
the picture and by how far it is seen there. Light and albedo are fitted to the photo and the coarse
face (`geometry.laid_out`); relief changes the normals alone, so that what it changes in the error
is its own doing. With the light fitted anew to each, the coarse face has no advantage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray
from facerelief.detailed import DetailedFace
from facerelief.geometry.laid_out import LaidOut, lay_out, skin_weights
from facerelief.geometry.light import fit_sh, linear_to_srgb, shade_sh, srgb_to_linear
from facerelief.geometry.skin import Skin
from facerelief.images import Source, open_photo
from facerelief.types import Face

_DIMMEST, _LARGEST = 0.05, 10.0  # shading at least; texels' areas in the picture at most, mm^2


@dataclass(frozen=True, eq=False)
class Rerendering:
    """A photographed face, ready to be drawn with any relief on its mesh."""

    laid: LaidOut
    weights: NDArray[np.float32]  # (S, S)
    turn: FloatArray  # (3, 3) the mesh's space to the crop's frame

    @classmethod
    def of(cls, face: Face, photo: Source, size: int = 512, painted: bool = True) -> Rerendering:
        """Of a face that was found in `photo`.

        Args:
            size: of the maps of its relief. painted: with brows, lids and lips.

        Raises:
            ValueError: the face has no shape. NoLightError: no light can be fitted to it.
        """
        shape = face.need_shape("re-rendering")
        pixels = int(np.clip(round(face.crop.side), face.crop.size, size))
        picture = replace(face.crop, size=pixels).extract(open_photo(photo))
        laid = lay_out(picture / np.float32(255), _enlarged(shape.skin, pixels), size)
        (down_x, right_x), (down_y, right_y) = (np.gradient(laid.position[..., i]) for i in (0, 1))
        area = np.abs(right_x * down_y - right_y * down_x)
        area = np.minimum(area * (size / 256) ** 2, _LARGEST)
        weights = laid.visible * skin_weights(size, painted) * area
        scale = np.cbrt(np.linalg.det(shape.pose[:, :3]))
        turn = face.crop.rotate_normals_to_crop((shape.pose[:, :3] / scale).T).T
        return cls(laid, weights.astype(np.float32), turn)

    def error(self, made: DetailedFace, refit: bool = False) -> float:
        """Levels of 255, with the relief of `made`; `refit` fits the light to that anew.

        NaN where no skin is seen.
        """
        on = (self.weights > 0) & made.normals.any(-1)
        weights = self.weights[on]
        if not weights.sum() > 0:
            return float("nan")
        normals = made.normals[on] @ self.turn.T
        albedo, photo = self.laid.albedo[on], self.laid.photo[on]
        light = self.laid.light
        if refit:
            light = fit_sh(srgb_to_linear(photo) / albedo, normals, ridge=1e-3, iterations=6)
        shading = np.maximum(shade_sh(normals, light), _DIMMEST)
        drawn = linear_to_srgb(np.minimum(albedo * shading, 1))
        apart = np.linalg.norm(drawn - photo, axis=-1)
        return float(255 * (apart * weights).sum() / weights.sum())


def _enlarged(skin: Skin, size: int) -> Skin:
    """The same in a picture of other pixels, `size` a side."""
    factor = np.float32(size / skin.size)
    solid = None if skin.solid is None else skin.solid * factor
    return replace(skin, points=skin.points * factor, solid=solid, size=size)
