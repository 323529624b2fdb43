"""A coarse face and its photo laid out in the head's texture: what a network reads relief from.

Of each texel of the face: the photo's colour, that of the coarse face drawn in the photo's light,
how well the photo shows it, and what slopes there would do to the light. Light and albedo are
fitted to the photo, so that any coarse face will do, whatever made it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.camera import WeakPerspective, camera_space
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.head import builtin_head
from facerelief.geometry.light import fit_sh, linear_to_srgb, shade_sh, srgb_to_linear
from facerelief.geometry.normals import normalise
from facerelief.geometry.shading_detail import NoLightError
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh, skin_normals
from facerelief.geometry.unwrapping import Completed, unwrap, with_farther_half_mirrored
from facerelief.geometry.uv import filled, skin_layout

#: Channels of `LaidOut.maps`, in their order.
CHANNELS = {"photo": 3, "rendering": 3, "slopes": 2, "visible": 1}
SIZE = 256  # texels along a side: about one millimetre each

_TURNED = 0.75  # of what is seen of the nearer half
_SLOPE_RIGHT = 6  # of the channels
_PAINTED = ("brow_left", "brow_right", "lips_upper", "lips_lower", "eyelids")
_DARK, _BRIGHT = 0.01, 0.95  # linear light between which a texel tells of the light
_DIMMEST = 0.05  # shading below which no ratio of shadings is made
_LEAST_TEXELS = 400  # lit ones, for a light to be fitted
_STIFFNESS = 3e-3  # of the albedo's coefficients, over the texels
_BLACKEST = 0.02  # sRGB of skin
_STEP = 0.1  # mm a texel: a small slope
_STEEPEST = 2.0  # of log brightness by a slope of one mm a texel; more is noise
_SMALLEST = 0.02  # mm^2 of a texel, below which it has no slopes


@dataclass(frozen=True, eq=False)
class LaidOut:
    """Maps (S, S, ...) in the layout of the built-in head, row 0 at v = 1."""

    photo: NDArray[np.float32]  # (S, S, 3) sRGB in [0, 1]
    visible: NDArray[np.float32]  # (S, S) in [0, 1], zero off the face
    position: NDArray[np.float32]  # (S, S, 3) camera space, mm of the mean head
    normals: NDArray[np.float32]  # (S, S, 3) unit, camera space, of the coarse face
    albedo: NDArray[np.float32]  # (S, S, 3) linear
    light: NDArray[np.float32]  # (9, 3) harmonics, of `geometry.light`
    more: NDArray[np.float32]  # (S, S, C) further channels of the picture, unwrapped

    @cached_property
    def shading(self) -> NDArray[np.float32]:
        """(S, S, 3) of the coarse face, linear."""
        return np.maximum(shade_sh(self.normals, self.light), _DIMMEST).astype(np.float32)

    @cached_property
    def rendering(self) -> NDArray[np.float32]:
        """(S, S, 3) sRGB in [0, 1] of the coarse face in the photo's light."""
        values = linear_to_srgb(np.minimum(self.albedo * self.shading, 1))
        return values.astype(np.float32)

    @cached_property
    def slopes(self) -> NDArray[np.float32]:
        """(S, S, 2) change of log brightness by a relief that rises one mm a texel.

        To the right, and downwards, in the map.
        """
        seen = self.light.mean(axis=1)
        bright = np.maximum(shade_sh(self.normals, seen), _DIMMEST)
        changes = [
            (shade_sh(normalise(self.normals - _STEP * along), seen) - bright) / (_STEP * bright)
            for along in duals(self.position, self.normals)
        ]
        return np.clip(np.stack(changes, -1), -_STEEPEST, _STEEPEST).astype(np.float32)

    @cached_property
    def maps(self) -> NDArray[np.float32]:
        """(S, S, 9), `CHANNELS`; zero where nothing is seen."""
        parts = [self.photo, self.rendering, self.slopes, self.visible[..., None]]
        maps = np.concatenate(parts, -1)
        return np.where(self.visible[..., None] > 0, maps, 0).astype(np.float32)

    @property
    def turned(self) -> bool:
        """Whether so much less is seen of one half that it is to be the other's mirror image."""
        shown = self.visible.sum(0)
        middle = len(shown) // 2
        less, more = sorted((shown[:middle].sum(), shown[middle:].sum()))
        return bool(less < _TURNED * more)

    def mirrored(self) -> Completed:
        """`maps` whose farther half is the mirrored nearer one (the paper's section 3.4).

        What slopes to the right slopes to the left in a mirror.
        """
        middle = len(self.visible) // 2
        signs = np.ones(self.maps.shape[1:], np.float32)
        signs[:middle, _SLOPE_RIGHT] = -1
        found = with_farther_half_mirrored(signs * self.maps, self.visible)
        return replace(found, texels=(signs * found.texels).astype(np.float32))


def lay_out(picture: FloatArray, skin: Skin, size: int = SIZE) -> LaidOut:
    """Lay a face out with what its picture shows of it.

    Args:
        picture: (H, W, 3 or more) sRGB in [0, 1], the one that `skin` is in.
        size: texels along a side, a multiple of 128.

    Raises:
        NoLightError: the picture tells nothing of its light.
    """
    head = drawn_head(fine=True, skin_only=True)
    layout, points = skin_layout(SUBDIVISIONS, size), camera_space(skin.shape)
    flat = _whole(camera_space(skin.points))
    found = unwrap(picture, flat, head, WeakPerspective(), layout)
    colours = found.colours.astype(np.float32)
    visible = (found.visible * skin_weights(size)).astype(np.float32)
    position = filled(layout.write(_whole(points))) / np.float32(skin.pose.scale)
    normals = normalise(filled(layout.write(_whole(skin_normals(skin.shape)))))
    photo = colours[..., :3]
    light, albedo = _look(photo, normals, visible * skin_weights(size, painted=False))
    unit = normals.astype(np.float32)
    return LaidOut(photo, visible, position, unit, albedo, light, colours[..., 3:])


def duals(position: FloatArray, normals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of maps (S, S, 3): vectors by which the map's derivatives make a gradient on the surface.

    grad d = d_x first + d_y second, for d_x, d_y by texel to the right and downwards. They lie in
    the surface and are zero where a texel has no area: at the edges of charts. The gradient's
    units are those of d over those of `position`.
    """
    down, right = np.gradient(position, axis=(0, 1))
    area = np.sum(normals * np.cross(right, down), -1, keepdims=True)
    sound = np.abs(area) > _SMALLEST
    scale = np.where(sound, 1 / np.where(sound, area, 1), 0)
    return np.cross(down, normals) * scale, np.cross(normals, right) * scale


def displaced_normals(
    displacement: FloatArray, position: FloatArray, normals: FloatArray
) -> FloatArray:
    """Unit normals (S, S, 3) of a surface that is raised by `displacement` (S, S), mm, outwards.

    To first order in the displacement over the radii of curvature.
    """
    right, down = duals(position, normals)
    dy, dx = np.gradient(displacement[..., None], axis=(0, 1))
    return normalise(normals - dx * right - dy * down)


@lru_cache(maxsize=8)
def skin_weights(size: int, painted: bool = True) -> NDArray[np.float32]:
    """(S, S) in [0, 1]: the face without what lies between lids and lips. Shared.

    Args:
        painted: with brows, lids and lips, whose brightness is hair and paint more than shading.
    """
    head, mesh = builtin_head(SUBDIVISIONS, bases=False), skin_mesh()
    chosen = np.zeros((len(head.mean), 2), np.float32)
    chosen[mesh.source[mesh.outer], 0] = 1
    chosen[np.any([head.regions[name] for name in _PAINTED], axis=0), 1] = 1
    face, paint = np.moveaxis(np.nan_to_num(skin_layout(SUBDIVISIONS, size).write(chosen)), -1, 0)
    inside = (face > 0.99).astype(np.float32)
    if painted:
        return inside
    # Brows are broader than their region on the head, and blur into the skin.
    soft = gaussian_filter(paint, 2.5 * size / 256)
    return inside * np.clip(1 - 3 * soft, 0, 1)


def _whole(points: FloatArray) -> NDArray[np.float32]:
    """(V, 3) vertices of the head from (M, 3) of its skin."""
    mesh = skin_mesh()
    whole = np.zeros((len(skin_layout(SUBDIVISIONS).vertices), 3), np.float32)
    whole[mesh.source] = points
    return whole


def _look(
    photo: NDArray[np.float32], normals: FloatArray, say: FloatArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light (9, 3) and albedo (S, S, 3) of the photo, both as smooth as their models."""
    basis = albedo_basis()
    step = max(1, len(photo) // len(basis.mean))  # the albedo's maps are smaller
    seen = srgb_to_linear(photo[::step, ::step])
    usable: BoolArray = (say[::step, ::step] > 0.5) & (seen.max(-1) < _BRIGHT)
    usable &= seen.mean(-1) > _DARK
    if np.count_nonzero(usable) < _LEAST_TEXELS:
        raise NoLightError
    colours, unit = seen[usable], normals[::step, ::step][usable]
    mean, rows = basis.mean[usable], basis.components[:, usable].reshape(len(basis.components), -1)
    gram = rows @ rows.T + len(colours) * _STIFFNESS * np.eye(len(rows))
    told = np.zeros(len(rows), np.float32)
    for last in (False, True):
        albedo = srgb_to_linear(np.clip(mean + (told @ rows).reshape(-1, 3), _BLACKEST, 1))
        light = fit_sh(colours / albedo, unit, ridge=1e-3, iterations=6)
        if last:
            break
        shading = np.maximum(shade_sh(unit, light), _DIMMEST)
        wanted = linear_to_srgb(np.clip(colours / shading, 0, 1))
        told = np.linalg.solve(gram, rows @ (wanted - mean).ravel()).astype(np.float32)
    small = basis.mean + (told @ basis.components.reshape(len(told), -1)).reshape(basis.mean.shape)
    whole = zoom(small, (step, step, 1), order=1, grid_mode=True, mode="nearest")
    albedo = srgb_to_linear(np.clip(whole, _BLACKEST, 1))
    return light.astype(np.float32), albedo.astype(np.float32)
