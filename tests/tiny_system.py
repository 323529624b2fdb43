"""A system small enough to build in a test: it reads the normals off the colours of its input.

A crop painted with a normal map's colours gives that map back, so what the pipeline does to crops
and frames shows in the result exactly. Black is off the face, and the darker a pixel, the larger
its expected error: 40 degrees at black, 0 at white.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {
    "system": "tiny",
    "preset": "colours",
    "tier": "open",
    "training_data": "nothing, at all",
    "licence": "any use",
}


def build(path: Path, expected_error: bool = True) -> Path:
    """Write the network to `path`."""
    node = helper.make_node
    nodes = [
        node("Cast", ["crops"], ["values"], to=TensorProto.FLOAT),
        node("Div", ["values", "half"], ["doubled"]),
        node("Sub", ["doubled", "one"], ["raw"]),
        node("ReduceL2", ["raw", "last"], ["length"], keepdims=1),
        node("Max", ["length", "tiny"], ["safe"]),
        node("Div", ["raw", "safe"], ["normals"]),
        node("ReduceMax", ["values", "last"], ["brightest"], keepdims=0),
        node("Min", ["brightest", "one"], ["mask"]),
        node("ReduceMean", ["values", "last"], ["mean"], keepdims=0),
        node("Mul", ["mean", "slope"], ["brightness"]),
        node("Sub", ["forty", "brightness"], ["expected_error"]),
    ]
    constants = {"half": 127.5, "one": 1, "tiny": 1e-6, "slope": 40 / 255, "forty": 40}
    tensors = [numpy_helper.from_array(np.float32(v), k) for k, v in constants.items()]
    tensors.append(numpy_helper.from_array(np.array([-1], np.int64), "last"))
    size = ["n", 256, 256]
    value = helper.make_tensor_value_info
    outputs = [
        value("normals", TensorProto.FLOAT, [*size, 3]),
        value("mask", TensorProto.FLOAT, size),
        value("expected_error", TensorProto.FLOAT, size),
    ]
    if not expected_error:
        nodes, outputs = nodes[:-3], outputs[:-1]
    inputs = [value("crops", TensorProto.UINT8, [*size, 3])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def catalogue(folder: Path) -> Path:
    """A catalogue folder that holds the network as "tiny", the default."""
    path = build(folder / "tiny.onnx")
    entry = {
        "system": "tiny",
        "preset": "colours",
        "kind": "normals",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "tier": "open",
        "training_data": ["nothing"],
        "licence": "any use",
        "accuracy": {"colours": 0.5},
    }
    content = {"default": "tiny", "systems": {"tiny": entry}}
    (folder / "catalogue.json").write_text(json.dumps(content))
    return folder
