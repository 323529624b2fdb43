"""What the face model's coefficients are for heads that other models made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from facerelief.cache import cache_folder
from facerelief.data.folders import data_root
from facerelief.data.ict import registered_ict
from facerelief.data.sample import Heads, Sample
from facerelief.geometry.face_model import face_model
from facerelief.geometry.head import builtin_head
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.skin_mesh import skin_mesh


def blank(count: int, size: int) -> Heads:
    """Of pictures of which nothing of the kind is known."""
    model = face_model()
    return Heads(
        torch.zeros(count, len(model.identity)),
        torch.zeros(count, len(model.expression)),
        torch.zeros(count),
        torch.zeros(count, 3, size, size),
        torch.zeros(count, dtype=torch.bool),
    )


class Unknown:
    """A source of samples of whose heads nothing is known, beside sources that give `Heads`.

    Args: source: has `batch`, as every source.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        sample: Sample = self.source.batch(count, size, g)
        return replace(sample, heads=blank(count, size))


def identity(coefficients: Mapping[str, Any]) -> NDArray[np.float32]:
    """(K,) of the face that a rendering's ``model`` and ``identity`` made: the nearest.

    Raises:
        ValueError: a model that nothing is known of. FileNotFoundError: ICT-FaceKit's is not there.
    """
    start, matrix = _told(str(coefficients["model"]))
    told: NDArray[np.float32] = start + np.asarray(coefficients["identity"], np.float32) @ matrix
    return told


@lru_cache(maxsize=2)
def _told(model: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients (K,) of a model's mean, and (k, K) what each of its own adds to them."""
    own = face_model()
    head: MorphableModel = builtin_head()
    if model != head.name:
        head = registered_ict(Path(data_root()), cache_folder())
    if model != head.name:
        raise ValueError(f"heads of an unknown model, {model}")
    mesh = skin_mesh()
    face = np.unique(mesh.source[mesh.outer])
    basis = own.identity[:, face].reshape(len(own.identity), -1).astype(np.float64)
    off = np.concatenate([(head.mean - own.mean)[None], head.identity])[:, face]
    told = np.linalg.solve(basis @ basis.T, basis @ off.reshape(len(off), -1).T).T
    return told[0].astype(np.float32), told[1:].astype(np.float32)


def expression(weights: Mapping[str, float]) -> NDArray[np.float32]:
    """(E,) of weights by name; the model has no part in names that it lacks."""
    names = face_model().expression_names
    return np.array([weights.get(name, 0.0) for name in names], np.float32)


@lru_cache(maxsize=1)
def mirror_signs() -> Tensor:
    """(K,) of 1 and -1: an identity's coefficients times these are those of its mirror image."""
    model = face_model()
    across = model.identity[:, model.symmetry] * np.array([-1, 1, 1], np.float32)
    return torch.from_numpy(np.sign(np.einsum("kvc,kvc->k", model.identity, across)))


@lru_cache(maxsize=1)
def mirror_order() -> Tensor:
    """(E,) which expression each one is in a mirrored face."""
    names = face_model().expression_names
    swapped = {"Left": "Right", "Right": "Left"}
    others = [
        next((n.removesuffix(a) + b for a, b in swapped.items() if n.endswith(a)), n) for n in names
    ]
    # jawLeft and mouthLeft too: what goes to the left goes to the right in a mirror.
    return torch.tensor([names.index(name) for name in others])


def nearness(position: NDArray[np.float32], facts: Mapping[str, Any]) -> NDArray[np.float32]:
    """A rendering's map (S, S, 3) with its z along the ray to the head, and not along the axis.

    A camera that sees a head beside its axis sees it turned; a crop does not tell where the axis
    was. Along the ray, z is the same wherever in the frame the head was.
    """
    focal, centre = facts["focal"], np.asarray(facts["centre"], np.float32)
    origin = np.asarray(facts["translation"], np.float32)
    unit = focal / -origin[2]  # pixels a mm, where the origin is
    depth = -(position[..., 2:] / unit + origin[2])
    flat = (position[..., :2] - centre) * (1, -1) * (depth / focal)
    points = np.concatenate([flat, -depth], -1)
    distance = np.linalg.norm(origin)
    near = distance - points @ (origin / distance)
    return np.concatenate([position[..., :2], (near * unit)[..., None]], -1).astype(np.float32)
