"""Muon: its turned steps, and what takes them."""

import copy

import pytest
import torch
from torch import nn

from facerelief.train.config import ConfigError, load_config
from facerelief.train.muon import Muon, is_kernel, orthogonalised


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    turned = orthogonalised(matrix)
    values = torch.linalg.svdvals(turned)
    assert turned.shape == matrix.shape
    assert values.min() > 0.5 and values.max() < 1.4
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    diagonal = left.T @ turned @ right.T
    assert torch.allclose(diagonal, torch.diag(diagonal.diagonal()), atol=1e-3)


def test_kernels_that_mix_channels_are_turned():
    assert is_kernel(nn.Conv2d(8, 16, 3).weight)
    assert is_kernel(nn.Linear(8, 16).weight)
    assert not is_kernel(nn.Conv2d(16, 16, 3, groups=16).weight)  # depthwise
    assert not is_kernel(nn.Conv2d(8, 16, 3).bias)
    # Turning a large matrix takes longer than a batch.
    assert is_kernel(nn.Linear(2048, 512).weight) and not is_kernel(nn.Linear(1024, 1024).weight)


def problem():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3))
    groups = [
        {"params": [p for p in network.parameters() if is_kernel(p)], "orthogonal": True},
        {"params": [p for p in network.parameters() if not is_kernel(p)]},
    ]
    return network, Muon(groups, lr=0.02)


def steps(network, optimizer, count):
    x = torch.randn(4, 8, 12, 12, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(count):
        loss = (network(x) - x[..., 2:-2, 2:-2]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_it_learns():
    losses = steps(*problem(), 60)
    assert losses[-1] < 0.2 * losses[0]


def test_it_goes_on_where_it_was_stopped():
    network, optimizer = problem()
    steps(network, optimizer, 5)
    other, again = problem()
    other.load_state_dict(network.state_dict())
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(other, again, 5) == pytest.approx(steps(network, optimizer, 5))


def test_a_kernels_step_has_the_length_of_adamws():
    """0.2 a value on average (root mean square) times the rate, whatever the kernel's shape."""
    weight = nn.Parameter(torch.zeros(16, 4, 3, 3))
    optimizer = Muon([{"params": [weight], "orthogonal": True}], lr=0.1, weight_decay=0)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.02, rel=0.2)


def test_configurations_name_it(tmp_path):
    path = tmp_path / "a.yaml"
    text = "{system: {name: casfne}, data: {sources: [{name: photos}]}, samples: 10}"
    path.write_text(text)
    assert load_config(path, ["optimizer.name=muon"]).optimizer.name == "muon"
    with pytest.raises(ConfigError, match="optimizer"):
        load_config(path, ["optimizer.name=newton"])
