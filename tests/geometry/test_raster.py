"""The rasteriser: against ray casting, a slow twin, an exact sphere, and its rules at edges."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facerelief.geometry import raster
from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import angular_error
from facerelief.geometry.raster import rasterise
from spheres import icosphere

SIZE = (60, 72)
WEAK = WeakPerspective(26, (36, 30))
PINHOLE = Perspective(90, (36, 30))


def blob(depth=0.0):
    """A lumpy, self-occluding closed mesh about the size of the unit sphere."""
    vertices, triangles = icosphere(3)
    lumps = 1 + 0.3 * np.sin(4 * vertices[:, :1]) * np.cos(5 * vertices[:, 1:2])
    turn = Rotation.from_euler("xyz", [20, 130, 50], degrees=True)
    return turn.apply(vertices * lumps) + np.array([0, 0, depth]), triangles


def slow_twin(points, triangles, size, perspective=False):
    """Every pixel against every triangle, solving a 3 x 3 system each time."""
    found = np.full(size, -1)
    nearest = np.full(size, -np.inf)
    shares = np.zeros((*size, 3))
    for index, (p, q, r) in enumerate(points[triangles]):
        system = np.array([[p[0], q[0], r[0]], [p[1], q[1], r[1]], [1, 1, 1]])
        if np.linalg.det(system) == 0:
            continue
        inverse = np.linalg.inv(system)
        for row in range(size[0]):
            for column in range(size[1]):
                share = inverse @ [column + 0.5, row + 0.5, 1]
                if (share < 0).any():
                    continue
                z = np.array([p[2], q[2], r[2]])
                depth = 1 / (share / z).sum() if perspective else share @ z
                if depth > nearest[row, column]:
                    found[row, column], nearest[row, column] = index, depth
                    shares[row, column] = share / z * depth if perspective else share
    return found, shares, nearest


@pytest.mark.parametrize("camera", [WEAK, PINHOLE], ids=["weak", "pinhole"])
def test_equals_the_slow_twin(camera):
    vertices, triangles = icosphere(0)
    vertices = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).apply(vertices) - [0, 0, 3]
    points = camera.project(vertices) / [4, 4, 1]
    result = rasterise(points, triangles, (15, 18), perspective=camera.perspective)
    found, shares, nearest = slow_twin(points, triangles, (15, 18), camera.perspective)
    np.testing.assert_array_equal(result.triangle, found)
    assert 30 < result.mask.sum() < 15 * 18
    np.testing.assert_allclose(result.barycentrics, shares, atol=1e-9)
    np.testing.assert_allclose(result.depth[result.mask], nearest[result.mask])
    assert np.isnan(result.depth[~result.mask]).all()


@pytest.mark.parametrize("camera", [WEAK, PINHOLE], ids=["weak", "pinhole"])
def test_sees_what_ray_casting_sees(camera):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("embreex")
    vertices, triangles = blob(depth=-4.0 if camera.perspective else 0.0)
    result = rasterise(camera.project(vertices), triangles, SIZE, perspective=camera.perspective)

    column, row = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    pixels = np.stack([column, row, np.full_like(row, -1)], axis=-1).reshape(-1, 3)
    through = camera.unproject(pixels)
    origins = np.zeros_like(through) if camera.perspective else through + np.array([0, 0, 10])
    rays = through if camera.perspective else np.broadcast_to([0.0, 0, -1], through.shape)
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    caster = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh, scale_to_box=False)
    hit = caster.intersects_first(origins, rays).reshape(SIZE)
    # Embree casts in single precision: only at an edge of a triangle may it differ.
    clear = (result.barycentrics.min(axis=-1) > 1e-3) | ~result.mask
    differs = hit != result.triangle
    assert not (differs & clear & (hit >= 0)).any()
    assert (hit >= 0).sum() == pytest.approx(result.mask.sum(), abs=3)
    assert differs.mean() < 0.005
    points, ray, _ = caster.intersects_location(origins, rays, multiple_hits=False)
    same = ~differs.ravel()[ray]
    np.testing.assert_allclose(result.depth.ravel()[ray][same], points[same, 2], atol=1e-3)
    # What lies at a pixel, interpolated over the surface, is the point that its ray hits.
    positions = result.interpolate(vertices).reshape(-1, 3)[ray]
    np.testing.assert_allclose(positions[same], points[same], atol=1e-3)


def test_normals_and_depth_of_a_sphere(sphere):
    ball = sphere(128, rim=0.97)
    vertices, triangles = icosphere(6)
    camera = WeakPerspective(ball.radius, (64, 64))
    result = rasterise(camera.project(vertices), triangles, (128, 128))
    normals = result.interpolate(vertex_normals(vertices, triangles))
    assert result.mask[ball.mask].all()
    assert angular_error(normals, ball.normals)[ball.mask].max() < 0.3
    depth = result.depth * ball.radius
    np.testing.assert_allclose(depth[ball.mask], ball.depth[ball.mask], atol=0.05)


def grid_of_squares(count, step):
    """A flat sheet of 2 count^2 triangles whose edges lie on pixel centres for step 1."""
    y, x = np.mgrid[: count + 1, : count + 1]
    points = np.stack([x * step + 0.5, y * step + 0.5, 0 * x], axis=-1).reshape(-1, 3)
    index = np.arange((count + 1) ** 2).reshape(count + 1, count + 1)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    return points.astype(float), np.concatenate([np.stack([a, d, c], -1), np.stack([a, c, b], -1)])


@pytest.mark.parametrize("step", [1.0, 0.7, 0.1, 3.3])
@pytest.mark.parametrize("angle", [0, 17, 45, 90])
def test_no_pixel_falls_between_neighbours(step, angle):
    points, triangles = grid_of_squares(24, step)
    side = 24 * step
    turn = Rotation.from_euler("z", angle, degrees=True)
    points = turn.apply(points - 0.5 - side / 2) + np.array([32.5, 32.5, 0])
    mask = rasterise(points, triangles, (65, 65)).mask
    y, x = np.mgrid[:65, :65] - 32.0
    local = turn.inv().apply(np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)).reshape(65, 65, 3)
    inside = (np.abs(local[..., :2]) < side / 2 - 1e-9).all(axis=-1)
    outside = (np.abs(local[..., :2]) > side / 2 + 1e-9).any(axis=-1)
    assert mask[inside].all() and not mask[outside].any()


def test_the_first_of_equals_wins_and_the_nearer_always():
    points = np.array([[0, 0, 0], [0, 8, 0], [8, 0, 0], [0, 0, 1], [0, 8, 1], [8, 0, 1.0]])
    low, high = [0, 1, 2], [3, 4, 5]
    seen = rasterise(points, [low, low, high, high], (4, 4)).triangle
    assert (seen[:3, :3] == 2).all()
    assert (rasterise(points, [low, low], (4, 4)).triangle[:3, :3] == 0).all()
    assert (rasterise(points, [high, low], (4, 4)).triangle[:3, :3] == 0).all()


def test_small_portions_give_the_same_picture(monkeypatch):
    vertices, triangles = blob()
    points = np.concatenate([WEAK.project(vertices)] * 2)
    triangles = np.concatenate([triangles, triangles + len(vertices)])  # everything twice
    whole = rasterise(points, triangles, SIZE)
    monkeypatch.setattr(raster, "PAIRS_AT_ONCE", 97)
    parts = rasterise(points, triangles, SIZE)
    np.testing.assert_array_equal(parts.triangle, whole.triangle)
    np.testing.assert_array_equal(parts.barycentrics, whole.barycentrics)
    assert whole.triangle.max() < len(triangles) // 2


def test_back_faces_are_drawn_unless_culled():
    points = np.array([[0, 0, 0], [0, 8, 0], [8, 0, 0.0]])
    front, back = [0, 1, 2], [0, 2, 1]  # y runs down: the first is counter-clockwise in the world
    for triangle in (front, back):
        assert rasterise(points, [triangle], (4, 4)).mask.any()
    assert rasterise(points, [front], (4, 4), cull_back_faces=True).mask.any()
    assert not rasterise(points, [back], (4, 4), cull_back_faces=True).mask.any()


def test_culling_back_faces_of_a_closed_mesh_changes_nothing():
    vertices, triangles = blob()
    points = WEAK.project(vertices)
    culled = rasterise(points, triangles, SIZE, cull_back_faces=True)
    np.testing.assert_array_equal(culled.triangle, rasterise(points, triangles, SIZE).triangle)


def test_what_is_outside_flat_or_broken_is_not_drawn():
    points = np.array(
        [
            [0, 0, 0],
            [0, 8, 0],
            [8, 0, 0],
            [4, 4, 0],
            [np.nan, 0, 0],
            [np.inf, 9, 0],
            [-1e30, -1e30, 0],
            [-5, -5, 0],
            [-5, -9, 0],
        ]
    )
    bad = [[0, 0, 1], [1, 2, 3], [0, 1, 4], [0, 1, 5], [6, 7, 8]]
    result = rasterise(points, bad, (6, 6))
    assert not result.mask.any()
    assert (rasterise(points, [*bad, [0, 1, 2]], (6, 6)).triangle[:3, :3] == 5).all()
    assert not rasterise(points, np.empty((0, 3), int), (6, 6)).mask.any()


def test_things_behind_a_perspective_camera_are_not_drawn():
    points = np.array([[0, 0, -1.0], [0, 8, -1], [8, 0, -1], [0, 0, 1]])
    assert rasterise(points, [[0, 1, 2]], (4, 4), perspective=True).mask.any()
    assert not rasterise(points, [[3, 1, 2]], (4, 4), perspective=True).mask.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_interpolate_is_linear_and_fills(dtype):
    points, triangles = grid_of_squares(3, 4.0)
    result = rasterise(points, triangles, (20, 20))
    attributes = (points @ np.array([[1, 2], [3, -1], [0, 0]])).astype(dtype)
    values = result.interpolate(attributes, fill=-7)
    assert values.dtype == dtype and values.shape == (20, 20, 2)
    y, x = np.mgrid[:20, :20] + 0.5
    twin = np.stack([x + 3 * y, 2 * x - y], axis=-1)
    np.testing.assert_allclose(values[result.mask], twin[result.mask], rtol=1e-5)
    assert (values[~result.mask] == -7).all() and not result.mask.all()
    np.testing.assert_allclose(
        result.interpolate(attributes[:, 0])[result.mask], twin[result.mask][:, 0], rtol=1e-5
    )
    assert result.interpolate(np.arange(len(points))).dtype == np.float64


def test_shapes_that_do_not_fit_raise():
    with pytest.raises(ValueError, match="points"):
        rasterise(np.zeros((3, 2)), [[0, 1, 2]], (4, 4))
    with pytest.raises(ValueError, match="triangles"):
        rasterise(np.zeros((3, 3)), [[0, 1]], (4, 4))
    with pytest.raises(IndexError):
        rasterise(np.zeros((3, 3)), [[0, 1, 3]], (4, 4))
