"""Systems solved by steps are those solved by factors."""

import numpy as np
import pytest
from scipy import sparse

from facerelief.geometry.factorised import TwoGrids, factorised
from facerelief.geometry.refined_mesh import RefinedMesh
from spheres import icosphere


@pytest.mark.parametrize("stiff", [1e-4, 1.0])
def test_two_grids_answer_as_factors_do(stiff: float) -> None:
    _, triangles = icosphere(4, 50.0)
    links = RefinedMesh.of(triangles).links
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.01, 1, len(links.edges))
    slope = sparse.csr_array(
        (
            np.repeat([1.0, -1.0], len(weight)),
            (np.tile(np.arange(len(weight)), 2), links.edges.T.ravel()),
        ),
        shape=(len(weight), links.count),
    )
    system = (
        slope.T @ sparse.diags_array(weight) @ slope + stiff * sparse.eye_array(links.count)
    ).tocsr()
    right = rng.normal(size=links.count)
    exact = factorised(system.tocsc()).solve(right)
    found = TwoGrids(system, links.prolongation).solve(right, np.zeros(links.count))
    assert np.linalg.norm(found - exact) < 2e-3 * np.linalg.norm(exact)
    assert np.linalg.norm(system @ found - right) <= 1.01e-4 * np.linalg.norm(right)
