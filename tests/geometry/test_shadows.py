"""Cast shadows: against geometry on paper, and against ray casting."""

import numpy as np
import pytest

from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.shadows import light_reaching
from spheres import icosphere


def grid(extent: float, step: float, z: float, start: int = 0):
    """A square of triangles in the plane z, facing the viewer."""
    ticks = np.arange(-extent, extent + step / 2, step)
    x, y = np.meshgrid(ticks, ticks)
    vertices = np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3)
    index = start + np.arange(len(vertices)).reshape(x.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    pairs = [np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, d), (a, d, c))]
    return vertices, np.concatenate(pairs)


@pytest.mark.parametrize("light", [(0, 0, 1), (0.5, 0, 1), (-0.4, 0.6, 1)])
def test_a_floating_square_throws_its_shadow_where_it_should(light) -> None:
    floor, below = grid(60, 1, 0)
    lid, above = grid(10, 1, 30, start=len(floor))
    direction = normalise(np.array(light, float))
    reached = light_reaching(
        np.concatenate([floor, lid]), np.concatenate([below, above]), direction[None]
    )[0]
    offset = 30 * direction[:2] / direction[2]  # from the floor to the lid, along the light
    inside = np.abs(floor[:, :2] + offset).max(axis=1)  # the square's edge is at 10
    np.testing.assert_array_equal(reached[: len(floor)][inside < 7], 0)
    np.testing.assert_array_equal(reached[: len(floor)][inside > 13], 1)
    np.testing.assert_array_equal(reached[len(floor) :], 1)


def test_a_sphere_throws_no_shadow_on_its_lit_side() -> None:
    vertices, triangles = icosphere(4, radius=50)
    light = normalise(np.array([[1.0, 2, 3], [-1, 0, 0]]))
    reached = light_reaching(vertices, triangles, light)
    cosine = light @ (vertices / 50).T
    assert reached.shape == cosine.shape
    assert (reached[cosine > 0.15] == 1).all() and (reached[cosine < -0.4] == 0).all()


def test_agrees_with_ray_casting() -> None:
    trimesh = pytest.importorskip("trimesh")
    vertices, triangles = icosphere(5, radius=60)
    lumps = 1 + 0.25 * np.sin(5 * vertices[:, :1] / 60) * np.cos(6 * vertices[:, 1:2] / 60)
    vertices = vertices * lumps
    normals = vertex_normals(vertices, triangles)
    light = normalise(np.array([0.8, 0.3, 0.5]))
    facing = normals @ light > 0.2
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    start = vertices[facing] + 2 * normals[facing]
    hidden = mesh.ray.intersects_any(start, np.broadcast_to(light, start.shape))
    reached = light_reaching(vertices, triangles, light[None])[0, facing]
    assert 0.05 < hidden.mean() < 0.9
    assert ((reached < 0.5) == hidden).mean() > 0.98
