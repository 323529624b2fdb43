"""Compiled kernels give what the torch code gives."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from tests.render.scenes import ball, lamp, plain, scene, sheet, sky  # noqa: E402

from facerelief.render import compiled, film, layers, textures, vectors  # noqa: E402
from facerelief.render.raster import fragments, rasterise  # noqa: E402
from facerelief.render.renderer import render  # noqa: E402
from facerelief.render.scene import Film, Lighting  # noqa: E402
from facerelief.render.shading import vertex_normals  # noqa: E402
from facerelief.render.shadows import DepthMaps, fibonacci_sphere  # noqa: E402
from facerelief.samples.rendering import Rendering  # noqa: E402
from facerelief.synth.draw import Heads, SynthOptions  # noqa: E402


@pytest.fixture
def both(monkeypatch):
    """Calls a function with kernels and then without."""

    def call(function, *arguments, **options):
        assert compiled.kernels() is not None
        with_kernels = function(*arguments, **options)
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "enabled", False)
            return with_kernels, function(*arguments, **options)

    return call


def soup(
    dtype: "torch.dtype" = torch.float32, count: int = 60
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Points (2, V, 3) about a picture of 40 x 60, and triangles without order."""
    g = torch.Generator().manual_seed(1)
    points = torch.rand(2, 200, 3, generator=g, dtype=dtype)
    points = points * torch.tensor([75, 55, 100.0]) - torch.tensor([8, 8, 103.0])
    points[1, 7] = torch.nan
    triangles = torch.randint(0, 200, (count, 3), generator=g)
    # Coordinates on pixel centres and equal depths: ties.
    points[:, 100:] = points[:, 100:].round() + 0.5
    return points.to(dtype), triangles


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull", [False, True])
def test_the_same_triangles_are_seen(both, dtype, perspective, cull) -> None:
    options = {"perspective": perspective, "cull_back_faces": cull}
    ours, theirs = both(rasterise, *soup(dtype), (40, 60), **options)
    assert ours.mask.any() and not ours.mask.all()
    for name in ("triangle", "drawn", "barycentrics", "depth"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a.dtype == b.dtype and torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)), name


def test_gradients_are_kept(both) -> None:
    points, triangles = soup(count=30)
    gradients = []

    def gradient():
        leaf = points.clone().requires_grad_()
        made = rasterise(leaf, triangles, (40, 60), perspective=True)
        (made.depth.nansum() + made.coverage().sum()).backward()
        return leaf.grad

    gradients = both(gradient)
    assert gradients[0].nan_to_num().abs().max() > 0
    # Both are torch's, whose threads add up in any order.
    torch.testing.assert_close(gradients[0], gradients[1], equal_nan=True)


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_fragments(both, perspective, hidden) -> None:
    points, triangles = soup()
    behind = torch.full((40 * 60,), -50.0) if hidden else None
    pair = both(fragments, points[0], triangles, (40, 60), perspective=perspective, behind=behind)
    orders = [(made.triangle * 2400 + made.pixel).argsort() for made in pair]
    assert len(pair[0].pixel) == len(pair[1].pixel) > 300
    for name in ("triangle", "pixel", "barycentrics", "depth"):
        a, b = (getattr(made, name)[order] for made, order in zip(pair, orders, strict=True))
        assert torch.equal(a, b), name
    if hidden:
        assert pair[0].depth.min() > -50


@pytest.mark.parametrize("taps", [1, 2, 3])
def test_shadows(both, taps) -> None:
    g = torch.Generator().manual_seed(2)
    directions = fibonacci_sphere(12)
    casters = torch.randn(5000, 3, generator=g) * torch.tensor([30.0, 40, 20])
    normals = torch.nn.functional.normalize(torch.randn(800, 3, generator=g), dim=1)

    def seen():
        maps = DepthMaps(casters, casters[:800], directions, 32)
        spread = torch.linspace(0.5, 2, 12)
        return maps.maps, maps.visibility(casters[:800], normals, spread, taps)

    (our_maps, ours), (their_maps, theirs) = both(seen)
    assert ours.shape == theirs.shape == (12, 800) and 0.05 < ours.mean() < 0.95
    # A point on the border of a cell falls on one side or the other.
    off = ~torch.isclose(our_maps, their_maps, atol=1e-3)
    assert off.float().mean() < 5e-3
    assert ((ours - theirs).abs() > 1e-5).float().mean() < 3e-3


def test_nothing_casts_no_shadow(both) -> None:
    points = torch.randn(50, 3)

    def seen():
        maps = DepthMaps(points[:0], points, fibonacci_sphere(3), 16)
        return maps.visibility(points, points)

    assert all((made == 1).all() for made in both(seen))


def test_a_single_receiver_is_no_error(both) -> None:
    """Its map has no extent."""
    points = torch.randn(50, 3)

    def seen():
        maps = DepthMaps(points, points[:1], fibonacci_sphere(3), 16)
        return maps.visibility(points, points)

    assert all(made.shape == (3, 50) for made in both(seen))


@pytest.mark.parametrize("channels", [3, 4])
def test_textures(both, channels) -> None:
    g = np.random.default_rng(3)
    uv = torch.from_numpy(g.uniform(-0.2, 1.2, (2000, 2)).astype(np.float32))
    bytes_ = g.integers(0, 256, (17, 23, channels), np.uint8)
    bytes_.setflags(write=False)
    ours, theirs = both(textures.sample, bytes_, uv)
    assert ours.shape == (2000, channels) and (ours != theirs).float().mean() < 0.2
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1.3e-3)  # a step of the table to light
    numbers = g.normal(size=(17, 23, 2)).astype(np.float32)
    ours, theirs = both(textures.sample, numbers, uv)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_slopes(both, factor) -> None:
    relief = np.random.default_rng(4).normal(size=(33, 47)).astype(np.float32)
    ours, theirs = both(textures.displacement_slopes, relief, factor)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_normals_and_gradients(both) -> None:
    made = ball()
    points = torch.from_numpy(made.vertices)
    triangles = torch.from_numpy(made.triangles).long()
    ours, theirs = both(vertex_normals, points[None], triangles)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    uv = torch.from_numpy(made.uv)
    ours, theirs = both(textures.uv_gradients, points, triangles, uv, triangles)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)
    slopes = torch.randn(len(triangles), 2)
    normals = vectors.unit(torch.randn(len(triangles), 3))
    ours, theirs = both(vectors.tilted, normals, slopes, theirs)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    ours, theirs = both(vectors.dot, normals, ours)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_layers(both) -> None:
    g = torch.Generator().manual_seed(5)
    pixel = torch.randint(0, 100, (3000,), generator=g)
    depth = torch.randint(-40, 0, (3000,), generator=g).float()  # with ties
    colour = torch.rand(3000, 4, generator=g)
    colour[:, 3] *= 0.3
    ours, theirs = both(layers._compose, pixel, depth, colour, 120)
    torch.testing.assert_close(ours.radiance, theirs.radiance)
    torch.testing.assert_close(ours.transmittance, theirs.transmittance)
    assert (ours.transmittance[100:] == 1).all()


@pytest.mark.parametrize("sigma", [0.1, 0.7, 3.0])
def test_blur(both, sigma) -> None:
    light = np.random.default_rng(7).uniform(0, 2, (9, 40, 3)).astype(np.float32)
    ours, theirs = both(film._blurred, light, sigma)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_other_tensors_go_to_torch() -> None:
    assert compiled.kernels(torch.zeros(1, dtype=torch.float16)) is None
    assert compiled.kernels(torch.zeros(1, device="meta")) is None
    leaf = torch.zeros(1, requires_grad=True)
    assert compiled.kernels(leaf) is None
    with torch.no_grad():
        assert compiled.kernels(leaf) is not None


def test_pictures_of_simple_scenes(both) -> None:
    alpha = np.full((8, 8, 4), 255, np.uint8)
    alpha[::2, :, 3] = 60
    relief = np.random.default_rng(6).normal(0, 0.2, (64, 64)).astype(np.float32)
    skin = plain((200, 150, 120, 255), specular=0.05, roughness=0.4, displacement=relief)
    parts = (
        ball(60, material=skin),
        replace(sheet(70, 30), kind="brow"),
        sheet(90, 40, kind="hair", material=plain(texture=alpha)),
        sheet(80, 50, kind="glasses", material=plain((0, 90, 0, 128))),
    )
    lamps = (lamp((1, 0.5, 1)), lamp((-1, 1, 0.2)))
    made = scene(*parts, lighting=Lighting(sky(0.3), lamps), film=Film(noise=0.01, blur=0.6))
    compare(*both(render, made))


def test_pictures_of_heads(both) -> None:
    heads = Heads(options=SynthOptions(size=128), seed=5)
    for index in range(4):
        compare(*both(render, heads.scene(index)))


def compare(ours: Rendering, theirs: Rendering) -> None:
    """A shadow's border may move by a cell in a few pixels; all else is equal up to rounding."""
    for name in ("mask", "occluder", "landmarks_visible"):
        assert (getattr(ours, name) != getattr(theirs, name)).mean() < 1e-4, name
    np.testing.assert_array_equal(ours.depth, theirs.depth)
    assert np.abs(ours.normals_smooth - theirs.normals_smooth).max() < 1e-5
    assert (np.abs(ours.normals - theirs.normals) > 1e-3).mean() < 1e-4
    assert (np.abs(ours.albedo.astype(int) - theirs.albedo) > 1).mean() < 1e-4
    shading = np.abs(ours.shading.astype(float) - theirs.shading)
    assert (shading > 0.01 * (1 + theirs.shading.astype(float))).mean() < 2e-3
    assert (np.abs(ours.photo.astype(int) - theirs.photo) > 1).mean() < 5e-3
