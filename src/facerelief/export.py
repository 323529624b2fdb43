"""A trained system as the one ONNX file that the runtime loads."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from facerelief.files import remove_leftovers, write_files
from facerelief.train.systems.base import CROP, System

_OPSET = 18
_LARGE = 3000  # kernels of fewer values stay float32: they weigh little and err most


@dataclass(frozen=True)
class Provenance:
    """What the file says of itself."""

    system: str
    preset: str
    tier: str  # open or research
    training_data: str  # comma-separated names
    version: str


def export(
    system: System, path: Path, provenance: Provenance, compact: bool = True, size: int = CROP
) -> str:
    """Write ``system`` to ``path`` and return the file's sha256.

    Args:
        compact: store large kernels in 16 bits, or 8 (see `_store_steps`).
        size: of the pictures that it was trained with (see `systems.base.Deployed`).

    Raises:
        ValueError: 256 is no multiple of `size`.
    """
    deployed = system.eval().deployed(size).eval()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    program: Any = torch.onnx.export(
        deployed,
        (deployed.example(),),
        input_names=[deployed.reads],
        output_names=list(deployed.outputs),
        dynamic_shapes=({0: torch.export.Dim("faces", min=1)},),
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    _forget_source(model)
    if compact:
        _store_steps(model, system.in_8_bits)
    said = {**vars(provenance), "kind": deployed.kind}
    helper.set_model_props(model, {name: str(value) for name, value in said.items()})
    onnx.checker.check_model(model)
    return _written(model, path)


def tell(path: Path, **facts: str) -> str:
    """Let an exported file say more of itself, in its metadata; returns its new sha256.

    Raises OSError, and ValueError for a file that is no ONNX network.
    """
    content = Path(path).read_bytes()
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's own, of no class that onnx names
        raise ValueError(f"{path}: not an ONNX network") from error
    before = {one.key: one.value for one in model.metadata_props}
    helper.set_model_props(model, before | facts)
    return _written(model, Path(path))


def _written(model: onnx.ModelProto, path: Path) -> str:
    """Whole or not at all; returns the sha256."""
    content = model.SerializeToString()
    write_files({path: content})
    return hashlib.sha256(content).hexdigest()


def _forget_source(model: onnx.ModelProto) -> None:
    """Take out the exporter's notes: shapes, stack traces with paths of the machine."""
    graph = model.graph
    del graph.value_info[:]  # sessions infer them
    for part in (graph, *graph.node, *graph.input, *graph.output,
                 *graph.initializer, *model.functions):  # fmt: skip
        part.doc_string = ""
        del part.metadata_props[:]


def _store_steps(model: onnx.ModelProto, in_8_bits: str) -> None:
    """Keep large kernels as 16-bit integers with a scale for each output channel.

    Half the bytes of float32, like float16, at a hundredth of its error on the normals: the bits
    that float16 spends on an exponent go to the mantissa, and the kernels of one channel are of
    alike size. Sessions fold the conversion back into the weights when they load.

    Args:
        in_8_bits: a regular expression of names that 8 bits are enough for.
    """
    graph = model.graph
    nodes = []
    for initializer in list(graph.initializer):
        values = numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LARGE:
            continue
        axes = tuple(range(1, values.ndim))
        name = initializer.name
        kind = np.int8 if in_8_bits and re.search(in_8_bits, name) else np.int16
        scale = np.abs(values).max(axes, keepdims=True) / np.iinfo(kind).max
        scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
        steps = np.round(values / scale).astype(kind)
        initializer.CopyFrom(numpy_helper.from_array(steps, f"{name}.steps"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes += [
            helper.make_node("Cast", [f"{name}.steps"], [f"{name}.cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]),
        ]
    for index, node in enumerate(nodes):
        graph.node.insert(index, node)
