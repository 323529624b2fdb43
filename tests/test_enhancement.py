"""A smooth ball that a photo shows with bumps: what is carried onto its mesh, and what is not."""

import numpy as np
import pytest

from facerelief.enhancement import MOST_SHOWN, enhance
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import angular_error, normalise
from facerelief.geometry.similarity import Similarity
from facerelief.mesh_reading import MeshError
from facerelief.placement import Placement, placed_by
from facerelief.types import Face, Mesh, Place, Surface

RADIUS, SIZE = 90.0, 256
#: The ball's middle is the crop's, and a mm is a pixel.
PLACED = Placement(Similarity(1.0, np.eye(3), np.array([128.0, -128.0, 0.0])), 1.0, 0.0)


def ball(steps=48):
    """Longitudes round y, with a seam at the back: its vertices are there twice."""
    v, u = np.meshgrid(np.linspace(0.05, 0.95, steps), np.linspace(0, 1, steps), indexing="ij")
    polar, azimuth = np.pi * v, 2 * np.pi * u - np.pi
    x, z = np.sin(polar) * np.sin(azimuth), np.sin(polar) * np.cos(azimuth)
    places = RADIUS * np.stack([x, np.cos(polar), z], -1)
    index = np.arange(steps**2).reshape(steps, steps)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.stack([[a, c, b], [b, c, d]]).reshape(2, 3, -1).transpose(0, 2, 1)
    uv = np.stack([u, 1 - v], -1).reshape(-1, 2)
    return Mesh(places.reshape(-1, 3), triangles.reshape(-1, 3), uv=uv)


def told(points):
    """(..., 3) normals of a ball with waves of 30 mm, at places on it."""
    bumps = 0.3 * np.stack([np.sin(points[..., 0] / 5), np.sin(points[..., 1] / 5)], -1)
    flat = points / RADIUS
    turned = flat.copy()
    turned[..., :2] += bumps
    return normalise(turned)


@pytest.fixture(scope="module")
def face():
    x, y = np.meshgrid(np.arange(SIZE) + 0.5 - 128, 128 - np.arange(SIZE) - 0.5)
    square = RADIUS**2 - x**2 - y**2
    points = np.stack([x, y, np.sqrt(np.maximum(square, 0))], -1)
    mask = square > (0.4 * RADIUS) ** 2
    normals = np.where(mask[..., None], told(points), 0).astype(np.float32)
    return Face(Place.of_crop(SIZE), Surface(normals, mask), None, "test")


@pytest.fixture(scope="module")
def made(face):
    return enhance(ball(), face, PLACED)


def test_the_surface_turns_as_the_photo_says(made) -> None:
    believed = made.seen > 0.9
    assert 0.1 < believed.mean() < 0.4
    truth = told(np.asarray(made.coarse.vertices, float))[believed]
    errors = [
        float(angular_error(vertex_normals(mesh.vertices, mesh.triangles)[believed], truth).mean())
        for mesh in (made.coarse, made.displaced)
    ]
    assert errors[0] > 12 and errors[1] < 0.4 * errors[0]


def test_skin_beside_what_is_spared_moves_as_far_as_other_skin(face) -> None:
    """Eyes and a mouth are open in the middle of what is seen; nothing fades towards them."""
    landmarks = np.zeros((68, 2))
    for points, x, y in (
        (slice(36, 42), 108, 110),
        (slice(42, 48), 148, 110),
        (slice(60, 68), 128, 160),
    ):
        count = points.stop - points.start
        ring = 9 * np.exp(2j * np.pi * np.arange(count) / count)
        landmarks[points] = np.column_stack([x + ring.real, y + ring.imag])
    made = enhance(ball(96), face, PLACED, landmarks)
    points = np.asarray(made.coarse.vertices, float)
    away = np.hypot(points[:, 0] + 20, points[:, 1] - 18)  # of an eye, whose middle it is
    beside = (made.seen > 0.9) & (away < 22)
    assert beside.sum() > 50 and not made.seen[(away < 6) & (points[:, 2] > 0)].any()
    truth = told(points)[beside]
    coarse, moved = (
        angular_error(vertex_normals(mesh.vertices, mesh.triangles)[beside], truth).mean()
        for mesh in (made.coarse, made.displaced)
    )
    assert coarse > 10 and moved < 0.5 * coarse


def test_what_is_not_seen_stays(made) -> None:
    behind = np.asarray(made.coarse.vertices)[:, 2] < 0
    np.testing.assert_allclose(
        made.displaced.vertices[behind], made.coarse.vertices[behind], atol=1e-4
    )


def test_seams_stay_closed(made) -> None:
    coarse, moved = np.asarray(made.coarse.vertices), np.asarray(made.displaced.vertices)
    _, first, which = np.unique(np.round(coarse, 3), axis=0, return_index=True, return_inverse=True)
    assert len(first) < len(coarse)
    np.testing.assert_allclose(moved, moved[first][which.ravel()], atol=1e-3)


@pytest.mark.parametrize("displaced", [False, True])
def test_the_map_turns_the_mesh_to_the_photos_normals(displaced, made) -> None:
    bumps = made.normal_map(displaced, 512)
    assert bumps.frame == "tangent" and 0.05 < bumps.mask.mean() < 0.5
    np.testing.assert_allclose(np.linalg.norm(bumps.normals, axis=-1), 1, atol=1e-4)
    tilt = np.degrees(np.arccos(bumps.normals[bumps.mask][:, 2].clip(-1, 1))).mean()
    assert (tilt < 8) == displaced


def test_what_lies_between_is_told_by_what_was_there() -> None:
    """Along a seam, and beside vertices that are not used."""
    from facerelief.enhancement import _finer, _prolongation, _weld
    from facerelief.geometry.refined_mesh import RefinedMesh

    given = ball()
    cut = RefinedMesh.of(given.triangles)
    joined, kept = _weld(_finer(given, cut).vertices)
    heights = cut.linear(np.asarray(given.vertices))[kept]
    used = np.flatnonzero(heights[:, 0] > -20)
    up = _prolongation(cut, joined, kept, used)
    was_there = up.indptr[1:] - up.indptr[:-1] == 1
    np.testing.assert_allclose(up.sum(axis=1).max(), 1)
    inside = heights[used][:, 0] > -10
    first = (kept[used] < len(given.vertices)) & was_there
    assert up.shape[1] == (kept[used] < len(given.vertices)).sum() == first.sum()
    np.testing.assert_allclose(
        (up @ heights[used][first])[inside], heights[used][inside], atol=1e-3
    )


def test_unit_and_pose_change_nothing(face, made) -> None:
    """The same ball in metres, lying on its side."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    given = ball()
    other = Mesh(given.vertices @ turn.T / 1000, given.triangles, uv=given.uv)
    placement = Placement(Similarity(1000.0, turn.T, PLACED.pose.translation), 1000.0, 0.0)
    again = enhance(other, face, placement)
    np.testing.assert_allclose(
        np.asarray(again.displaced.vertices) @ turn * 1000, made.displaced.vertices, atol=0.1
    )


def test_meshes_that_many_programs_write(face) -> None:
    """Lone vertices, triangles without area, an edge of three triangles, no texture coordinates."""
    given = ball()
    vertices = np.concatenate([given.vertices, [[0, 0, 120.0], [500, 0, 0]]])
    fin = len(given.vertices)
    a, b = given.triangles[len(given.triangles) // 4][:2]
    more = np.array([[a, b, fin], [a, a, b], [a, b, b]])
    made = enhance(Mesh(vertices, np.concatenate([given.triangles, more])), face, PLACED)
    assert np.isfinite(made.displaced.vertices).all() and np.abs(made.displacement).max() > 0.3
    with pytest.raises(MeshError, match="no texture coordinates"):
        made.normal_map(True, 512)


def test_what_cannot_be_enhanced_is_said(face) -> None:
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(MeshError, match="no triangle has an area"):
        enhance(flat, face, PLACED)
    away = Placement(Similarity(1.0, np.eye(3), np.array([900.0, -128.0, 0.0])), 1.0, 0.0)
    with pytest.raises(MeshError, match="shows nothing"):
        enhance(ball(), face, away)
    with pytest.raises(MeshError, match=f"at most {MOST_SHOWN}"):
        enhance(ball(900), face, PLACED)
    with pytest.raises(MeshError, match="no 3 x 4"):
        placed_by(np.eye(3), flat)
    with pytest.raises(MeshError, match="no similarity"):
        placed_by(np.column_stack([np.diag([1.0, 2, 3]), np.zeros(3)]), flat)
