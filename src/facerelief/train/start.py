"""Weights that a training begins with: of a checkpoint, of a shipped network, of an ONNX file.

Checkpoints do not outlive a machine, shipped networks do. Their batch norms have been folded into
the convolutions before them: what they were is found again from pictures (`settle`), so that the
network that begins is the one that shipped, and its norms can learn.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facerelief import catalogue
from facerelief.catalogue import UnknownSystemError, WeightsError, reason_of

_PREFIX = "system."  # of a system's weights, in checkpoints and in exported files alike
_LEARNT = (".weight", ".bias")
_MEASURED = (".running_mean", ".running_var")  # of norms that the exporter could not fold away


class StartError(ValueError):
    """Weights that cannot be begun with; the message is one clear line."""


@dataclass(frozen=True)
class Start:
    """Weights by their names in a system, and how they are to be read."""

    values: dict[str, Tensor]
    # What is added behind kernels that carry a norm within them, by the kernels' names.
    folded: dict[str, Tensor]


def read(source: str | Path) -> Start:
    """The weights of a checkpoint of ours, an exported ``.onnx`` file or a name of the catalogue.

    Raises:
        StartError: no such file or name, or none of ours.
    """
    path = Path(source)
    if path.suffix == ".ckpt":
        return Start(checkpoint_weights(path), {})
    return _from_onnx(*network(source))


def network(source: str | Path) -> tuple[bytes, Path]:
    """The bytes of an ``.onnx`` file or of a name of the catalogue, and where they are.

    Raises:
        StartError: no such file or name, or an altered network.
    """
    path = Path(source)
    try:
        if path.suffix == ".onnx":
            return catalogue.read_weights(path), path
        entry = catalogue.find(str(source))
        return entry.read(), entry.path
    except UnknownSystemError as error:
        raise StartError(f"neither a .ckpt nor an .onnx file, and {error}") from None
    except WeightsError as error:
        raise StartError(f"weights that cannot be read: {error}") from error


def checkpoint_weights(path: Path) -> dict[str, Tensor]:
    """The averaged weights in a checkpoint of `phases.run`, by their names in the system.

    Raises:
        StartError: no such file, or no checkpoint.
    """
    weights = _unprefixed(read_checkpoint(path)["state_dict"])
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise StartError(f"{path}: not a checkpoint of a training: its weights are none")
    return weights


def read_checkpoint(path: Path) -> dict[str, Any]:
    """All that a checkpoint of `phases.run` holds: tensors and plain values, nothing that runs.

    Raises:
        StartError: no such file, or no checkpoint.
    """
    if not path.exists():
        raise StartError(f"{path}: no such file")
    try:
        if not path.is_file():
            raise ValueError("not a file")
        _check_size(path)
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(stored["state_dict"], dict):
            raise TypeError("its weights have no names")
    except Exception as error:  # torch.load raises a dozen unrelated classes for a foreign file
        raise StartError(f"{path}: not a checkpoint of a training: {reason_of(error)}") from error
    checkpoint: dict[str, Any] = stored
    return checkpoint


def _check_size(path: Path) -> None:
    """Raises ValueError for an archive that would grow: torch.save stores without compression."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("it is compressed")


def begin(
    system: nn.Module, start: Start, parts: Mapping[str, str] | None = None, optional: str = ""
) -> list[str]:
    """Put the weights into `system`; norms that were folded away are to be settled next.

    Args:
        parts: take these parts of the system alone, each from the part of that name in the file:
            ``{"encoder": "network.encoder"}``, for a longer name first; None takes all.
        optional: a regular expression of names that may be in one of the two alone.

    Returns:
        Names of the norms that `settle` has to find again.

    Raises:
        StartError: weights of another network; the message names one that does not fit.
    """

    def own(name: str) -> str | None:
        if parts is None:
            return name
        for mine, theirs in sorted(parts.items(), key=lambda part: -len(part[1])):
            if name.startswith(f"{theirs}."):
                return mine + name.removeprefix(theirs)
        return None

    values = {mine: value for name, value in start.values.items() if (mine := own(name))}
    shifts = {mine: value for name, value in start.folded.items() if (mine := own(name))}
    norms = dict(_norms_behind(system, shifts))
    for name, kernel in norms.items():
        values |= _neutral(cast(_BatchNorm, system.get_submodule(name)), name, shifts[kernel])
    # Layers without a norm share a bias that is the same for several, as zeros are.
    alone = shifts.keys() - norms.values()
    values |= {kernel.removesuffix("weight") + "bias": shifts[kernel] for kernel in alone}
    wanted = system.state_dict()
    if parts is not None:
        wanted = {k: v for k, v in wanted.items() if k.startswith(tuple(f"{p}." for p in parts))}
        if not wanted:
            raise StartError(f"the system has no part called {', '.join(parts)}")
    wrong = [k for k in wanted.keys() ^ values.keys() if not (optional and re.match(optional, k))]
    wrong += [k for k in wanted.keys() & values.keys() if wanted[k].shape != values[k].shape]
    if wrong:
        raise StartError(f"weights of another network: {min(wrong)} does not fit")
    system.load_state_dict({k: v for k, v in values.items() if k in wanted}, strict=False)
    return sorted(norms)


@torch.no_grad()
def settle(system: nn.Module, norms: list[str], pictures: Tensor) -> None:
    """Give `norms` the statistics of what reaches them; what the network computes stays.

    Args:
        norms: as `begin` returns them.
        pictures: (B, 3, H, W) in [0, 1] as the training will show them.
    """
    training = system.training
    system.eval()

    def measure(norm: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        mean = inputs[0].mean((0, 2, 3))
        variance = inputs[0].var((0, 2, 3), unbiased=False)
        assert norm.running_mean is not None and norm.running_var is not None
        # So far it has only added its bias.
        norm.bias.add_(mean)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    modules = [cast(_BatchNorm, system.get_submodule(name)) for name in norms]
    handles = [norm.register_forward_pre_hook(measure) for norm in modules]
    try:
        system(pictures)
    finally:
        for handle in handles:
            handle.remove()
        system.train(training)


def _neutral(norm: _BatchNorm, name: str, shift: Tensor) -> dict[str, Tensor]:
    """A norm that adds `shift`, and no more."""
    count = norm.num_features
    return {
        f"{name}.weight": torch.ones(count),
        f"{name}.bias": shift,
        f"{name}.running_mean": torch.zeros(count),
        f"{name}.running_var": torch.full((count,), 1 - norm.eps),
        f"{name}.num_batches_tracked": torch.zeros((), dtype=torch.long),
    }


def _norms_behind(system: nn.Module, kernels: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Of each kernel the norm that follows its layer in the same sequence: (norm, kernel)."""
    for kernel in kernels:
        parent, _, layer = kernel.removesuffix(".weight").rpartition(".")
        try:
            sequence = system.get_submodule(parent)
        except AttributeError:
            continue
        following = str(int(layer) + 1) if layer.isdigit() else ""
        if isinstance(getattr(sequence, following, None), _BatchNorm):
            yield f"{parent}.{following}".lstrip("."), kernel


def _unprefixed(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(_PREFIX): v for k, v in values.items() if k.startswith(_PREFIX)}


def _from_onnx(content: bytes, path: Path) -> Start:
    """What `facerelief.export` wrote: kernels under their own names, in 32 bits or 16-bit steps."""
    try:
        graph = onnx.load_from_string(content).graph
        stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    except Exception as error:  # protobuf's and onnx's own
        raise StartError(f"{path}: not an ONNX file that can be read") from error
    for name in [n for n in stored if n.endswith(".steps")]:
        whole = name.removesuffix(".steps")
        stored[whole] = stored.pop(name).astype(np.float32) * stored.pop(f"{whole}.scale")
    # What the exporter made constant has other endings.
    own_names = [k for k in stored if k.startswith(_PREFIX)]
    values = {k: stored[k] for k in own_names if k.endswith(_LEARNT + _MEASURED)}
    counted = [k.removesuffix(_MEASURED[0]) for k in own_names if k.endswith(_MEASURED[0])]
    values |= {f"{norm}.num_batches_tracked": np.zeros((), np.int64) for norm in counted}
    folded = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose") or len(node.input) < 3:
            continue
        kernel, shift = node.input[1:3]
        own = kernel.removesuffix(".weight") + ".bias"
        if kernel in values and shift in stored and shift != own:
            folded[kernel] = stored[shift]
            values.pop(shift, None)
    if not values:
        raise StartError(f"{path}: an ONNX network, but none of ours")
    tensors = (
        {k: torch.from_numpy(np.array(v)) for k, v in part.items()} for part in (values, folded)
    )
    return Start(*(_unprefixed(part) for part in tensors))
