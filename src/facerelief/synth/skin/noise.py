"""Smooth random fields on the skin, of a wavelength in millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg.blas import saxpy

from facerelief.synth.skin.map import Map

#: Wavelengths that are kept, mm.
BANDS = (2.4, 4.0, 7.0, 13.0, 25.0, 60.0)
#: Fields a band; every draw mixes two of them.
FIELDS = 6
_TILE = 64  # voxels along the periodic cube that all fields are cut from
_VOXELS = 4  # a wavelength


class SkinNoise:
    """Random fields with zero mean and standard deviation 1 at positions on a head.

    Each is a band of a random volume, cut by the skin: it knows no seam and no stretch of the
    layout. Cheap: two stored fields are added at a random angle.

    Args:
        position: (S, S, 3) mm.
        texel: (S, S) mm between texels, at most; a field fades where they cannot hold its waves.
        seed: of the stored fields, which are the same for every skin.
    """

    def __init__(self, position: NDArray[np.float32], texel: Map, seed: int = 0) -> None:
        g = np.random.default_rng(seed)
        cube = _cube(g)
        self._fields: dict[float, list[NDArray[np.float32]]] = {}
        for wavelength in BANDS:
            held = np.clip(wavelength / texel - 2.0, 0, 1)
            self._fields[wavelength] = []
            for _ in range(FIELDS):
                # One cube serves them all: each cuts it elsewhere and at another slant.
                turn, _ = np.linalg.qr(g.standard_normal((3, 3)))
                where = (position @ turn.astype(np.float32)) * np.float32(_VOXELS / wavelength)
                where = np.moveaxis(where + g.uniform(0, _TILE, 3).astype(np.float32), -1, 0)
                field = ndimage.map_coordinates(cube, where, order=1, mode="grid-wrap")
                field = held * (field - field.mean()) / field.std()
                self._fields[wavelength].append(field.astype(np.float32).ravel())

    def draw(
        self, g: np.random.Generator, wavelength: float, index: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """(n,) a field of one of `BANDS`, mm, at some texels `index` (n,) of the flat map.

        Raises:
            KeyError: a wavelength that is not kept.
        """
        one, other, cosine, sine = self._mix(g, wavelength)
        mixed: NDArray[np.float32] = one[index] * cosine
        mixed += other[index] * sine
        return mixed

    def add(self, g: np.random.Generator, wavelength: float, strength: float, onto: Map) -> Map:
        """Adds `strength` times a field to a map (S, S) in place, and returns it.

        Raises:
            KeyError: a wavelength that is not kept.
        """
        one, other, cosine, sine = self._mix(g, wavelength)
        flat = onto.reshape(-1)
        saxpy(one, flat, a=strength * cosine)  # no temporary maps: these are most of the work
        saxpy(other, flat, a=strength * sine)
        return onto

    def _mix(
        self, g: np.random.Generator, wavelength: float
    ) -> tuple[Map, Map, np.float32, np.float32]:
        first, second = g.choice(FIELDS, 2, replace=False)
        angle = g.uniform(0, 2 * np.pi)
        fields = self._fields[wavelength]
        return fields[first], fields[second], np.float32(np.cos(angle)), np.float32(np.sin(angle))


def _cube(g: np.random.Generator) -> NDArray[np.float32]:
    """A periodic random volume whose waves are `_VOXELS` long where a surface cuts it."""
    frequency = np.fft.fftfreq(_TILE)
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(frequency, frequency, frequency)))
    # A surface cuts the waves of a volume aslant, so what it shows is longer: sqrt(3 / 2) in the
    # root mean square of the slopes. The cube holds shorter ones to make up for it.
    centre = np.sqrt(1.5) / _VOXELS
    with np.errstate(divide="ignore"):
        band = np.exp(-0.5 * (np.log(radius / centre) / 0.25) ** 2)
    white = np.fft.fftn(g.standard_normal((_TILE,) * 3))
    return np.fft.ifftn(white * band).real.astype(np.float32)
