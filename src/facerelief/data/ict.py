"""ICT-FaceKit's light model as the data folder holds it, and on the built-in head's topology.

Its identities and expressions were made from light-stage scans. `registered_ict` carries them to
the built-in head, so that looks made for that head fit: for training only, at run time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from facerelief.arrays import FloatArray
from facerelief.cache import cached, digest
from facerelief.geometry import head as head_module
from facerelief.geometry import registration as registration_module
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.model_files_ict import ict_model
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.registration import (
    Registration,
    Surface,
    follow,
    in_space,
    register,
    seen_from_outside,
    transfer,
)
from facerelief.geometry.similarity import Similarity

#: Points of the left ear: back of the helix from above to below, the lobe's end, where the helix
#: meets the cheek, the notch below the tragus; as ICT-FaceKit's vertices and MakeHuman's.
_EAR_ICT = (6893, 6836, 7242, 9187, 7264, 7080)
_EAR_MAKEHUMAN = (12038, 12040, 12052, 12005, 12047, 12085)
_JAW = slice(0, 17)  # its points slide along the jaw from one annotator to the next


#: ICT-FaceKit's skin, with what it turns into behind lips and lids.
_SKIN = ("skin", "mouth", "left_eye_socket", "right_eye_socket")
_TEAR_FILM = 0.3  # mm between eyeballs and lids, whose triangles would else cut into them
#: Parts that are no skin, and what they are laid over and move with: regions of the built-in head
#: and of ICT-FaceKit. The tongue keeps its place behind the lower teeth.
_GUIDES = {
    "eye_left": "left_sclera",
    "eye_right": "right_sclera",
    "teeth_upper": "upper_teeth",
    "teeth_lower": "lower_teeth",
    "tongue": "lower_teeth",
}
#: The point of the boxes round teeth that is laid on each other, 0 to 1: their incisors' edges.
_ANCHORS = {"teeth_upper": (0.5, 0.0, 1.0), "teeth_lower": (0.5, 1.0, 1.0)}


def load_ict(root: Path) -> MorphableModel:
    """The model in its own topology (26,719 vertices, 100 identities, 53 expressions), in mm.

    Arguments:
        root: the data folder; ``ict/ict_facekit.npz`` and ``ict/vertex_indices.json`` are read.

    `geometry.model_files_ict` says how expressions are named and what the regions are.

    Raises:
        FileNotFoundError: the files are not there.
    """
    folder = root / "ict"
    with np.load(folder / "ict_facekit.npz", allow_pickle=False) as arrays:
        names = [str(name) for name in arrays["expression_names"]]
        indices = json.loads((folder / "vertex_indices.json").read_text())
        return ict_model(
            mean=arrays["mean"],
            identity=arrays["identity"],
            expressions=dict(zip(names, arrays["expression"], strict=True)),
            quads=arrays["quads"],
            uv=arrays["uv"],
            quads_uv=arrays["quads_uv"],
            landmarks=np.array(indices["idx_to_landmark_verts"]),
        )


def registered_ict(root: Path, cache: Path, subdivisions: int = 1) -> BuiltinHead:
    """ICT-FaceKit's shapes on the built-in head: 100 identities, 52 ARKit expressions and two more.

    Arguments:
        root: the data folder. cache: the result is kept under it, named after a digest of all that
            it depends on; making it takes about a minute.

    Expressions are in the built-in head's order, then ``cheekRaiserLeft`` and ``cheekRaiserRight``.
    ``tongueOut``, and the turning of the eyeballs in ``eyeLook...``, are the built-in head's own,
    since ICT-FaceKit has none. The origin is midway between the eyes of the mean.

    Raises:
        FileNotFoundError: the files are not there.
    """
    head = builtin_head(subdivisions)
    key = digest(
        *(sys.modules[__name__], registration_module, head_module),
        *(
            (root / "ict" / name).read_bytes()
            for name in ("ict_facekit.npz", "vertex_indices.json")
        ),
        *(head.mean, head.triangles, head.expression, head.landmarks),
        *(part for name in sorted(head.regions) for part in (name, head.regions[name])),
    )
    stored = cached(cache / "ict", f"registered-{key}", lambda: _made(load_ict(root), head))
    eyes = [stored["mean"][head.regions[name]].mean(axis=0) for name in ("eye_left", "eye_right")]
    result = head.with_bases(
        stored["mean"],
        stored["identity"],
        stored["expression"],
        name="ICT-FaceKit on the built-in head",
        licence="MIT AND CC0-1.0",
        expression_names=tuple(stored["expression_names"].tolist()),
        eye_centres=np.stack(eyes),
    )
    assert isinstance(result, BuiltinHead)
    return result


def lay_head_on_ict(ict: MorphableModel, head: BuiltinHead) -> Registration:
    """The built-in head's skin laid on ICT-FaceKit's mean; other vertices go along through space.

    Raises:
        ValueError: a model without landmarks.
    """
    if ict.landmarks is None or head.landmarks is None or head.symmetry is None:
        raise ValueError("both models need landmarks, and the head its symmetry")
    skin = head.regions["skin"]
    usable = skin & seen_from_outside(head.mean, head.triangles)
    for hidden in ("mouth_inside", "eye_sockets", "nostrils"):
        usable &= ~head.regions[hidden]
    for _ in range(2):  # the edges of lids and lips, which eyes and lips hide
        usable[head.triangles[usable[head.triangles].any(axis=1)]] = True
    usable &= skin
    rows = [int(np.flatnonzero(head.makehuman_vertices == k)[0]) for k in _EAR_MAKEHUMAN]
    outer = ict.mean[ict.regions["skin"]]
    across = outer[list(_EAR_ICT)] * np.array([-1, 1, 1], np.float32)
    mirrored = np.linalg.norm(outer - across[:, None], axis=-1).argmin(axis=1)
    source = Surface(
        head.mean,
        head.triangles[skin[head.triangles].all(axis=1)],
        np.concatenate([head.landmarks, rows, head.symmetry[rows]]),
        usable,
    )
    whole = np.any([ict.regions[name] for name in _SKIN], axis=0)
    target = Surface(
        ict.mean,
        ict.triangles[whole[ict.triangles].all(axis=1)],
        np.concatenate([ict.landmarks, _EAR_ICT, mirrored]),
    )
    trust = np.ones(len(source.landmarks))
    trust[_JAW] = 0.2
    trust[8] = 0.5  # the chin
    return register(source, target, trust)


def _made(ict: MorphableModel, head: BuiltinHead) -> dict[str, NDArray[Any]]:
    """Mean, bases and names of ICT-FaceKit's shapes on the built-in head."""
    laid = lay_head_on_ict(ict, head)
    triangles = head.triangles[head.regions["skin"][head.triangles].all(axis=1)]
    mean = laid.vertices.copy()
    identity = transfer(laid, mean, triangles, ict.identity, through_space=True)
    moved = transfer(laid, mean, triangles, ict.expression, through_space=False)
    laid_over = Similarity.between(head.mean[laid.matched], mean[laid.matched])

    more = sorted(set(ict.expression_names) - set(head.expression_names))
    names = (*head.expression_names, *more)
    own = laid_over.scale * head.expression @ laid_over.rotation.T.astype(np.float32)
    # Rows of the result that ICT-FaceKit has, and its rows for them.
    known = np.array([row for row, name in enumerate(names) if name in ict.expression_names])
    order = np.array([ict.expression_names.index(names[row]) for row in known])
    expression = np.zeros((len(names), *mean.shape))
    expression[: len(own)] = own
    expression[known] = moved[order]

    for name, region in _GUIDES.items():
        ours, theirs = head.regions[name], ict.regions[region]
        guide = ict.mean[theirs]
        if name in _ANCHORS:
            mean[ours] = _laid_over(head.mean[ours], guide, np.array(_ANCHORS[name]))
        elif name == "tongue":
            teeth = head.regions["teeth_lower"]
            mean[ours] = Similarity.between(head.mean[teeth], mean[teeth])(head.mean[ours])
        else:
            mean[ours] = _blown_up(head.mean[ours], guide)
        identity[:, ours] = follow(mean[ours], guide, ict.identity[:, theirs])
        motion = follow(mean[ours], guide, ict.expression[:, theirs])
        expression[np.ix_(known, np.flatnonzero(ours))] = motion[order]
    for name in ("eye_left", "eye_right"):
        turning = head.regions[name]
        expression[: len(own), turning] += own[:, turning]
    lashes = head.regions["lashes"]
    for fields in (identity, expression):
        fields[:, lashes] = in_space(mean, ~lashes & head.regions["skin"], fields)[:, lashes]

    origin = np.mean(
        [mean[head.regions[k]].mean(axis=0) for k in ("eye_left", "eye_right")], axis=0
    )
    return {
        "mean": (mean - origin).astype(np.float32),
        "identity": identity.astype(np.float32),
        "expression": expression.astype(np.float32),
        "expression_names": np.array(names),
    }


def _laid_over(points: FloatArray, guide: FloatArray, anchor: FloatArray) -> FloatArray:
    """Points scaled to the guide's width and moved until the anchors of their boxes meet."""
    low, high = points.min(axis=0), points.max(axis=0)
    their_low, their_high = guide.min(axis=0), guide.max(axis=0)
    scale = (their_high - their_low)[0] / (high - low)[0]
    result: FloatArray = (
        scale * (points - low - anchor * (high - low))
        + their_low + anchor * (their_high - their_low)
    )  # fmt: skip
    return result


def _blown_up(points: FloatArray, guide: FloatArray) -> FloatArray:
    """An eyeball's points pushed out from its centre onto another eyeball, cornea and all: lids
    that close over the one then close over the other."""
    hull = ConvexHull(guide)
    centre = eye_centre(guide)
    rays = points - eye_centre(points)
    normals, offsets = hull.equations[:, :3], hull.equations[:, 3]
    inside = -(normals @ centre + offsets)  # distances of the facets' planes from the centre
    along = rays @ normals.T
    reach = np.where(along > 1e-9, inside / np.maximum(along, 1e-9), np.inf).min(axis=1)
    onto = reach[:, None] * rays
    return np.asarray(centre + onto - _TEAR_FILM * onto / np.linalg.norm(onto, axis=1)[:, None])


def eye_centre(points: FloatArray) -> FloatArray:
    """The centre (3,) of an eyeball's points (P, 3): of the sphere that is nearest to its back
    half, which has no cornea."""
    depth = points[:, 2]
    back = points[depth < (depth.min() + depth.max()) / 2].astype(float)
    system = np.concatenate([2 * back, np.ones((len(back), 1))], axis=1)
    solved: FloatArray = np.linalg.lstsq(system, (back**2).sum(axis=1), rcond=None)[0]
    return solved[:3]
