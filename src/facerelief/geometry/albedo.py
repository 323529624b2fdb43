"""Skin colours of the built-in head as a linear model, in its texture layout.

A mean and principal components of skins that may be used for anything: MakeHuman's (CC0), and those
lifted from openly licensed portraits. `tools/build_albedo.py` makes the file; docs/head.md says
what is in it and how well it covers skins that it has not seen.

Colours are sRGB in [0, 1], where equal steps look equal: `geometry.light.srgb_to_linear` makes
reflectances of them, on which light can fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from facerelief.arrays import BoolArray
from facerelief.catalogue import read_arrays
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS
from facerelief.geometry.uv import UVLayout
from facerelief.once import once


@dataclass(frozen=True, eq=False)
class AlbedoBasis:
    """Colours are `mean + coefficients (standard deviations) * components`.

    Eyes, teeth and tongue have one colour, that of the mean; only skin varies. Irises are too small
    for the map: at the vertices they are there. Row 0 of a map is v = 1, and texels off the charts
    have the values of the nearest that are not.
    """

    mean: NDArray[np.float32]  # (S, S, 3) sRGB
    components: NDArray[np.float32]  # (K, S, S, 3) sRGB per standard deviation
    skin: BoolArray  # (S, S) texels on the skin
    eyes: NDArray[np.int64]  # (n,) vertices of both eyes
    eye_colours: NDArray[np.float32]  # (n, 3) sRGB: irises are too small for the map

    def albedo(self, coefficients: ArrayLike | None = None) -> NDArray[np.float32]:
        """Maps (..., S, S, 3) sRGB in [0, 1] of `coefficients` (..., k <= K); None is the mean.

        Raises:
            ValueError: more coefficients than there are components.
        """
        return _mixed(self.mean, self.components, coefficients)

    def vertex_albedo(self, coefficients: ArrayLike | None = None) -> NDArray[np.float32]:
        """The same at the vertices of the built-in head: (..., V, 3). Raises likewise."""
        return _mixed(*self.at_vertices, coefficients)

    @cached_property
    def at_vertices(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean (V, 3) and components (K, V, 3) at the vertices of the built-in head.

        After one subdivision; the first ones are those of `geometry.drawn_head`.
        """
        head = builtin_head(SUBDIVISIONS, bases=False)
        layout = UVLayout(
            head.uv, head.uv_triangles, head.triangles, len(head.mean), len(self.mean)
        )
        maps = np.concatenate([self.mean[None], self.components])
        flat = np.moveaxis(maps, 0, 2).reshape(*self.skin.shape, -1)
        # Lashes hang on vertices that no map shows; nothing is drawn there.
        values = np.nan_to_num(layout.read(flat)).reshape(len(head.mean), len(maps), 3)
        values[self.eyes, 0] = self.eye_colours
        both = np.ascontiguousarray(np.moveaxis(values, 1, 0))
        return both[0], both[1:]


@once(maxsize=1)
def albedo_basis() -> AlbedoBasis:
    """The shipped one: K = 80 components, S = 128 texels. Shared: do not write into it.

    Raises:
        WeightsError: its file is missing or damaged.
    """
    stored = read_arrays("albedo.npz")
    size = len(stored["mean"])
    skin, charts = (
        np.unpackbits(stored[name], count=size * size).astype(bool).reshape(size, size)
        for name in ("skin", "charts")
    )
    steps = stored["components"] * stored["scale"][:, None, None]
    components = np.zeros((len(steps), size, size, 3), np.float32)
    components[:, skin] = steps
    rows, columns = distance_transform_edt(~charts, return_distances=False, return_indices=True)
    mean = stored["mean"].astype(np.float32)[rows, columns]
    return AlbedoBasis(
        mean=mean,
        components=components[:, rows, columns],
        skin=skin,
        eyes=stored["eyes"].astype(np.int64),
        eye_colours=stored["eye_colours"].astype(np.float32),
    )


def _mixed(
    mean: NDArray[np.float32], components: NDArray[np.float32], coefficients: ArrayLike | None
) -> NDArray[np.float32]:
    given = (
        np.zeros(0, np.float32) if coefficients is None else np.asarray(coefficients, np.float32)
    )
    count = given.shape[-1]
    if count > len(components):
        raise ValueError(f"the albedo has {len(components)} coefficients, got {count}")
    moved = given @ components[:count].reshape(count, mean.size)
    result = mean + moved.reshape(*given.shape[:-1], *mean.shape)
    return np.clip(result, 0, 1, out=result)
