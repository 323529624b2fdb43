"""Meshes: spheres, normals against slow twins, and what check_mesh finds."""

import numpy as np
import pytest

from facerelief.geometry.mesh import check_mesh, face_areas, face_normals, vertex_normals
from facerelief.geometry.normals import angular_error, normalise
from spheres import icosphere, uv_sphere


@pytest.mark.parametrize("subdivisions", range(4))
def test_icosphere_is_a_closed_sphere_facing_out(subdivisions):
    vertices, triangles = icosphere(subdivisions, radius=2.5)
    check_mesh(vertices, triangles)
    assert len(triangles) == 20 * 4**subdivisions
    assert len(vertices) - 3 * len(triangles) // 2 + len(triangles) == 2  # Euler
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=-1), 2.5)
    middles = vertices[triangles].mean(axis=1)
    assert (np.einsum("ti,ti->t", face_normals(vertices, triangles), middles) > 0).all()


def test_uv_sphere_is_a_sphere_facing_out_with_its_texture_upright():
    vertices, triangles, uv = uv_sphere(12, 20, radius=3)
    check_mesh(vertices, triangles)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=-1), 3)
    assert len(triangles) == 2 * 11 * 20
    assert (face_areas(vertices, triangles) > 1e-6).all()
    middles = vertices[triangles].mean(axis=1)
    assert (np.einsum("ti,ti->t", face_normals(vertices, triangles), middles) > 0).all()
    front = np.flatnonzero(np.isclose(uv, 0.5).all(axis=1))
    np.testing.assert_allclose(vertices[front], [[0, 0, 3]], atol=1e-12)
    top = uv[:, 1] == 1
    np.testing.assert_allclose(vertices[top], np.broadcast_to([0, 3, 0], (21, 3)), atol=1e-12)
    right = np.isclose(uv, [0.75, 0.5]).all(axis=1)
    np.testing.assert_allclose(vertices[right], [[3, 0, 0]], atol=1e-12)
    with pytest.raises(ValueError, match="2 rings"):
        uv_sphere(1, 20)


def test_areas_add_up_to_the_sphere():
    vertices, triangles = icosphere(5, radius=2)
    assert face_areas(vertices, triangles).sum() == pytest.approx(16 * np.pi, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vertex_normals_of_a_sphere_point_out(dtype):
    vertices, triangles = icosphere(4)
    normals = vertex_normals(vertices.astype(dtype), triangles)
    assert normals.dtype == dtype
    assert angular_error(normals, vertices).max() < 0.5


def test_vertex_normals_equal_the_loop_and_serve_a_batch():
    _, triangles = icosphere(1)
    vertices = np.random.default_rng(0).normal(size=(2, 3, 42, 3))
    twin = np.zeros_like(vertices)
    for batch in np.ndindex(2, 3):
        for a, b, c in triangles:
            p, q, r = vertices[batch][[a, b, c]]
            for corner in (a, b, c):
                twin[batch][corner] += np.cross(q - p, r - p)
    np.testing.assert_allclose(vertex_normals(vertices, triangles), normalise(twin), atol=1e-12)
    single = vertex_normals(vertices[1, 2], triangles)
    np.testing.assert_allclose(single, normalise(twin[1, 2]), atol=1e-12)


def test_normals_of_nothing_are_zero():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]])
    assert not face_normals(vertices, [[0, 1, 2]]).any()
    assert not vertex_normals(vertices, [[0, 1, 2]]).any()
    assert face_areas(vertices, [[0, 1, 2]]).tolist() == [0]


QUAD = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]])


def test_open_meshes_and_empty_ones_are_right():
    check_mesh(QUAD, np.array([[0, 1, 2], [0, 2, 3]]))
    check_mesh(np.stack([QUAD, QUAD]), np.array([[0, 1, 2]]))
    check_mesh(QUAD, np.empty((0, 3), int))


@pytest.mark.parametrize(
    ("vertices", "triangles", "message"),
    [
        (QUAD[:, :2], [[0, 1, 2]], "vertices must be"),
        (QUAD, [[0, 1, 2, 3]], "triangles must be"),
        (QUAD, [[0.0, 1, 2]], "integers"),
        (QUAD * [1, 1, np.nan], [[0, 1, 2]], "5 vertices not finite"),
        (QUAD, [[0, 1, 5]], r"outside 0\.\.4"),
        (QUAD, [[0, 1, -1]], r"outside 0\.\.4"),
        (QUAD, [[0, 1, 1]], "twice"),
        (QUAD, [[0, 1, 2], [0, 3, 2]], "wound"),
        (QUAD, [[0, 1, 2], [0, 2, 3], [2, 0, 4]], "third"),
    ],
)
def test_check_mesh_names_what_is_wrong(vertices, triangles, message):
    with pytest.raises(ValueError, match=message):
        check_mesh(vertices, triangles)
