"""A ball looks alike from everywhere: only what is painted on it moves."""

import math

import pytest

torch = pytest.importorskip("torch")

from facerelief.data.turning import turn  # noqa: E402


def ball(size: int = 128, radius: float = 55.0):
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    z = (radius**2 - x**2 - y**2).clamp_min(0).sqrt()
    known = (z > 0.3 * radius).float()
    normals = torch.stack([x, y, z]) / radius * known
    return torch.cat([normals, known[None], torch.ones(1, size, size)])[None]


@pytest.mark.parametrize(("pitch", "yaw"), [(0, 0), (10, 0), (0, -10), (-7, 7)])
def test_a_ball_stays_a_ball(pitch: float, yaw: float) -> None:
    surface, radius = ball(), 55.0
    p, y = math.radians(pitch), math.radians(yaw)
    _, turned = turn(surface[:, :3], surface, torch.tensor([[p, y]]))
    # It turns about its mean depth, so that its centre moves.
    known = surface[0, 3] > 0
    deep = float((surface[0, 2] * radius)[known].mean())
    axis = torch.arange(128) - 63.5
    rows, columns = torch.meshgrid(-axis, axis, indexing="ij")
    x = columns + deep * math.sin(y) * math.cos(p)
    up = rows + deep * math.sin(p)
    z = (radius**2 - x**2 - up**2).clamp_min(0).sqrt()
    truth = torch.stack([x, up, z]) / radius
    both = (turned[0, 3] > 0) & (z > 0.4 * radius)
    cosine = (turned[0, :3] * truth).sum(0)[both]
    assert torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))).mean() < 1 and both.sum() > 4000


def test_normals_turn_the_way_that_is_said() -> None:
    flat = torch.zeros(1, 5, 64, 64)
    flat[:, 2:] = 1
    _, up = turn(torch.rand(1, 3, 64, 64), flat, torch.tensor([[0.2, 0.0]]))
    _, right = turn(torch.rand(1, 3, 64, 64), flat, torch.tensor([[0.0, 0.2]]))
    assert torch.allclose(
        up[0, :3, 32, 32], torch.tensor([0, math.sin(0.2), math.cos(0.2)]), atol=1e-3
    )
    assert torch.allclose(
        right[0, :3, 32, 32], torch.tensor([math.sin(0.2), 0, math.cos(0.2)]), atol=1e-3
    )
