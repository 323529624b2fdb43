"""Muon for kernels, AdamW for the rest.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the scale by which
rates of AdamW serve is that of Liu et al. 2025, "Muon is scalable for LLM training", equation 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

# Of the quintic iteration, and how often it runs: singular values end between 0.7 and 1.2.
_QUINTIC, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5


_SIDES = range(
    8, 513
)  # of matrices whose steps are worth it: a larger one takes as long as a batch


def is_kernel(parameter: Tensor) -> bool:
    """Whether it mixes channels: a matrix whose steps are worth turning. Depthwise ones are not."""
    if parameter.ndim < 2 or parameter.shape[1] < 2:
        return False
    return min(parameter.flatten(1).shape) in _SIDES


def orthogonalised(matrix: Tensor) -> Tensor:
    """(A, B) to the nearest matrix with singular values of about 1, by Newton and Schulz."""
    a, b, c = _QUINTIC
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(AdamW):
    """AdamW whose groups with ``orthogonal`` set step along orthogonalised momentum instead.

    Kernels (O, I, H, W) are matrices (O, I H W).
    """

    momentum = 0.95

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        kernels = [group for group in self.param_groups if group.get("orthogonal")]
        for group in kernels:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_kernel(parameter, parameter.grad, group)
                    parameter.grad = None  # AdamW passes over it
        return super().step(closure)

    def _step_kernel(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(gradient)
            state["step"] = torch.zeros(())  # AdamW looks for it when a state is read
        velocity = state["velocity"]
        velocity.lerp_(gradient, 1 - self.momentum)
        towards = gradient.lerp(velocity, self.momentum).flatten(1)
        scale = 0.2 * max(towards.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        update = orthogonalised(towards).view_as(parameter)
        parameter.add_(update, alpha=-group["lr"] * scale)
