"""Steering features by a vector."""

import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.modulation import AdaIN, ModulatedConv2d  # noqa: E402


def test_modulated_kernels_have_unit_norm() -> None:
    layer = ModulatedConv2d(8, 6, 4)  # FNR2R, equations 3 to 5
    kernels = layer.kernels(torch.randn(3, 4))
    assert torch.allclose(kernels.flatten(2).norm(dim=2), torch.ones(3, 6), atol=1e-4)
    x, style = torch.randn(3, 8, 9, 9), torch.randn(3, 4)
    slow = torch.cat(
        [
            torch.nn.functional.conv2d(x[i : i + 1], layer.kernels(style)[i], padding=1)
            for i in range(3)
        ]
    )
    assert torch.allclose(layer(x, style), slow, atol=1e-5)


def test_a_vector_changes_what_a_layer_gives() -> None:
    x, styles = torch.randn(1, 8, 5, 5), torch.randn(2, 4)
    for layer in (ModulatedConv2d(8, 8, 4), AdaIN(8, 4)):
        a, b = (layer(x, style[None]) for style in styles)
        assert (a - b).abs().max() > 1e-3
