"""Pictures at one brightness."""

import pytest
import torch

from facerelief.nn.exposure import exposed
from facerelief.train.systems.base import build

PICTURE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


def test_the_middle_comes_to_the_target():
    middle = exposed(PICTURE, 0.5)[..., 16:48, 16:48]
    luma = (middle * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    assert luma.log().mean((1, 2)).exp() == pytest.approx([0.5, 0.5], abs=0.02)


def test_an_exponent_more_or_less_changes_nothing():
    for power in (0.8, 1.5, 2.2):
        assert torch.allclose(exposed(PICTURE**power, 0.5), exposed(PICTURE, 0.5), atol=0.04)


def test_order_and_range_stay():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256).expand(1, 3, 64, 256)
    result = exposed(ramp, 0.5)[0, 0, 0]
    assert (result.diff() >= 0).all()
    assert result.min() >= 0 and result.max() <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_white_stay(value):
    result = exposed(torch.full((1, 3, 32, 32), value), 0.5)
    assert torch.allclose(result, torch.full_like(result, value), atol=0.07)


@pytest.mark.parametrize("name", ["casfne", "cross_modal", "fnr2r", "unet"])
def test_systems_answer_alike_for_dark_files(name):
    torch.manual_seed(0)
    system = build(name, "compact", exposure=0.5, pretrained=False).eval()
    plain = build(name, "compact", pretrained=False).eval()
    plain.load_state_dict(system.state_dict())
    dark = PICTURE**2.2
    with torch.no_grad():
        moved = (system(dark).normals - system(PICTURE).normals).abs().mean()
        unlike = (plain(dark).normals - plain(PICTURE).normals).abs().mean()
    assert moved < 0.3 * unlike
