"""Pictures of films of high dynamic range as what screens without it show: 8-bit sRGB.

PQ and HLG (ITU-R BT.2100) say how much light a screen gives. White paper is to have 203 cd/m2 in
both (BT.2408); here it is white, and what is brighter is rolled off. Colours of BT.2020 that sRGB
does not have are cut off.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.light import linear_to_srgb

#: FFmpeg's numbers of the transfer characteristics that are meant (ITU-T H.273).
PQ, HLG = 16, 18
TRANSFERS = (PQ, HLG)

_WHITE = 203.0  # cd/m2
_PEAK = 1000.0  # of the screen that HLG's standard is described with
_KNEE = 0.75  # of white's light, from which on brighter things are rolled off
_ROWS = 16  # that are worked on at a time
_STEPS = 4095  # of square roots of light, which 8 bits of sRGB never miss
#: Linear RGB of BT.2020 to that of sRGB.
_PRIMARIES = np.array(
    [[1.660491, -0.587641, -0.072850],
     [-0.124550, 1.132900, -0.008349],
     [-0.018151, -0.100579, 1.118730]], np.float32,
)  # fmt: skip
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020's primaries


def to_srgb(values: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """(H, W, 3) of R'G'B' of BT.2020 by one of TRANSFERS, full range, to those of sRGB."""
    made = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # what the processor's cache holds
        made[top : top + _ROWS] = _to_srgb(values[top : top + _ROWS], transfer)
    return made


def _to_srgb(values: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    light = _lights(transfer).take(values)
    if transfer == HLG:  # of the scene, which a screen shows with more contrast
        luminance = light @ _LUMINANCE
        light *= (luminance ** np.float32(0.2))[..., None] * np.float32(_PEAK / _WHITE)
    light = light @ _PRIMARIES.T
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    if brightest.max() > _KNEE:
        np.maximum(brightest, np.float32(_KNEE), out=brightest)
        room = np.float32(1 - _KNEE)
        rolled = 1 - room * room / (brightest - np.float32(_KNEE) + room)  # from the knee on
        light *= (rolled / brightest)[..., None]
    np.clip(light, 0, 1, out=light)
    np.sqrt(light, out=light)
    light *= _STEPS
    light += 0.5
    return _codes().take(light.astype(np.uint16))


@lru_cache(maxsize=2)
def _lights(transfer: int) -> NDArray[np.float32]:
    """(65536,): of each value. PQ's are the screen's over white; HLG's the scene's, 1 at most."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:
        root = signal ** (1 / 78.84375)
        share = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        return np.asarray(10000 / _WHITE * share ** (1 / 0.1593017578125), np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    upper = (np.exp((np.maximum(signal, 0.5) - c) / a) + b) / 12
    return np.where(signal <= 0.5, signal**2 / 3, upper).astype(np.float32)


@lru_cache(maxsize=1)
def _codes() -> NDArray[np.uint8]:
    """(_STEPS + 1,): sRGB of each square root of light."""
    light = (np.arange(_STEPS + 1) / _STEPS) ** 2
    return np.rint(255 * linear_to_srgb(light)).astype(np.uint8)
