"""Non-rigid registration on surfaces whose truth is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.registration import (
    Registration,
    Surface,
    bending,
    border_vertices,
    extend,
    follow,
    in_space,
    laplacian,
    register,
    seen_from_outside,
    transfer,
)
from spheres import icosphere, uv_sphere

AXES = np.concatenate([np.eye(3), -np.eye(3)])
TURN = Rotation.from_euler("xyz", (20, -30, 15), degrees=True).as_matrix()


def grid(size: int = 12, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A flat square of triangles, 10 mm apart, its inner vertices shaken in the plane."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size].astype(float) * 10
    inner = (x > 0) & (x < x.max()) & (y > 0) & (y < y.max())
    x[inner] += rng.uniform(-noise, noise, inner.sum()) * 10
    vertices = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
    corner = (np.arange(size - 1)[:, None] * size + np.arange(size - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + size + 1, corner + size
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def bumpy(directions: np.ndarray) -> np.ndarray:
    """The head-sized target surface at unit directions."""
    x, y, z = directions.T
    radius = 80 * (1 + 0.12 * np.sin(3 * y) + 0.1 * x * z + 0.08 * np.cos(4 * x + z))
    return radius[:, None] * directions


def nearest(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Vertices nearest to directions from the origin."""
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return (directions @ unit.T).argmax(axis=1)


@pytest.fixture(scope="module")
def source() -> tuple[np.ndarray, np.ndarray]:
    return icosphere(4, 90.0)


@pytest.fixture(scope="module")
def target() -> tuple[np.ndarray, np.ndarray]:
    """The bumpy surface of another topology, turned and moved."""
    sphere, triangles = icosphere(5, 1.0)
    return bumpy(sphere) @ TURN.T + [40, -10, 200], triangles


def brute_force(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Distances by a fine sampling of every triangle's edges and inside."""
    steps = 40
    a, b = np.meshgrid(*[np.linspace(0, 1, steps)] * 2)
    keep = a + b <= 1 + 1e-9
    weights = np.stack([1 - a[keep] - b[keep], a[keep], b[keep]], axis=1)
    samples = (weights[None] @ vertices[triangles]).reshape(-1, 3)
    return np.array([np.linalg.norm(samples - point, axis=1).min() for point in points])


def test_closest_points_agree_with_trying_everything() -> None:
    rng = np.random.default_rng(1)
    sphere, triangles = icosphere(2, 1.0)
    vertices = bumpy(sphere)
    points = rng.normal(size=(60, 3)) * 60
    found = ClosestPoints(vertices, triangles)(points)
    expected = brute_force(points, vertices, triangles)
    assert np.all(found.distance <= expected + 1e-9)
    assert np.allclose(found.distance, expected, atol=0.6)  # half the samples' spacing, squared
    assert np.allclose(found.barycentrics.sum(axis=1), 1) and (found.barycentrics > -1e-9).all()
    placed = np.einsum("nc,ncx->nx", found.barycentrics, vertices[triangles[found.triangle]])
    assert np.allclose(placed, found.points)
    assert np.allclose(np.linalg.norm(found.points - points, axis=1), found.distance)


def test_closest_points_pass_over_surfaces_that_face_away() -> None:
    """Two sheets back to back, as lips are: the nearer one faces the other way."""
    vertices, triangles = grid()
    both = np.concatenate([vertices, vertices + np.array([0, 0, 2])])
    sheets = np.concatenate([triangles[:, ::-1], triangles + len(vertices)])
    points = vertices[30:40] + np.array([0, 0, 0.5])
    upwards = np.tile([0.0, 0, 1], (len(points), 1))
    search = ClosestPoints(both, sheets)
    assert np.allclose(search(points).distance, 0.5)
    assert np.allclose(search(points, upwards).distance, 1.5)
    sideways = np.tile([1.0, 0, 0], (len(points), 1))
    assert np.isinf(search(points, sideways).distance).all()


def test_laplacian_is_blind_to_linear_functions_and_never_negative() -> None:
    vertices, triangles = grid(noise=0.1)
    vertices[:, 0] -= vertices[:, 1] / 2  # no corner is obtuse
    stiff, area = laplacian(vertices, triangles)
    inner = ~border_vertices(triangles, len(vertices))
    assert np.abs((stiff @ vertices)[inner]).max() < 1e-8
    assert np.allclose(stiff @ np.ones(len(vertices)), 0)
    assert np.linalg.eigvalsh(stiff.toarray()).min() > -1e-9
    assert area.sum() == pytest.approx(110**2)
    # So is the plate, but for its border; a bent sheet costs more than a sheared one.
    bent = vertices[:, [0]] ** 2
    plate = bending(vertices, triangles)
    assert (bent.T @ plate @ bent).item() > 100


def test_border_of_a_square() -> None:
    vertices, triangles = grid(5)
    edge = np.isin(vertices[:, 0], (0, 40)) | np.isin(vertices[:, 1], (0, 40))
    assert np.array_equal(border_vertices(triangles, len(vertices)), edge)
    assert not border_vertices(icosphere(1)[1], 42).any()


def test_extend_continues_constants_everywhere_and_keeps_what_is_known() -> None:
    vertices, triangles = grid()
    rng = np.random.default_rng(2)
    known = rng.random(len(vertices)) < 0.3
    fields = np.stack([np.full_like(vertices, 3.0), rng.normal(size=vertices.shape)])
    result = extend(vertices, triangles, known, np.where(known[:, None], fields, 0))
    assert np.allclose(result[0], 3, atol=1e-4)
    assert np.array_equal(result[1, known], fields[1, known])
    assert np.isfinite(result).all()


def test_extend_is_smooth_and_fades() -> None:
    vertices, triangles = grid(25, noise=0)
    known = vertices[:, 0] <= 100
    wave = np.zeros((1, *vertices.shape))
    wave[0, :, 2] = np.where(known, np.cos(vertices[:, 1] / 60), 0)
    result = extend(vertices, triangles, known, wave)[0, :, 2].reshape(25, 25)
    # The step over the border is no larger than those before and behind it nearly.
    steps = np.abs(np.diff(result, axis=1))
    assert steps[:, 10].max() < 0.15 and np.abs(result).max() <= 1.2
    faded = extend(vertices, triangles, known, wave, fading=1e-3)[0, :, 2].reshape(25, 25)
    assert np.abs(faded[:, 16:]).max() < 0.1 < np.abs(result[:, 16:]).max()


def test_in_space_and_follow() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(200, 3)) * 50
    known = rng.random(200) < 0.5
    fields = np.stack([np.full_like(points, 2.0), points / 100])
    spread = in_space(points, known, np.where(known[:, None], fields, 0))
    assert np.allclose(spread[0], 2) and np.array_equal(spread[:, known], fields[:, known])
    # What lies a tenth of a millimetre behind a known point moves with it.
    doubled = np.concatenate([points[known], points[known] + 0.1])
    mask = np.arange(len(doubled)) < known.sum()
    values = rng.normal(size=(1, len(doubled), 3)) * mask[:, None]
    close = in_space(doubled, mask, values)[0]
    assert np.abs(close[~mask] - close[mask]).max() < 0.05

    affine = rng.normal(size=(3, 3)) / 10
    guide, part = points[:50], points[100:]
    motion = follow(part, guide, np.stack([guide @ affine + [1, 2, 3], 0 * guide]))
    assert np.allclose(motion[0], part @ affine + [1, 2, 3]) and np.allclose(motion[1], 0)


def test_seen_from_outside() -> None:
    outer, triangles = icosphere(3, 90.0)
    inner, _ = icosphere(3, 40.0)
    count = len(outer)
    # The inner sphere faces inwards, and a hole above lets its back show.
    open_above = triangles[(outer[triangles][..., 1] < 80).all(axis=1)]
    faces = np.concatenate([open_above, triangles[:, ::-1] + count])
    seen = seen_from_outside(np.concatenate([outer, inner]), faces)
    assert seen[:count][outer[:, 1] < 70].mean() > 0.99
    assert seen[count:].mean() < 0.3  # the far wall, through the hole
    assert not seen[count:][inner[:, 1] > 20].any()


def test_register_lays_a_sphere_on_a_bumpy_surface(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]
) -> None:
    marks = nearest(source[0], AXES)
    local = (target[0] - [40, -10, 200]) @ TURN
    aims = nearest(local, AXES)
    laid = register(Surface(*source, marks), Surface(*target, aims))
    assert laid.matched.all()
    # On the surface, which is known exactly, and spread over all of it.
    home = (laid.vertices - [40, -10, 200]) @ TURN
    direction = home / np.linalg.norm(home, axis=1, keepdims=True)
    off = np.linalg.norm(home - bumpy(direction), axis=1)
    assert off.mean() < 0.1 and off.max() < 0.5
    covered = ClosestPoints(laid.vertices, source[1])(target[0]).distance
    assert covered.mean() < 0.15 and covered.max() < 1.0
    # Landmarks found each other, and the way between them is no longer than it should be.
    assert np.linalg.norm(laid.vertices[marks] - target[0][aims], axis=1).max() < 4
    turned = np.degrees(np.arccos((direction * source[0] / 90).sum(axis=1).clip(-1, 1)))
    assert turned.max() < 12
    # No triangle has turned over.
    outwards = (vertex_normals(home, source[1]) * direction).sum(axis=1)
    assert outwards.min() > 0.5
    placed = np.einsum("vc,vcx->vx", laid.barycentrics, target[0][laid.corners])
    assert np.allclose(placed, laid.vertices)


def test_register_leaves_alone_what_may_not_match(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]
) -> None:
    """Half of the target is missing, and a cap of the source is not to be used."""
    local = (target[0] - [40, -10, 200]) @ TURN
    kept = target[1][(local[target[1]][..., 2] > -20).all(axis=1)]
    front = AXES[[0, 1, 2, 3, 4]]
    usable = source[0][:, 1] < 60
    laid = register(
        Surface(*source, nearest(source[0], front), usable),
        Surface(target[0], kept, nearest(local, front)),
    )
    assert not laid.matched[~usable].any()
    assert laid.matched[usable & (source[0][:, 2] > 0)].mean() > 0.98
    assert laid.matched[source[0][:, 2] < -50].mean() < 0.02
    # The missing half keeps its shape: it is not drawn to the border.
    home = (laid.vertices - [40, -10, 200]) @ TURN
    back = source[0][:, 2] < -50
    assert np.abs(np.linalg.norm(home[back], axis=1) - 80).mean() < 15
    assert home[back, 2].mean() < -40
    # The cap went with what is around it.
    cap = ~usable & (source[0][:, 2] > 0)
    truth = bumpy(home[cap] / np.linalg.norm(home[cap], axis=1, keepdims=True))
    assert np.linalg.norm(home[cap] - truth, axis=1).mean() < 4


def test_register_says_what_is_wrong(source: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="3 landmarks of the source, 2 of the target"):
        register(Surface(*source, np.arange(3)), Surface(*source, np.arange(2)))
    with pytest.raises(ValueError, match="beyond 2562"):
        register(Surface(*source, np.array([0, 1, 2562])), Surface(*source, np.arange(3)))


@pytest.mark.parametrize("through_space", [True, False])
def test_transfer_moves_a_model_along(through_space: bool) -> None:
    """From a fine sphere to a coarse one that lies on it, part of which was not matched."""
    vertices, triangles = icosphere(3, 80.0)
    other, other_triangles, _ = uv_sphere(30, 60, 80.0)
    found = ClosestPoints(other, other_triangles)(vertices)
    matched = vertices[:, 1] < 50
    laid = Registration(vertices, matched, other_triangles[found.triangle], found.barycentrics)
    linear = other @ np.random.default_rng(4).normal(size=(3, 3)) / 80
    fields = np.stack([np.ones_like(other), linear])
    moved = transfer(laid, vertices, triangles, fields, through_space)
    assert np.allclose(moved[0], 1, atol=1e-3)
    placed = np.einsum("vc,vcx->vx", found.barycentrics, linear[other_triangles[found.triangle]])
    assert np.allclose(moved[1, matched], placed[matched])
    # Beyond, it goes on without a jump and without swinging out.
    assert np.abs(moved[1, ~matched] - placed[~matched]).mean() < 0.5
    assert np.abs(moved[1]).max() < 1.5 * np.abs(linear).max()
