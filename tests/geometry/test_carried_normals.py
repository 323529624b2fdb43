"""Normals carried onto meshes whose answer is known: bumps on a sheet and on a sphere."""

import numpy as np
import pytest

from facerelief.geometry.carried_normals import carry_normals
from facerelief.geometry.mesh import check_mesh, face_normals, vertex_normals
from facerelief.geometry.moved_surface import Links, Surface
from facerelief.geometry.refined_mesh import RefinedMesh
from spheres import icosphere


def sheet(side: int = 60) -> Surface:
    y, x = np.mgrid[:side, :side].astype(float)
    vertices = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    squares = [[first, first + 1, first + side + 1], [first, first + side + 1, first + side]]
    triangles = np.concatenate([np.stack(corners, -1) for corners in squares])
    return Surface(
        vertices, Links(triangles, len(vertices)), np.tile([0.0, 0.0, 1.0], (len(triangles), 1))
    )


def test_a_bump_is_found_by_its_normals() -> None:
    flat = sheet()
    x, y = flat.vertices[:, 0] - 30, flat.vertices[:, 1] - 30
    height = 1.5 * np.exp(-(x**2 + y**2) / (2 * 5**2))
    slope = np.stack([height * x / 25, height * y / 25, np.ones_like(x)], -1)
    normals = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    found = carry_normals(flat, lambda by: (normals, np.ones(len(by))))
    np.testing.assert_allclose(found - np.median(found), height, atol=0.12)
    turned = vertex_normals(flat.displaced(found), flat.triangles)
    inner = (np.abs(x) < 25) & (np.abs(y) < 25)
    assert np.degrees(np.arccos((turned * normals).sum(-1).clip(-1, 1)))[inner].mean() < 0.5
    blind = carry_normals(flat, lambda by: (normals, np.zeros(len(by))))
    np.testing.assert_array_equal(blind, 0)


def test_what_contradicts_the_mesh_is_not_carried() -> None:
    flat = sheet(20)
    away = np.tile([0.0, 0.0, -1.0], (len(flat.vertices), 1))
    np.testing.assert_array_equal(carry_normals(flat, lambda by: (away, np.ones(len(by)))), 0)


def test_no_triangle_turns_over() -> None:
    vertices, triangles = icosphere(4, 20.0)
    ball = Surface(vertices, Links(triangles, len(vertices)), face_normals(vertices, triangles))
    wild = np.random.default_rng(0).normal(0, 25, len(vertices))
    assert ball.flipped(ball.displaced(wild)).any()
    assert not ball.flipped(ball.unfolded(wild)).any()
    gentle = 0.1 * np.sin(vertices[:, 0])
    np.testing.assert_array_equal(ball.unfolded(gentle), ball.displaced(gentle))


def test_a_hollow_that_moves_inwards_keeps_its_shape() -> None:
    """Walls of a narrow pit would cross where each moves along its own normal."""
    flat = sheet(41)
    x, y = flat.vertices[:, 0] - 20, flat.vertices[:, 1] - 20
    pit = flat.vertices - np.array([0, 0, 1]) * (12 * np.exp(-(x**2 + y**2) / 8))[:, None]
    surface = Surface(pit, flat.links, face_normals(pit, flat.triangles))
    by = np.full(len(pit), 9.0)
    assert surface.flipped(surface.displaced(by)).any()
    moved = surface.unfolded(by)
    assert not surface.flipped(moved).any()
    off = moved - pit
    steps = np.linalg.norm(np.diff(off[surface.links.edges], axis=1)[:, 0], axis=-1)
    assert steps.max() < 3 and np.linalg.norm(off, axis=1).min() > 2  # no step, and no stay


@pytest.mark.parametrize("past", [0.0, 1e-3], ids=["no area", "turned over from the start"])
@pytest.mark.parametrize(("mm", "rings"), [(2.0, 4), (8.0, 16)])
def test_a_triangle_that_never_unfolds_stills_its_neighbours_alone(
    past: float, mm: float, rings: int
) -> None:
    flat, corner, ends = sheet(61), 30 * 61 + 30, [30 * 61 + 31, 31 * 61 + 31]
    x, y = flat.vertices[:, 0] - 30, flat.vertices[:, 1] - 30
    vertices = flat.vertices + np.array([0, 0, 1]) * ((x - y) ** 2 / 60)[:, None]
    middle = vertices[ends].mean(axis=0)  # the corner is put onto the other side, or past it
    vertices[corner] = middle + past * (middle - vertices[corner])
    surface = Surface(vertices, flat.links, flat.facing)
    resting = surface.flipped(vertices)
    assert resting.sum() == (past > 0)
    by = mm + 0.2 * np.sin(np.arange(len(vertices)))
    assert surface.flipped(surface.displaced(by)).any()
    moved = surface.unfolded(by)
    assert not (surface.flipped(moved) & ~resting).any()
    np.testing.assert_array_equal(moved[[corner, *ends]], vertices[[corner, *ends]])
    away = np.hypot(x, y) > rings
    np.testing.assert_array_equal(moved[away], surface.displaced(by)[away])
    steps = np.linalg.norm(np.diff((moved - vertices)[flat.links.edges], axis=1)[:, 0], axis=-1)
    assert steps.max() < 1.5  # a slope towards it, no pit


@pytest.mark.parametrize("level", [2, 3])
def test_a_refined_sphere_is_rounder_and_keeps_its_vertices(level: int) -> None:
    vertices, triangles = icosphere(level, 90.0)
    fine = RefinedMesh.of(triangles)
    check_mesh(fine.curved(vertices, vertices / 90), fine.triangles)
    curved = fine.curved(vertices, vertices / 90)
    np.testing.assert_array_equal(curved[: len(vertices)], vertices)
    np.testing.assert_array_equal(fine.linear(vertices)[: len(vertices)], vertices)
    sunk = 90 - np.linalg.norm(fine.linear(vertices), axis=1).min()
    assert np.abs(np.linalg.norm(curved, axis=1) - 90).max() < 0.1 * sunk
    assert len(fine.triangles) == 4 * len(triangles)
    # The parts of a triangle lie in it.
    middles = fine.linear(vertices)[fine.triangles].mean(axis=1).reshape(-1, 4, 3)
    np.testing.assert_allclose(middles.mean(axis=1), vertices[triangles].mean(axis=1), atol=1e-9)
