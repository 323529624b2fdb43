"""Networks that are broken or mean harm, each a change of `tiny_system`'s, by name or by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import tiny_system

Model = onnx.ModelProto
node = helper.make_node


def tiny(folder: Path) -> Model:
    """A network as it should be."""
    return onnx.load(tiny_system.build(folder / "whole.onnx"))


def add(model: Model, *nodes: onnx.NodeProto, **constants: object) -> None:
    """Puts nodes before the rest; what they call `extra` is added to the normals."""
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    last = next(n for n in model.graph.node if n.output[0] == "normals")
    last.output[0] = "plain"
    for one in (*nodes, node("Add", ["plain", "extra"], ["normals"])):
        model.graph.node.append(one)


def float_input(model: Model) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def other_size(model: Model) -> None:
    for value in (*model.graph.input, *model.graph.output):
        for side in value.type.tensor_type.shape.dim[1:3]:
            side.dim_value = 128


def one_crop(model: Model) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def second_input(model: Model) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def without_mask(model: Model) -> None:
    del model.graph.output[1]
    helper.set_model_props(model, {"kind": "normals"})


def other_shape(model: Model) -> None:
    """Says little of its sides, and gives others."""
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "height"
    last = next(n for n in model.graph.node if n.output[0] == "normals")
    last.output[0] = "plain"
    constants = {"from": [0], "to": [100], "axis": [1]}
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    model.graph.node.append(node("Slice", ["plain", "from", "to", "axis"], ["normals"]))


def half_precision(model: Model) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    last = next(n for n in model.graph.node if n.output[0] == "normals")
    last.output[0] = "plain"
    model.graph.node.append(node("Cast", ["plain"], ["normals"], to=TensorProto.FLOAT16))


def not_numbers(model: Model) -> None:
    add(model, extra=np.float32(np.nan))


def infinite(model: Model) -> None:
    add(model, node("Div", ["one", "nought"], ["extra"]), nought=np.float32(0))


def huge_constant(model: Model) -> None:
    add(
        model,
        node("ConstantOfShape", ["side"], ["many"]),
        node("ReduceSum", ["many"], ["extra"], keepdims=0),
        side=np.array([1 << 36]),
    )


def huge_expansion(model: Model) -> None:
    add(
        model,
        node("ReduceSum", ["values"], ["total"], keepdims=0),
        node("Expand", ["total", "side"], ["many"]),
        node("ReduceSum", ["many"], ["extra"], keepdims=0),
        side=np.array([1 << 36]),
    )


def fails_when_run(model: Model) -> None:
    add(model, node("Reshape", ["values", "side"], ["odd"]),
           node("ReduceSum", ["odd"], ["extra"], keepdims=0), side=np.array([7, -1]))  # fmt: skip


def endless_loop(model: Model) -> None:
    value = helper.make_tensor_value_info
    turn = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["before"], ["after"])],
        "turn",
        [value("turns", TensorProto.INT64, []), value("go", TensorProto.BOOL, []),
         value("before", TensorProto.FLOAT, [])],
        [value("on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, [])],
    )  # fmt: skip
    add(model, node("Loop", ["most", "always", "one"], ["extra"], body=turn),
           most=np.int64(1 << 62), always=np.bool_(True))  # fmt: skip


def other_domain(model: Model) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    add(model, node("Gelu", ["one"], ["extra"], domain="com.microsoft"))


def external_data(model: Model) -> None:
    add(model, extra=np.float32(0))
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def own_functions(model: Model) -> None:
    model.opset_import.append(helper.make_opsetid("ours", 1))
    one = helper.make_function("ours", "Same", ["x"], ["y"], [node("Identity", ["x"], ["y"])],
                               [helper.make_opsetid("", 18)])  # fmt: skip
    model.functions.append(one)
    add(model, node("Same", ["one"], ["extra"], domain="ours"))


def many_nodes(model: Model) -> None:
    for _ in range(20_001):
        model.graph.node.append(node("Identity", ["one"], ["same"]))


def long_work(model: Model) -> None:
    """Minutes of products, of a file of kilobytes."""
    names = ["square"] + [f"product{i}" for i in range(500)]
    products = [node("MatMul", [a, "square"], [b]) for a, b in pairwise(names)]
    add(model, node("Shape", ["crops"], ["sides"]), node("Gather", ["sides", "at"], ["count"]),
           node("Mul", ["count", "wide"], ["shape"]),
           node("ConstantOfShape", ["shape"], ["square"]), *products,
           node("ReduceSum", [names[-1]], ["extra"], keepdims=0),
           at=np.array([0, 0]), wide=np.array([3000, 3000]))  # fmt: skip


def unknown_kind(model: Model) -> None:
    helper.set_model_props(model, {"kind": "\x1b[31m" + "k" * 100_000})


def odd_name(model: Model) -> None:
    add(model, node("Missing\x1b]0;title\x07\n" + "x" * 100_000, ["one"], ["extra"]))


CHANGES: tuple[Callable[[Model], None], ...] = (
    float_input, other_size, one_crop, second_input, without_mask, other_shape, half_precision,
    not_numbers, infinite, huge_constant, huge_expansion, fails_when_run, endless_loop,
    other_domain, external_data, own_functions, many_nodes, long_work, unknown_kind, odd_name,
)  # fmt: skip


def changed(folder: Path, change: Callable[[Model], None]) -> Path:
    """The file of a network with one change."""
    model = tiny(folder)
    change(model)
    path = folder / f"{change.__name__}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def spoiled(folder: Path, seed: int, count: int) -> Iterator[Path]:
    """Files with bytes flipped, cut out, doubled or cut off."""
    random = Random(seed)
    whole = tiny(folder).SerializeToString()
    for index in range(count):
        content = bytearray(whole)
        a, b = sorted(random.randrange(len(content)) for _ in range(2))
        kind = random.choice(("flip", "cut", "double", "end", "noise"))
        if kind == "flip":
            for _ in range(random.randint(1, 20)):
                content[random.randrange(len(content))] = random.randrange(256)
        elif kind == "cut":
            del content[a:b]
        elif kind == "double":
            content[a:a] = content[a:b]
        elif kind == "end":
            del content[a:]
        else:
            content[a:b] = random.randbytes(b - a)
        path = folder / f"spoiled{index}.onnx"
        path.write_bytes(content)
        yield path
