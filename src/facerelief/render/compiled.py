"""Where work may go to the compiled kernels.

The torch code of this package runs on every device and gives gradients. On one thread of a CPU it
is bound by memory: each operation walks through all of its values. `facerelief.render.kernels`
does the same in single loops, many times faster, for tensors that need neither.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)

#: Whether kernels are used where they can be; tests compare them with the torch code.
enabled = True


def kernels(*tensors: Tensor) -> ModuleType | None:
    """`facerelief.render.kernels`, or None where torch has to do it.

    That is for tensors on other devices, with gradients or of half precision, and where numba is
    missing.
    """
    if not enabled or any(t.device.type != "cpu" or t.dtype in _HALF for t in tensors):
        return None
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return None
    return _kernels()


def array(tensor: Tensor) -> NDArray[Any]:
    """The values of a tensor on the CPU, contiguous: kernels are compiled for nothing else."""
    return tensor.detach().contiguous().numpy()


@cache
def _kernels() -> ModuleType | None:
    try:
        from facerelief.render import kernels as module
    except ImportError:
        return None
    return module
