"""Heads whose face is known get the rest of themselves back, without a step at its border."""

import numpy as np
import pytest

from facerelief.geometry.completion import completed
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.skin_mesh import skin_mesh

MESH = skin_mesh()


def head(seed: int, strength: float = 1.0) -> np.ndarray:
    """A random head's (M, 3) skin, neutral."""
    model = builtin_head(1)
    coefficients = strength * np.random.default_rng(seed).normal(size=len(model.identity))
    return (model.mean + np.einsum("k,kvc->vc", coefficients, model.identity))[MESH.source]


@pytest.mark.parametrize("seed", range(3))
def test_the_rest_of_a_head_is_guessed_better_than_by_the_mean(seed: int) -> None:
    true = head(seed)
    blank = true.copy()
    blank[~MESH.face] = 1e3  # what is not the face is not looked at
    found = completed(blank)
    rest = ~MESH.face
    assert np.array_equal(found[MESH.face], true[MESH.face].astype(np.float32))
    off = np.linalg.norm(found - true, axis=1)[rest].mean()
    mean = np.linalg.norm(MESH.mean - true, axis=1)[rest].mean()
    assert off < 0.6 * mean


def test_a_face_that_no_model_has_still_joins_its_head() -> None:
    face = head(5) + np.array([0, 0, 6.0])  # everything is 6 mm too far in front
    found = completed(face)
    crossing = MESH.triangles[MESH.face[MESH.triangles].any(1) & ~MESH.face_triangles]
    stretched = np.linalg.norm(found[crossing] - np.roll(found[crossing], 1, axis=1), axis=2)
    before = np.linalg.norm(face[crossing] - np.roll(face[crossing], 1, axis=1), axis=2)
    assert np.median(stretched / before) == pytest.approx(1, abs=0.15)
    assert (stretched < 2.5 * before + 1).mean() > 0.98
    normals = vertex_normals(found, MESH.triangles)
    assert np.isfinite(normals).all()
