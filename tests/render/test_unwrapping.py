"""The torch unwrapping is the NumPy one, and has gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.geometry import unwrapping as numpy_unwrapping  # noqa: E402
from facerelief.geometry.camera import Perspective  # noqa: E402
from facerelief.geometry.drawn_head import drawn_head  # noqa: E402
from facerelief.geometry.head import builtin_head  # noqa: E402
from facerelief.geometry.uv import skin_layout  # noqa: E402
from facerelief.render import unwrapping  # noqa: E402
from facerelief.render.drawing import Pinhole  # noqa: E402

SIZE = 48
HEAD = drawn_head()


def scene(height=40, width=44):
    """Pictures, and two heads of which the second is turned to its right."""
    mean = builtin_head(1, bases=False).mean[: HEAD.count].astype(np.float64)
    turned = mean @ np.array([[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]]).T
    vertices = np.stack([mean, turned]) + np.array([[[5, 20, -700]], [[-9, 30, -600]]])
    pictures = np.random.default_rng(0).uniform(size=(2, 3, height, width))
    focal = np.array([3.0, 2.5]) * height
    centre = np.array([[0.48, 0.5], [0.68, 0.47]]) * (width, height)
    return pictures, vertices, focal, centre


def test_gives_the_maps_of_numpy():
    pictures, vertices, focal, centre = scene()
    tensors = [torch.tensor(values) for values in (pictures, vertices, focal, centre)]
    result = unwrapping.Unwrapper(SIZE)(tensors[0], tensors[1], Pinhole(*tensors[2:]))
    made = unwrapping.with_farther_half_mirrored(result.colours, result.visible)
    layout = skin_layout(0, SIZE)
    for item in range(2):
        twin = numpy_unwrapping.unwrap(
            pictures[item].transpose(1, 2, 0), vertices[item], HEAD,
            Perspective(float(focal[item]), tuple(centre[item].tolist())), layout,
        )  # fmt: skip
        colours = result.colours[item].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(colours, twin.colours, atol=1e-4)
        # At the edge of what hides it, rounding decides.
        assert (np.abs(result.visible[item].numpy() - twin.visible) > 1e-4).mean() < 1e-3
        assert 0.1 < twin.visible.mean() < 0.7
        whole = numpy_unwrapping.with_farther_half_mirrored(colours, result.visible[item].numpy())
        np.testing.assert_array_equal(made.texels[item].permute(1, 2, 0).numpy(), whole.texels)
        np.testing.assert_array_equal(made.visible[item].numpy(), whole.visible)
        np.testing.assert_array_equal(made.invented[item].numpy(), whole.invented)
    assert unwrapping.left_is_nearer(result.visible)[1]


def test_gradients_go_to_pictures_and_places():
    pictures, vertices, focal, centre = scene(9, 9)
    unwrapper = unwrapping.Unwrapper(6)
    given = [torch.tensor(v, requires_grad=True) for v in (pictures, focal, centre)]
    moves = torch.zeros(2, 1, 3, dtype=torch.float64, requires_grad=True)

    def maps(pictures, focal, centre, moves):
        return unwrapper(pictures, torch.tensor(vertices) + moves, Pinhole(focal, centre)).colours

    assert torch.autograd.gradcheck(maps, (*given, moves), eps=1e-7, atol=1e-4)


def test_a_map_of_the_vertices_places_is_that_of_the_layout():
    unwrapper = unwrapping.Unwrapper(SIZE)
    mean = builtin_head(1, bases=False).mean[: HEAD.count]
    maps = unwrapper.scatter(unwrapper.write(torch.tensor(mean)[None]))[0].permute(1, 2, 0)
    expected = np.nan_to_num(skin_layout(0, SIZE).write(mean))
    np.testing.assert_allclose(maps.numpy(), expected, atol=1e-3)
