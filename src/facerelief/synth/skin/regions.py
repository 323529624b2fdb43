"""Regions of the face where skin looks different, each a soft mask in the texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from facerelief.arrays import FloatArray
from facerelief.synth.skin.map import Map, SkinMap, Strip


@dataclass(frozen=True, eq=False)
class Regions:
    """Masks (S, S) in [0, 1], and the strips beside brows and lids."""

    face: Map  # seen from the front, without the neck
    lips: Map
    mouth: Map  # behind the lips
    cheeks: Map
    nose: Map
    ears: Map
    chin: Map
    forehead: Map
    eye_socket: Map
    under_eye: Map
    lid: Map  # the upper one, up to its crease and a little beyond
    lid_edge: Map
    nostrils: Map
    perioral: Map
    neck: Map
    moustache: Map
    goatee: Map
    jaw: Map  # beard of cheeks, jaw and sideburns
    throat: Map
    scalp: Map
    brow: Strip
    upper_lid: Strip
    lower_lid: Strip

    @classmethod
    def build(cls, skin: SkinMap) -> Regions:
        """All regions of a head, from its landmarks."""
        mark, k = skin.landmarks, skin.scale
        sized = np.array([1.0, 1.0, 1.0]) * k
        eye = mark[42:48].mean(axis=0)
        corner, alar = mark[54], mark[35]

        def blob(centre: FloatArray, x: float, y: float, z: float) -> Map:
            return skin.blob(centre, np.array([x, y, z]) * sized)

        lips = lip_mask(skin)
        inside = (mark[62] + mark[66]) / 2 - [0, 0, 20 * k]
        behind = blob(inside, 13, 9, 8) * (1 - lips)
        eyes = skin.strip(mark[[42, 43, 44, 45]], 14 * k)
        under = skin.strip(mark[[42, 47, 46, 45]], 14 * k)
        cheek = 0.5 * (mark[46] + corner) + np.array([4.0, 1.0, -2.0]) * k
        front = np.clip(skin.normal[..., 2] * 2 + 0.3, 0, 1).astype(np.float32)
        chin_y = float(mark[8, 1])
        below = np.clip((chin_y - 8 * k - skin.position[..., 1]) / (25 * k), 0, 1)
        under_chin = np.clip((-0.35 - skin.normal[..., 1]) * 3, 0, 1)
        under_chin *= np.clip((chin_y + 14 * k - skin.position[..., 1]) / (8 * k), 0, 1)
        beard = _beard(skin, lips)
        return cls(
            face=front * (1 - below.astype(np.float32)),
            lips=lips,
            mouth=_own(skin, "mouth_inside", np.clip(1.6 * behind - 0.1, 0, 1)) * (1 - lips),
            cheeks=blob(cheek, 15, 13, 25),
            nose=np.maximum(
                blob(mark[30], 9, 8, 10), blob(alar + np.array([1, 2, 0]) * k, 6, 6, 9)
            ),
            ears=_ears(skin),
            chin=blob(mark[8] + np.array([0, 8.0, 0]) * k, 14, 9, 16),
            forehead=skin.front(_forehead(skin), 8 * k),
            eye_socket=blob(eye + np.array([0, 1, 0]) * k, 17, 11, 20),
            under_eye=_strip_mask(skin, under, -5.5 * k, 3.2 * k),
            lid=_strip_mask(skin, eyes, 4.0 * k, 3.5 * k),
            lid_edge=np.maximum(
                _strip_mask(skin, eyes, 0, 1.1 * k), _strip_mask(skin, under, 0, 1.1 * k)
            ),
            nostrils=blob(mark[34] + np.array([1.5, 2.0, -5.0]) * k, 3.0, 2.6, 4.5)
            * np.clip(0.5 - 2 * skin.normal[..., 1], 0, 1).astype(np.float32),
            perioral=blob((mark[51] + mark[57]) / 2, 22, 17, 22) * (1 - lips),
            neck=np.maximum(below, under_chin).astype(np.float32),
            scalp=skin.region(_hairline(skin), 4 * k),
            brow=skin.strip(_brow(skin), 9 * k),
            upper_lid=eyes,
            lower_lid=under,
            **beard,
        )


def lip_mask(skin: SkinMap) -> Map:
    """Where the lips are, from their outer contour; they meet, or hide what is between them."""
    mark = skin.landmarks[:, :2]
    outer = _smooth(mark[[51, 52, 53, 54, 55, 56, 57]])
    return skin.front(outer, 0.35 * skin.scale)


def _own(skin: SkinMap, name: str, otherwise: Map) -> Map:
    """The head's own region of that name, or what stands in for it."""
    region = skin.head.regions.get(name)
    if region is None:
        return otherwise
    return skin.from_vertices(region[:, None].astype(np.float32))[..., 0]


def _ears(skin: SkinMap) -> Map:
    """The ears, and a little of the skin round them."""
    middle = skin.landmarks[16] + np.array([10.0, -16.0, -32.0]) * skin.scale
    return np.clip(1.6 * skin.blob(middle, np.array([9, 22, 14]) * skin.scale) - 0.2, 0, 1)


def _smooth(points: FloatArray) -> FloatArray:
    """A curve (m, 2) through points (n, 2), round but for the lip corner."""
    corner = int(np.argmax(points[:, 0]))
    parts = []
    for piece in (points[: corner + 1], points[corner:]):
        knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(piece, axis=0), axis=1))])
        parts.append(CubicSpline(knots, piece)(np.linspace(0, knots[-1], 24)))
    return np.concatenate(parts)


def _strip_mask(skin: SkinMap, strip: Strip, middle: float, width: float) -> Map:
    """A soft band beside a curve: centred `middle` mm to its left, `width` its deviation."""
    mask = np.zeros(skin.size**2, np.float32)
    across = (strip.beside - middle) / width
    past = strip.beyond / (3 * skin.scale)
    mask[strip.index] = np.exp(-0.5 * (across**2 + past**2))
    return mask.reshape(skin.size, skin.size)


def _brow(skin: SkinMap) -> FloatArray:
    """The middle line of the brow (n, 2), from the nose outwards: an even arch.

    Landmarks of brows lie near their tops, and never quite evenly.
    """
    x, y = skin.landmarks[22:27, :2].T
    arch = np.polyfit(x, y, 2)
    along = np.linspace(min(x[0], 12 * skin.scale), x[-1], 7)
    return np.column_stack([along, np.polyval(arch, along) - 1.5 * skin.scale])


def _forehead(skin: SkinMap) -> FloatArray:
    mark, k = skin.landmarks[:, :2], skin.scale
    low = float(mark[24, 1]) + 8 * k
    side = [(mark[25, 0], low), (mark[26, 0], low), (48 * k, low + 40 * k)]
    return np.array([(0, low - 6 * k), *side, (0, low + 45 * k)])


def _hairline(skin: SkinMap) -> FloatArray:
    """Outline of the scalp, unrolled: forehead, temple, sideburn, round the ear, nape, crown."""
    k = skin.scale
    brow = float(skin.landmarks[24, 1])
    tail, ear = skin.around(skin.landmarks[26]), skin.around(skin.landmarks[16])
    top = float(skin.position[..., 1].max()) + 20
    back = np.pi * 85 * k
    return np.array([
        (0, brow + 55 * k), (25 * k, brow + 56 * k), (42 * k, brow + 50 * k),
        (tail[0] + 1 * k, brow + 36 * k), (tail[0] + 12 * k, brow + 20 * k),
        (tail[0] + 14 * k, brow + 2 * k), (ear[0] - 6 * k, brow - 14 * k),
        (ear[0] + 3 * k, brow - 16 * k), (ear[0] + 8 * k, brow + 2 * k),
        (ear[0] + 40 * k, brow + 4 * k), (ear[0] + 52 * k, brow - 45 * k),
        (0.8 * back, brow - 90 * k), (back + 5, brow - 95 * k), (back + 5, top), (0, top),
    ])  # fmt: skip


def _beard(skin: SkinMap, lips: Map) -> dict[str, Map]:
    """Where beards grow, in four parts."""
    mark, k = skin.landmarks, skin.scale
    nose, alar, corner = skin.around(mark[33]), skin.around(mark[35]), skin.around(mark[54])
    ear, angle, chin = skin.around(mark[16]), skin.around(mark[13]), skin.around(mark[8])
    low = skin.around(mark[57])
    skinny = 1 - np.clip(1.3 * lips, 0, 1)
    moustache = [
        (0, nose[1] - 3.5 * k), (alar[0] - 2 * k, alar[1] - 2.5 * k),
        (alar[0] + 5 * k, alar[1] - 5 * k), (corner[0] + 6 * k, corner[1] + 3 * k),
        (corner[0] + 7 * k, corner[1] - 5 * k), (corner[0], corner[1] - 1 * k),
        (0, corner[1] + 4 * k),
    ]  # fmt: skip
    goatee = [
        (0, low[1] + 1 * k), (corner[0] * 0.45, low[1] - 4 * k),
        (corner[0] + 1 * k, corner[1] - 1 * k),
        (corner[0] + 8 * k, corner[1] - 2 * k), (corner[0] + 6 * k, chin[1] - 2 * k),
        (0.6 * corner[0], chin[1] - 10 * k), (0, chin[1] - 12 * k),
    ]  # fmt: skip
    jaw = [
        (corner[0] + 4 * k, corner[1] + 0 * k), (corner[0] + 22 * k, corner[1] + 7 * k),
        (0.5 * (corner[0] + ear[0]) + 12 * k, alar[1] + 2 * k), (ear[0] - 20 * k, alar[1] + 12 * k),
        (ear[0] - 13 * k, ear[1] + 14 * k), (ear[0] + 2 * k, ear[1] + 14 * k),
        (ear[0] + 1 * k, angle[1] + 8 * k), (ear[0] - 4 * k, angle[1] - 10 * k),
        (angle[0] - 8 * k, chin[1] + 6 * k), (0, chin[1] - 12 * k), (0, chin[1] + 4 * k),
    ]  # fmt: skip
    throat = [
        (0, chin[1] + 2 * k), (angle[0] - 12 * k, chin[1] + 10 * k),
        (ear[0] - 2 * k, angle[1] - 4 * k),
        (ear[0] - 2 * k, chin[1] - 10 * k), (0.6 * ear[0], chin[1] - 34 * k), (0, chin[1] - 40 * k),
    ]  # fmt: skip
    return {
        "moustache": skin.region(moustache, 1.3 * k) * skinny,
        "goatee": skin.region(goatee, 2.0 * k) * skinny,
        "jaw": skin.region(jaw, 4.5 * k) * skinny,
        "throat": skin.region(throat, 6.0 * k) * skinny,
    }
