"""The torch rasteriser: the NumPy one pixel for pixel, and gradients that are true."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.geometry import raster as numpy_raster  # noqa: E402
from facerelief.geometry.camera import Perspective, WeakPerspective  # noqa: E402
from facerelief.render import raster  # noqa: E402
from facerelief.render.raster import rasterise  # noqa: E402
from spheres import icosphere  # noqa: E402

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SIZE = (60, 72)
WEAK = WeakPerspective(26, (36, 30))
PINHOLE = Perspective(90, (36, 30))


def meshes(camera):
    """Three self-occluding meshes of the same triangles, projected: (3, V, 3), (T, 3)."""
    vertices, triangles = icosphere(3)
    rng = np.random.default_rng(0)
    lumps = 1 + 0.3 * np.sin(5 * vertices @ rng.normal(size=(3, 3, 1)))
    place = [0, 0, -4.0 if camera.perspective else 0.0]
    return camera.project(vertices * lumps + place), triangles


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cull", [False, True])
@pytest.mark.parametrize("camera", [WEAK, PINHOLE], ids=["weak", "pinhole"])
def test_gives_the_pixels_of_the_numpy_rasteriser(camera, cull, dtype, device):
    points, triangles = meshes(camera)
    points[1, 5] = np.nan
    tensor = torch.tensor(points, dtype=dtype, device=device)
    options = {"perspective": camera.perspective, "cull_back_faces": cull}
    result = rasterise(tensor, torch.tensor(triangles, device=device), SIZE, **options)
    colours = np.random.default_rng(1).normal(size=(points.shape[1], 4))
    painted = result.interpolate(torch.tensor(colours, dtype=dtype, device=device), fill=0.5)
    assert result.depth.dtype == result.barycentrics.dtype == painted.dtype == dtype
    limit = 1e-5 if dtype is torch.float32 else 1e-12
    for item, own in enumerate(tensor.cpu().numpy()):
        twin = numpy_raster.rasterise(own, triangles, SIZE, **options)
        np.testing.assert_array_equal(result.triangle[item].cpu(), twin.triangle)
        np.testing.assert_allclose(result.depth[item].cpu(), twin.depth, rtol=limit, atol=limit)
        np.testing.assert_allclose(result.barycentrics[item].cpu(), twin.barycentrics, atol=limit)
        np.testing.assert_allclose(
            painted[item].cpu(), twin.interpolate(colours, 0.5), atol=10 * limit
        )
    assert 0.2 < result.mask.double().mean() < 0.8


def test_small_portions_and_ties_give_the_same_picture(monkeypatch):
    points, triangles = meshes(WEAK)
    points = torch.tensor(np.concatenate([points, points], axis=1))
    triangles = torch.tensor(np.concatenate([triangles, triangles + points.shape[1] // 2]))
    whole = rasterise(points, triangles, SIZE)
    monkeypatch.setattr(raster, "PAIRS_AT_ONCE", 97)
    assert torch.equal(rasterise(points, triangles, SIZE).triangle, whole.triangle)
    assert whole.triangle.max() < len(triangles) // 2  # of equals the first


def test_each_item_may_have_its_own_attributes():
    points, triangles = meshes(WEAK)
    result = rasterise(torch.tensor(points), torch.tensor(triangles), SIZE)
    attributes = torch.randn(3, points.shape[1], 2, generator=torch.Generator().manual_seed(0))
    values = result.interpolate(attributes)
    for item in range(3):
        alone = rasterise(torch.tensor(points[item : item + 1]), torch.tensor(triangles), SIZE)
        assert torch.equal(values[item], alone.interpolate(attributes[item])[0])


def small_scene(camera):
    """Two overlapping triangles in 6 x 6 pixels, no pixel centre near any edge."""
    world = camera.unproject(
        np.array(
            [
                [0.2, 0.4, -3.0],
                [0.9, 5.7, -3.3],
                [5.4, 1.1, -3.1],
                [1.3, 1.6, -2.5],
                [2.2, 5.2, -3.6],
                [5.8, 4.6, -2.8],
            ]
        )
    )
    points = torch.tensor(camera.project(world))[None].requires_grad_()
    return points, torch.tensor([[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("camera", [WEAK, PINHOLE], ids=["weak", "pinhole"])
def test_gradients_of_attributes_depth_and_coverage_are_true(camera):
    points, triangles = small_scene(camera)
    attributes = torch.randn(
        6, 2, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0)
    )

    def draw(points, attributes):
        result = rasterise(points, triangles, (6, 6), perspective=camera.perspective)
        depth = result.depth.nan_to_num()
        return result.interpolate(attributes), depth, result.barycentrics, result.coverage()

    seen = rasterise(points, triangles, (6, 6), perspective=camera.perspective).triangle
    assert set(seen.unique().tolist()) == {-1, 0, 1}
    assert torch.autograd.gradcheck(draw, (points, attributes), eps=1e-6)


def test_gradients_come_through_where_nothing_is_seen():
    points = torch.full((1, 3, 3), -9.0, requires_grad=True)
    result = rasterise(points, torch.tensor([[0, 1, 2]]), (4, 4))
    total = result.interpolate(points).sum() + result.coverage().sum()
    total.backward()
    assert total == 0 and not result.mask.any()
    assert torch.equal(points.grad, torch.zeros_like(points))


@pytest.mark.parametrize("subdivisions", [1, 3, 5])
def test_coverage_of_a_ball_has_its_area_and_the_gradient_is_its_outline(subdivisions):
    from scipy.spatial import ConvexHull

    vertices, triangles = icosphere(subdivisions)
    radius = torch.tensor(25.3, dtype=torch.float64, requires_grad=True)
    place = torch.tensor([32.2, 31.7, 0], dtype=torch.float64, requires_grad=True)
    points = torch.tensor(vertices * [1, -1, 1]) * radius + place
    coverage = rasterise(points[None], torch.tensor(triangles), (64, 64)).coverage()
    assert coverage.min() == 0 and coverage.max() == 1
    coverage.sum().backward()
    area = ConvexHull(points[:, :2].detach()).volume
    assert coverage.sum().item() == pytest.approx(area, rel=1e-3)
    assert radius.grad.item() == pytest.approx(2 * area / radius.item(), rel=1e-2)
    assert place.grad.abs().max() < 1  # moving a thing does not change its area: the rim is 160


def test_coverage_of_a_box_is_exact():
    left, right, top, bottom = 2.3, 7.9, 1.25, 5.6
    points = torch.tensor([[left, top, 0], [left, bottom, 0], [right, bottom, 0], [right, top, 0]])
    result = rasterise(points[None].double(), torch.tensor([[0, 1, 2], [0, 2, 3]]), (8, 10))
    coverage = result.coverage()[0]
    x = torch.tensor([0, 0, 0.7, 1, 1, 1, 1, 0.9, 0, 0], dtype=torch.float64)
    y = torch.tensor([0, 0.75, 1, 1, 1, 0.6, 0, 0], dtype=torch.float64)
    inner = slice(2, 5), slice(3, 7)
    torch.testing.assert_close(coverage[2:5], x.expand(3, 10), rtol=0, atol=1e-6)
    torch.testing.assert_close(coverage[:, 3:7], y[:, None].expand(8, 4), rtol=0, atol=1e-6)
    assert (coverage[inner] == 1).all()


def test_what_is_inside_the_outline_has_no_say_in_the_coverage():
    points, triangles = small_scene(WEAK)
    inner = torch.tensor([[[1.6, 1.7, 5.0], [1.7, 3.2, 5], [2.9, 2.4, 5]]], dtype=torch.float64)
    both = torch.cat([points.detach(), inner], dim=1).requires_grad_()
    more = torch.cat([triangles, torch.tensor([[6, 7, 8]])])
    result = rasterise(both, more, (6, 6))
    assert (result.triangle == 2).any()
    alone = rasterise(points, triangles, (6, 6)).coverage()
    assert torch.equal(result.coverage(), alone)
    result.coverage().sum().backward()
    assert not both.grad[:, 6:].any() and both.grad[:, :6, :2].any()


def test_shapes_that_do_not_fit_raise():
    with pytest.raises(ValueError, match="points"):
        rasterise(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]), (4, 4))
    with pytest.raises(ValueError, match="triangles"):
        rasterise(torch.zeros(1, 3, 3), torch.tensor([0, 1, 2]), (4, 4))
