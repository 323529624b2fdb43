"""What the tests of the systems share: a batch, counts, and one step of a training."""

import torch

from facerelief.data.sample import Sample
from facerelief.nn.modulation import ModulatedConv2d
from facerelief.train.systems.base import System


def sample(count: int = 2, size: int = 64) -> Sample:
    """Random pictures with random normals; every second one's are weak."""
    g = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(count, 3, size, size, generator=g), dim=1)
    ones = torch.ones(count, 1, size, size)
    weak = torch.arange(count) % 2 == 1
    image = torch.rand(count, 3, size, size, generator=g)
    yes = torch.ones(count, dtype=torch.bool)
    return Sample(image, normals, ones, ones, ones, weak, yes, ~yes)


def terms_of(system: System, batch: Sample, player: str = "estimator") -> dict[str, torch.Tensor]:
    """The terms of all turns of a player."""
    terms = {}
    for turn in system.turns(batch):
        if turn.player == player:
            terms.update(turn.terms)
    return terms


def train(system: System, batch: Sample, steps: int, rate: float = 1e-3) -> list[float]:
    """The estimator's loss before each step of a training on one batch."""
    optimizers = {p: torch.optim.Adam(system.parameters_of(p), rate) for p in system.players}
    totals = []
    for _ in range(steps):
        total = 0.0
        for turn in system.turns(batch):
            loss = torch.stack(list(turn.terms.values())).sum()
            optimizers[turn.player].zero_grad()
            loss.backward(inputs=list(system.parameters_of(turn.player)))
            optimizers[turn.player].step()
            total += loss.item() * (turn.player == "estimator")
        totals.append(total)
    return totals


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def multiply_accumulates(
    module: torch.nn.Module, *inputs: torch.Tensor, at_output: bool = False
) -> float:
    """Of the convolutions, in thousands of millions; of a 256 x 256 picture if none is given.

    ``at_output`` charges a transposed convolution at its output's size, four times what it costs.
    """
    total = 0

    def hook(layer: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        pixels = output.shape[-1] * output.shape[-2]
        if isinstance(layer, torch.nn.ConvTranspose2d) and not at_output:
            pixels = inputs[0].shape[-1] * inputs[0].shape[-2]
        total += layer.weight.numel() * pixels

    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, ModulatedConv2d)
    hooks = [m.register_forward_hook(hook) for m in module.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        module.eval()(*(inputs or (torch.rand(1, 3, 256, 256),)))
    for handle in hooks:
        handle.remove()
    return total / 1e9
