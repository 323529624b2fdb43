"""The torch shading equals the NumPy one, and its gradients are true."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.geometry import light, mesh  # noqa: E402
from facerelief.geometry.normals import normalise  # noqa: E402
from facerelief.render import shading  # noqa: E402
from spheres import icosphere  # noqa: E402

DTYPES = [torch.float32, torch.float64]


def normals():
    return normalise(np.random.default_rng(0).normal(size=(2, 5, 7, 3)))


def close(result, twin, dtype):
    assert result.dtype == dtype
    np.testing.assert_allclose(result, twin, atol=1e-5 if dtype is torch.float32 else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_directional_shading_is_that_of_numpy(dtype):
    lights = light.seven_lights()
    result = shading.shade(
        torch.tensor(normals(), dtype=dtype)[..., None, :], torch.tensor(lights, dtype=dtype)
    )
    assert result.shape == (2, 5, 7, 7)
    for k, direction in enumerate(lights):
        close(result[..., k], light.shade(normals(), direction), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_harmonics_are_those_of_numpy(dtype):
    tensor = torch.tensor(normals(), dtype=dtype)
    close(shading.sh_basis(tensor), light.sh_basis(normals()), dtype)
    colour = np.random.default_rng(1).normal(size=(2, 9, 3))
    in_colour = shading.shade_sh(tensor, torch.tensor(colour, dtype=dtype))
    in_grey = shading.shade_sh(tensor, torch.tensor(colour[..., 0], dtype=dtype))
    for item in range(2):
        close(in_colour[item], light.shade_sh(normals()[item], colour[item]), dtype)
        close(in_grey[item], light.shade_sh(normals()[item], colour[item, :, 0]), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_srgb_is_that_of_numpy(dtype):
    values = np.concatenate([np.linspace(0, 1, 97), [0.0031308, 0.04045]])
    tensor = torch.tensor(values, dtype=dtype)
    close(shading.linear_to_srgb(tensor), light.linear_to_srgb(values), dtype)
    close(shading.srgb_to_linear(tensor), light.srgb_to_linear(values), dtype)


def test_gradients_of_srgb_are_true_and_finite_in_the_dark():
    values = torch.tensor([-0.2, 0.001, 0.03, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    both = (shading.linear_to_srgb, shading.srgb_to_linear)
    assert torch.autograd.gradcheck(lambda x: tuple(f(x) for f in both), (values,))
    black = torch.zeros(3, requires_grad=True)
    sum(f(black).sum() for f in both).backward()
    assert black.grad.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_vertex_normals_are_those_of_numpy(dtype):
    _, triangles = icosphere(2)
    vertices = np.random.default_rng(0).normal(size=(3, 162, 3))
    result = shading.vertex_normals(torch.tensor(vertices, dtype=dtype), torch.tensor(triangles))
    close(result, mesh.vertex_normals(vertices, triangles), dtype)


def test_a_vertex_of_no_triangle_has_no_normal_and_no_gradient():
    vertices = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    result = shading.vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
    result.sum().backward()
    assert not result[0, 3].any() and not vertices.grad[0, 3].any()
    assert vertices.grad.isfinite().all()


def test_gradients_are_true():
    _, triangles = icosphere(0)
    generator = torch.Generator().manual_seed(0)
    vertices = torch.randn(2, 12, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    lights = torch.randn(2, 9, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    direction = torch.tensor([0.3, 0.4, 0.86], dtype=torch.float64, requires_grad=True)

    def draw(vertices, lights, direction):
        found = shading.vertex_normals(vertices, torch.tensor(triangles))
        return shading.shade_sh(found, lights), shading.shade(found, direction)

    assert torch.autograd.gradcheck(draw, (vertices, lights, direction))
