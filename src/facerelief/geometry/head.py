"""The built-in head: MakeHuman's (CC0), made small and smooth, with maps to other conventions.

`tools/build_head.py` makes its file; docs/head.md says what is in it and what it cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.catalogue import read_arrays
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.subdivision import Subdivision, catmull_clark
from facerelief.once import once

#: Parts that subdivision must not shrink, since other parts touch them.
_ROUND = ("eye_left", "eye_right")


@dataclass(frozen=True, eq=False, kw_only=True)
class BuiltinHead(MorphableModel):
    """A `MorphableModel` that also knows MakeHuman's and MediaPipe's numbering.

    Triangles 2 q and 2 q + 1 are quad q. Vertices of the region `lashes` belong to no triangle:
    MakeHuman's eyelash meshes hang on them.
    """

    landmarks: NDArray[np.int32]  # (68,) as the base's, but there
    uv: NDArray[np.float32]  # (U, 2)
    uv_triangles: NDArray[np.int32]  # (T, 3)
    symmetry: NDArray[np.int32]  # (V,)
    quads: NDArray[np.int32]  # (Q, 4)
    uv_makehuman: NDArray[np.float32]  # (U', 2) in [0, 1], v upwards: the layout of its skins
    uv_makehuman_triangles: NDArray[np.int32]  # (T, 3) into uv_makehuman
    makehuman_vertices: NDArray[np.int32]  # (V,) of its base.obj; -1 for those between them
    eye_centres: NDArray[np.float32]  # (2, 3) mm of the mean, the left eye's first
    facemesh_triangles: NDArray[np.int32]  # (478,) triangle of each of MediaPipe's points
    facemesh_barycentrics: NDArray[np.float32]  # (478, 3) weights of its corners


@once(maxsize=8)
def builtin_head(subdivisions: int = 1, bases: bool = True) -> BuiltinHead:
    """The built-in head after that many Catmull-Clark steps; 1 is smooth enough for 256 pixels.

    The result is shared between calls: do not write into its arrays. Without ``bases`` it is the
    mean alone, in a third of the time.

    Raises:
        ValueError: subdivisions outside 0 to 3.
        WeightsError: the file of the head is missing or damaged.
    """
    if not 0 <= subdivisions <= 3:
        raise ValueError(f"subdivisions must be 0 to 3, got {subdivisions}")
    data = read_arrays("head.npz") if bases else _stored()
    mean = data["mean"]
    quads = data["quads"].astype(np.int32)
    offsets = {
        name: data[name] * data[f"{name}_scale"][:, None, None]
        for name in ("identity", "expression")
        if name in data
    }
    masks = np.unpackbits(data["regions"], axis=1, count=len(mean)).astype(bool)
    regions = dict(zip(data["region_names"].tolist(), masks, strict=True))
    symmetry = data["symmetry"].astype(np.int32)
    makehuman = data["makehuman_vertices"]
    layouts = {
        name: (data[name], data[f"{name}_quads"].astype(np.int32))
        for name in ("uv", "uv_makehuman")
    }
    marks = [
        (data[f"{name}_quads"].astype(np.int64), data[f"{name}_st"])
        for name in ("landmark", "facemesh")
    ]
    for level in range(subdivisions):
        step = refinement(level)
        smaller = [_keep_size(step, regions[name], mean) for name in _ROUND]
        finer = {name: step.carry(mask) for name, mask in regions.items()}

        def apply(values: NDArray[Any]) -> NDArray[np.float32]:
            result = step.apply(values)  # noqa: B023
            for old, new, grow in smaller:  # noqa: B023
                centre = values[..., old, :].mean(axis=-2, keepdims=True)
                result[..., new, :] = centre + grow * (result[..., new, :] - centre)
            return result.astype(np.float32)

        mean, offsets = apply(mean), {name: apply(basis) for name, basis in offsets.items()}
        for name, (uv, uv_quads) in layouts.items():
            flat = catmull_clark(uv_quads, len(uv), linear=True)
            layouts[name] = flat.apply(uv).astype(np.float32), flat.quads
        makehuman = np.concatenate([makehuman, np.full(len(mean) - len(makehuman), -1)])
        marks = [_finer_place(*place) for place in marks]
        symmetry, quads, regions = step.mirror(symmetry), step.quads, finer
    facemesh = _in_triangles(*marks[1])
    none = np.zeros((0, len(mean), 3), np.float32)
    return BuiltinHead(
        name="built-in head",
        licence="CC0-1.0",
        mean=mean,
        triangles=_triangles(quads),
        identity=offsets.get("identity", none),
        expression=offsets.get("expression", none),
        expression_names=tuple(data["expression_names"].tolist()) if bases else (),
        landmarks=_nearest_corner(quads, *marks[0]),
        uv=layouts["uv"][0],
        uv_triangles=_triangles(layouts["uv"][1]),
        regions=regions,
        symmetry=symmetry,
        quads=quads,
        uv_makehuman=layouts["uv_makehuman"][0],
        uv_makehuman_triangles=_triangles(layouts["uv_makehuman"][1]),
        makehuman_vertices=makehuman.astype(np.int32),
        eye_centres=np.stack([mean[regions[name]].mean(axis=0) for name in _ROUND]),
        facemesh_triangles=facemesh[0],
        facemesh_barycentrics=facemesh[1],
    )


@lru_cache(maxsize=3)
def refinement(level: int = 0) -> Subdivision:
    """The step from the head after `level` subdivisions to the next one; eyes shrink by it."""
    if level == 0:
        return catmull_clark(_stored()["quads"], len(_stored()["mean"]))
    before = refinement(level - 1)
    return catmull_clark(before.quads, before.matrix.shape[0])


@lru_cache(maxsize=1)
def _stored() -> dict[str, NDArray[Any]]:
    """What the file has, but for its bases."""
    return read_arrays("head.npz", without=("identity", "expression"))


def _keep_size(
    step: Subdivision, old: NDArray[np.bool_], mean: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """Masks of a ball before and after `step`, and the factor that gives it its radius back."""
    new = step.carry(old)
    centre = mean[old].mean(axis=0)
    before = np.linalg.norm(mean[old] - centre, axis=1).mean()
    after = np.linalg.norm(step.apply(mean)[new] - centre, axis=1).mean()
    return old, new, float(before / after)


def _finer_place(
    quads: NDArray[np.int64], st: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places (n,), (n, 2) in quads, after these were cut in four.

    Corner 0 is at (0, 0), corner 1 at (1, 0), corner 2 at (1, 1); every part begins at its own
    corner and goes round the same way.
    """
    s, t = st.T
    corner = np.where(t < 0.5, np.where(s < 0.5, 0, 1), np.where(s < 0.5, 3, 2))
    first = np.choose(corner, [s, t, 1 - s, 1 - t])
    second = np.choose(corner, [t, 1 - s, 1 - t, s])
    return 4 * quads + corner, 2 * np.stack([first, second], axis=1)


def _nearest_corner(
    quads: NDArray[np.int32], chosen: NDArray[np.int64], st: NDArray[np.float32]
) -> NDArray[np.int32]:
    """(n,) vertices nearest to places."""
    s, t = st.T >= 0.5
    return quads[chosen, np.where(t, np.where(s, 2, 3), np.where(s, 1, 0))]


def _in_triangles(
    quads: NDArray[np.int64], st: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(n,) triangles of `_triangles` and (n, 3) barycentrics of places."""
    s, t = st.T
    first = s >= t
    barycentrics = np.where(
        first[:, None], np.stack([1 - s, s - t, t], 1), np.stack([1 - t, s, t - s], 1)
    )
    return (2 * quads + ~first).astype(np.int32), barycentrics.astype(np.float32)


def _triangles(quads: NDArray[np.int32]) -> NDArray[np.int32]:
    """(2 Q, 3): every quad (Q, 4) cut from its first to its third corner."""
    return np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
