"""The torch drawing is the NumPy one, and its gradients are true."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.geometry import drawing as numpy_drawing  # noqa: E402
from facerelief.geometry.camera import Perspective  # noqa: E402
from facerelief.geometry.drawn_head import drawn_head  # noqa: E402
from facerelief.geometry.head import builtin_head  # noqa: E402
from facerelief.render import compiled  # noqa: E402
from facerelief.render.drawing import Pinhole, draw  # noqa: E402

SIZE = (56, 48)
NAMES = ("image", "albedo", "shading", "normals")


def scene(dtype=torch.float64):
    """Two mean heads, each in its own place, light and colours."""
    head = drawn_head()
    rng = np.random.default_rng(0)
    mean = builtin_head(1, bases=False).mean[: head.count]
    turned = mean @ np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]]).T
    vertices = np.stack([mean, turned]) + np.array([[[5, 20, -700]], [[-9, 30, -600]]])
    given = {
        "vertices": vertices,
        "focal": np.array([140.0, 120.0]),
        "centre": np.array([[24, 28], [22.5, 30.5]]),
        "harmonics": rng.normal(size=(2, 9, 3)),
        "albedo": rng.uniform(size=(2, head.count, 3)),
        "texture": rng.uniform(size=(2, 3, 16, 16)),
    }
    return head, {name: torch.tensor(value, dtype=dtype) for name, value in given.items()}


def drawn(head, given, **colours):
    camera = Pinhole(given["focal"], given["centre"])
    triangles = torch.tensor(head.triangles).long()
    return draw(given["vertices"], triangles, camera, SIZE, given["harmonics"], **colours)


@pytest.mark.parametrize("use_kernels", [False, True])
@pytest.mark.parametrize("with_texture", [False, True], ids=["albedo", "texture"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_the_pictures_of_numpy(dtype, with_texture, use_kernels, monkeypatch):
    monkeypatch.setattr(compiled, "enabled", use_kernels)
    head, given = scene(dtype)
    if with_texture:
        result = drawn(head, given, texture=given["texture"], uv=torch.tensor(head.uv))
    else:
        result = drawn(head, given, albedo=given["albedo"])
    skin = result.shows(torch.tensor(head.skin))
    for item in range(2):
        own = {name: value[item].numpy() for name, value in given.items()}
        if with_texture:
            colours = {"texture": own["texture"].transpose(1, 2, 0), "uv": head.uv}
        else:
            colours = {"albedo": own["albedo"]}
        camera = Perspective(float(own["focal"]), tuple(own["centre"].tolist()))
        twin = numpy_drawing.draw(
            own["vertices"], head.triangles, camera, SIZE, own["harmonics"], **colours
        )
        # Rounding may give a pixel of an edge to the other triangle.
        same = result.raster.triangle[item].numpy() == twin.raster.triangle
        assert same.mean() > (0.999 if dtype is torch.float32 else 0.9999999)
        for name in NAMES:
            values = getattr(result, name)[item].permute(1, 2, 0).numpy()
            assert values.dtype == given["vertices"].numpy().dtype
            limit = 2e-3 if dtype is torch.float32 else 1e-6  # uv has 32 bits
            np.testing.assert_allclose(values[same], getattr(twin, name)[same], atol=limit)
        np.testing.assert_array_equal(skin[item].numpy()[same], twin.shows(head.skin)[same])
        assert 0.1 < twin.shows(head.skin).mean() < twin.mask.mean() < 0.9


def small_scene():
    """A bent strip in 6 x 6 pixels, no pixel centre near any edge."""
    camera = Perspective(6.0, (3.0, 3.0))
    places = [[0.2, 0.4, -3.0], [0.9, 5.7, -3.3], [5.4, 1.1, -3.1], [5.8, 5.3, -2.8]]
    vertices = torch.tensor(camera.unproject(np.array(places)))[None]
    rng = np.random.default_rng(1)
    others = [
        np.array([6.0]), np.array([[3.0, 3.0]]), rng.normal(size=(1, 9, 3)),
    ]  # fmt: skip
    inputs = [vertices, *map(torch.tensor, others)]
    colours = {
        "albedo": torch.tensor(rng.uniform(size=(1, 4, 3))),
        "texture": torch.tensor(rng.uniform(size=(1, 3, 4, 4))),
    }
    triangles = torch.tensor([[0, 1, 2], [2, 1, 3]])
    corners = torch.tensor([[0.1, 0.9], [0.1, 0.1], [0.9, 0.9], [0.9, 0.1]])
    return inputs, colours, triangles, corners[triangles].double()


@pytest.mark.parametrize("kind", ["albedo", "texture"])
def test_gradients_are_true(kind):
    """With regard to vertices, focal length, principal point, light and colours."""
    inputs, colours, triangles, uv = small_scene()
    given = [value.clone().requires_grad_() for value in (*inputs, colours[kind])]

    def picture(vertices, focal, centre, harmonics, colour):
        extra = {"uv": uv} if kind == "texture" else {}
        result = draw(
            vertices, triangles, Pinhole(focal, centre), (6, 6), harmonics,
            **{kind: colour}, **extra,
        )  # fmt: skip
        return result.image, result.normals, result.raster.depth.nan_to_num()

    drawing = picture(*given)
    assert 10 < drawing[0].any(1).sum() < 36
    assert torch.autograd.gradcheck(picture, tuple(given), eps=1e-7)
    for value in given:
        assert torch.autograd.grad(picture(*given)[0].square().sum(), value)[0].any()


def test_heads_are_found_again_by_their_pictures():
    """Where a head is, from a picture of it, by gradients alone."""
    head, given = scene(torch.float32)
    given["harmonics"] *= 0.3
    given["harmonics"][:, 0] = 3.5
    given["albedo"] = torch.tensor([0.6, 0.4, 0.3]).expand(2, head.count, 3)
    target = drawn(head, given, albedo=given["albedo"])
    move = torch.tensor([[4.0, -3.0, 0.0], [-3.0, 4.0, 0.0]]).requires_grad_()
    optimiser = torch.optim.Adam([move], lr=0.3)
    for _ in range(40):
        moved = {**given, "vertices": given["vertices"] + move[:, None]}
        result = drawn(head, moved, albedo=given["albedo"])
        both = (target.mask & result.mask)[:, None]
        loss = ((target.image - result.image) * both).square().sum() / both.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert move.detach()[:, :2].norm(dim=1).max() < 1  # mm; pixels are 5


def test_a_head_that_is_not_in_the_picture_has_no_gradient_and_spoils_none():
    head, given = scene(torch.float32)
    vertices = given["vertices"].clone()
    vertices[1, :, 2] += 1300  # behind the camera
    leaves = {**given, "vertices": vertices}
    leaves = {name: value.clone().requires_grad_() for name, value in leaves.items()}
    result = drawn(head, leaves, albedo=leaves["albedo"])
    assert result.mask[0].any() and not result.mask[1].any()
    result.image.sum().backward()
    for name in ("vertices", "focal", "centre", "harmonics", "albedo"):
        gradient = leaves[name].grad
        assert gradient.isfinite().all() and gradient[0].any() and not gradient[1].any(), name


def test_without_gradients_it_is_the_same_picture():
    head, given = scene(torch.float32)
    kept = {name: value.clone().requires_grad_() for name, value in given.items()}
    result = drawn(head, kept, albedo=kept["albedo"])
    with torch.no_grad():
        quick = drawn(head, given, albedo=given["albedo"])
    assert result.image.requires_grad and not quick.image.requires_grad
    same = result.raster.triangle == quick.raster.triangle
    assert same.double().mean() > 0.999
    torch.testing.assert_close(
        (result.image * same[:, None]).detach(), quick.image * same[:, None], atol=1e-4, rtol=1e-4
    )
