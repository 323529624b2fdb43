"""Teeth, gums and tongue: the head's own meshes with one texture for all.

`_mouth_texture` shows fourteen teeth side by side; each arch is unrolled on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import FloatArray, IntArray
from facerelief.easing import smooth_step
from facerelief.geometry.morphable import MorphableModel
from facerelief.render.scene import Material, Part
from facerelief.synth.features.colours import opaque


class Teeth:
    """The teeth, gums and tongue of a head as one part, or none where the head has none."""

    def __init__(self, head: MorphableModel) -> None:
        self.parts: list[tuple[IntArray, IntArray, NDArray[np.float32]]] = []
        for name, sign in (("teeth_upper", 1), ("teeth_lower", -1), ("tongue", 0)):
            if name in head.regions:
                self.parts.append(_mouth_mesh(head, head.regions[name], sign))

    def draw(self, g: np.random.Generator, vertices: FloatArray) -> list[Part]:
        """One part for all of it, on the head with `vertices`."""
        if not self.parts:
            return []
        texture = _mouth_texture(g)
        points, triangles, uvs, count = [], [], [], 0
        for used, local, uv in self.parts:
            points.append(vertices[used])
            triangles.append(local + count)
            uvs.append(uv)
            count += len(used)
        mesh = np.concatenate(triangles).astype(np.int32)
        material = Material(texture, specular=0.04, roughness=float(g.uniform(0.2, 0.4)))
        return [
            Part(
                "teeth",
                np.concatenate(points).astype(np.float32),
                mesh,
                np.concatenate(uvs).astype(np.float32),
                mesh,
                material,
            )
        ]


def _mouth_mesh(
    head: MorphableModel, mask: NDArray[np.bool_], sign: int
) -> tuple[IntArray, IntArray, NDArray[np.float32]]:
    """Used vertices, triangles into them and uv on `_mouth_texture`.

    Its left 80 % are a row of teeth around the arch, gums above (v = 1); the rest is tongue.
    """
    own = head.triangles[mask[head.triangles].all(axis=1)]
    used = np.unique(own)
    points = head.mean[used].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    height = (points[:, 1] - low[1]) / (high[1] - low[1])
    if sign == 0:
        u = np.full(len(points), 0.9)
        v = height
    else:
        middle = np.array([(low[0] + high[0]) / 2, low[2]])
        angle = np.arctan2(points[:, 0] - middle[0], points[:, 2] - middle[1])
        u = 0.4 + 0.4 * np.clip(angle / (np.pi / 2), -1, 1)
        v = height if sign > 0 else 1 - height
    return used, np.searchsorted(used, own), np.stack([u, v], axis=1).astype(np.float32)


def _mouth_texture(g: np.random.Generator) -> NDArray[np.uint8]:
    """(32, 160, 4) fourteen teeth side by side under their gums, and tongue at the right."""
    v = np.linspace(1, 0, 32)[:, None]
    u = np.linspace(0, 1, 160)[None] / 0.8
    ivory = np.array([0.86, 0.80, 0.68]) * g.uniform(0.85, 1.05)
    ivory = ivory * (1, 1 - 0.06 * g.random(), 1 - 0.18 * g.random())
    gum = np.array([0.66, 0.33, 0.32]) * g.uniform(0.7, 1.05)
    place = (u * 14) % 1
    gap = np.exp(-((np.minimum(place, 1 - place) / 0.07) ** 2))
    shade = (1 - 0.55 * gap) * (1 - 0.25 * smooth_step(v, 0.3, 0.75)) * (1 - 0.5 * (2 * u - 1) ** 4)
    edge = smooth_step(v, 0.62, 0.70) * np.ones_like(u)
    row = ivory * (shade * (1 - edge))[..., None] + gum * edge[..., None]
    tongue = np.array([0.62, 0.28, 0.28]) * g.uniform(0.7, 1.0)
    row[:, 128:] = tongue
    return opaque(row)
