"""Ties between a head and what it wears, against exact maps and obvious twins."""

import numpy as np
import pytest

from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import builtin_head
from facerelief.synth.ties.binding import SpaceBinding, SurfaceBinding, spread
from facerelief.synth.ties.shell import HeadGrid, drape, grid_mesh
from facerelief.synth.ties.wearer import prepare
from spheres import icosphere


@pytest.fixture(scope="module")
def ball():
    vertices, triangles = icosphere(3, 50.0)
    g = np.random.default_rng(0)
    return vertices * (1, 1.2, 0.9) + g.normal(0, 0.3, vertices.shape), triangles


def similarity(points):
    """A turn, a scale and a shift."""
    angle = 0.7
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    return 1.3 * points @ turn.T + [3, -20, 8]


def test_a_surface_binding_is_exact_for_similarities(ball):
    vertices, triangles = ball
    points = 1.1 * vertices[:50] + 1.0
    bound = SurfaceBinding.bind(points, vertices, triangles)
    np.testing.assert_allclose(bound(vertices), points, atol=1e-4)
    np.testing.assert_allclose(bound(similarity(vertices)), similarity(points), atol=1e-3)


def test_anchored_points_follow_their_anchor(ball):
    vertices, triangles = ball
    anchors = vertices[:20]
    bound = SurfaceBinding.bind(anchors * 1.4, vertices, triangles, anchors)
    bent = vertices.copy()
    bent[np.linalg.norm(vertices - vertices[500], axis=1) < 10] += 5  # elsewhere
    far = np.linalg.norm(anchors - vertices[500], axis=1) > 25
    np.testing.assert_allclose(bound(bent)[far], (anchors * 1.4)[far], atol=1e-4)


def test_a_space_binding_is_exact_for_affine_maps_and_at_its_controls(ball):
    vertices, _ = ball
    controls = spread(vertices, 60)
    points = np.vstack([1.3 * vertices[::7], vertices[controls]])
    bound = SpaceBinding(controls, vertices, points)
    shear = np.array([[1.2, 0.1, 0], [0, 0.8, 0.2], [0.3, 0, 1]])
    np.testing.assert_allclose(
        bound(vertices @ shear.T + 5), points @ shear.T + 5, atol=1e-2, rtol=1e-4
    )
    bent = vertices + np.random.default_rng(2).normal(0, 2, vertices.shape)
    np.testing.assert_allclose(bound(bent)[-60:], bent[controls], atol=1e-2)


def test_spread_points_are_apart_and_different(ball):
    vertices, _ = ball
    chosen = spread(vertices, 100)
    assert len(np.unique(chosen)) == 100
    apart = np.linalg.norm(vertices[chosen][:, None] - vertices[chosen], axis=-1)
    np.fill_diagonal(apart, np.inf)
    # 100 discs on a sphere of that area cannot have their centres much farther apart.
    assert apart.min() > 0.6 * np.sqrt(4 * np.pi * 50**2 / 100)
    assert len(spread(vertices[:5], 100)) == 5


def test_the_grid_lies_on_the_skin_of_any_head():
    head = builtin_head()
    wearer = prepare(head)
    grid = HeadGrid(wearer, rows=12, columns=24)
    vertices = head.vertices(np.random.default_rng(0).normal(0, 1, len(head.identity)))
    points = grid(vertices).reshape(-1, 3)
    away = ClosestPoints(vertices, wearer.skin_triangles)(points).distance
    kept = np.setdiff1d(np.arange(len(points)), grid._missed)
    assert away[kept].max() < 0.05
    assert np.median(away) < 0.01
    # Rays of the mean head: scalp at the crown, none before the face.
    assert grid.hairline[0].min() > 20
    front = int(np.abs((grid.azimuth + 180) % 360 - 180).argmin())
    assert grid.hairline[grid.polar.searchsorted(100), front] < -20
    with_ears = np.linalg.norm(grid(head.mean, over_ears=True) - grid.centre(head.mean), axis=-1)
    without = np.linalg.norm(grid(head.mean) - grid.centre(head.mean), axis=-1)
    assert with_ears.max() > without.max() - 1e-3 and (with_ears > without + 8).any()


def test_draped_columns_hang_and_never_turn_inwards():
    rows, columns = 20, 16
    polar = np.linspace(0.1, 2.4, rows)[:, None]
    around = np.arange(columns) * 2 * np.pi / columns
    ball = 80 * np.stack(
        [
            np.sin(polar) * np.sin(around),
            np.cos(polar) + 0 * around,
            np.sin(polar) * np.cos(around),
        ],
        axis=-1,
    )
    hung = drape(ball, np.zeros(3), np.array([10.0, 20.0]), 8)
    radius = np.hypot(hung[..., 0], hung[..., 2])
    assert hung.shape == (rows + 2, columns, 3)
    assert (np.diff(radius, axis=0) > -1e-9).all()
    np.testing.assert_allclose(hung[:8], ball[:8])
    np.testing.assert_allclose(hung[-1, :, 1], ball[-1, :, 1] - 20)


def test_a_grid_faces_outwards_on_a_ball():
    rows, columns = 10, 16
    polar = np.linspace(0.3, 2.5, rows)[:, None]
    around = np.arange(columns) * 2 * np.pi / columns
    ball = np.stack(
        [
            np.sin(polar) * np.sin(around),
            np.cos(polar) + 0 * around,
            np.sin(polar) * np.cos(around),
        ],
        axis=-1,
    ).reshape(-1, 3)
    uv, triangles, uv_triangles = grid_mesh(rows, columns)
    a, b, c = (ball[triangles[:, i]] for i in range(3))
    assert ((np.cross(b - a, c - a) * (a + b + c)).sum(axis=1) > 0).all()
    assert len(uv) == rows * (columns + 1)
    assert np.ptp(uv[uv_triangles][..., 0], axis=1).max() < 1.5 / columns  # no jump at the seam
